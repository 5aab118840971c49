"""One small finding, to the letter; and timelines that are crowded."""

from fake_servers import Moment
from fake_servers.faults import Disconnect
from fake_servers.ledger import Closer, Connection, Exchange, Ledger, Outcome
from pytest_httpconc.checks import find_resends
from pytest_httpconc.report.terminal import render, timeline

LEDGER = Ledger.of(
    [
        Connection(number=1, opened_at=0.0, closed_at=0.4, closed_by=Closer.FAULT),
        Connection(number=2, opened_at=0.5, closed_at=1.1, closed_by=Closer.CLIENT_FIN),
    ],
    [
        Exchange(
            number=1,
            connection=1,
            method="POST",
            target="/execute",
            begun_at=0.1,
            received_at=0.1,
            executed_at=0.2,
            ended_at=0.4,
            fault=Disconnect(at=Moment.EXECUTED),
            outcome=Outcome.ENDED_BY_FAULT,
        ),
        Exchange(
            number=2,
            connection=2,
            method="POST",
            target="/execute",
            begun_at=0.5,
            received_at=0.5,
            executed_at=0.6,
            first_byte_at=0.9,
            finished_at=0.9,
            ended_at=0.9,
            status=200,
            outcome=Outcome.ANSWERED,
        ),
    ],
)
TEXT = """\
HC201 request sent again after it may have been executed
  POST /execute was sent twice and executed twice, fingerprint {fingerprint}
    exchange 1 on connection 1: executed, then ended by fault (Disconnect(at=EXECUTED))
    exchange 1 was sent again as exchange 2 on connection 2, 100.0 ms after the fault: executed and answered 200

  timeline of 1.10 s
  connection 1   |-----1==============x                                   | closed by fault
  connection 2   |                         2===================>----------| closed by client FIN
  N exchange N begins  = in flight  > answered  x ended by fault  ! aborted by client  ? in progress  - idle

  hint: turn retries off for this call (requests/urllib3: max_retries=0; SDKs: max_retries=0; no loop around
        it), or send an idempotency key that the server honours; two calls that are meant to be alike must
        differ in target or body to be told apart
  for more: httpconc explain HC201"""


def test_finding_is_told_to_the_letter():
    findings = find_resends(LEDGER)
    assert render(findings) == TEXT.format(fingerprint=LEDGER.exchanges[0].fingerprint)


def test_findings_follow_each_other_after_an_empty_line():
    findings = find_resends(LEDGER)
    assert render(findings * 2) == f"{render(findings)}\n\n{render(findings)}"


def test_nothing_found_is_nothing_told():
    assert render([]) == ""


def exchange(number, begun_at, ended_at, connection=1):
    return Exchange(
        number=number, connection=connection, begun_at=begun_at, ended_at=ended_at, outcome=Outcome.ANSWERED
    )


def lane(*exchanges, closed_at=10.0, width=11):
    connection = Connection(number=1, opened_at=0.0, closed_at=closed_at, closed_by=Closer.SERVER)
    return timeline([connection], exchanges, width=width).splitlines()[1].split("|")[1]


def test_long_number_is_written_over_its_bar():
    assert lane(exchange(12345, 2, 9)) == "--12345==>-"


def test_long_number_pushes_its_end_out_but_never_beyond_the_lane():
    assert lane(exchange(123, 2, 3)) == "--123>-----"
    assert lane(exchange(1234, 9, 10)) == "---------1>"


def test_exchanges_of_one_lane_are_drawn_in_their_order():
    assert lane(exchange(2, 5, 9), exchange(1, 0, 4)) == "1===>2===>-"


def test_exchange_at_one_instant_is_drawn():
    assert lane(exchange(1, 5, 5)) == "-----1>----"


def test_lanes_have_the_same_width_whatever_happened():
    connections = [Connection(number=n, opened_at=n / 7, closed_at=n / 3) for n in range(1, 17)]
    exchanges = [exchange(n, n / 7, n / 3, connection=n) for n in range(1, 17)]
    lines = timeline(connections, exchanges).splitlines()
    assert len(lines) == 18
    assert {len(line.split("|")[1]) for line in lines[1:-1]} == {56}
