"""Records written through a recorder again give the same records, and every count follows from them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fake_servers import Connection, Exchange, Ledger
from fake_servers.faults import Reset, Status
from fake_servers.ledger import Outcome
from fake_servers.records import Closer

instants = st.integers(0, 40).map(float)


@st.composite
def histories(draw):
    """Connections, and exchanges on them, as a server could have recorded them."""
    exchanges, connections = [], []
    for number in range(1, draw(st.integers(1, 4)) + 1):
        opened_at, *times, closed_at = sorted(draw(st.lists(instants, min_size=12, max_size=12)))
        count = draw(st.integers(0, 2))
        spans = [(sequence, times[5 * sequence - 5 : 5 * sequence]) for sequence in range(1, count + 1)]
        exchanges.extend(draw(exchange_at(number, *span)) for span in spans)
        closed = draw(st.booleans())
        connections.append(
            Connection(
                number=number,
                peer=("127.0.0.1", 40_000 + number),
                opened_at=opened_at,
                closed_at=closed_at if closed else None,
                closed_by=draw(st.sampled_from(Closer)) if closed else None,
                is_abandoned=closed and draw(st.booleans()),
                exchanges=count,
                bytes_in=draw(st.integers(0, 99)),
                bytes_out=draw(st.integers(0, 99)),
            )
        )
    connections.sort(key=lambda c: c.opened_at)
    exchanges.sort(key=lambda e: e["begun_at"])
    return connections, [Exchange(number=number, **fields) for number, fields in enumerate(exchanges, 1)]


@st.composite
def exchange_at(draw, connection, sequence, times):
    """The fields of an exchange that came to any stage, at these five instants."""
    stage = draw(st.integers(0, 4))
    begun_at, received_at, executed_at, first_byte_at, ended_at = times
    over = stage == 4 or draw(st.booleans())
    outcomes = [o for o in Outcome if o not in {Outcome.ANSWERED, Outcome.IN_PROGRESS}]
    unfinished = draw(st.sampled_from(outcomes)) if over else Outcome.IN_PROGRESS
    body = draw(st.binary(max_size=4))
    return {
        "connection": connection,
        "sequence": sequence,
        "method": draw(st.sampled_from(["GET", "POST"])),
        "target": draw(st.sampled_from(["/a/1", "/a/2", "/b?x=1"])),
        "raw_headers": [(b"Host", b"x")],
        "body": body,
        "body_size": len(body),
        "body_complete": stage > 0,
        "begun_at": begun_at,
        "received_at": received_at if stage >= 1 else None,
        "executed_at": executed_at if stage >= 2 else None,
        "first_byte_at": first_byte_at if stage >= 3 else None,
        "finished_at": ended_at if stage == 4 else None,
        "ended_at": ended_at if over else None,
        "waited": 0.0,
        "status": draw(st.sampled_from([200, 503])) if stage >= 3 else None,
        "fault": draw(st.sampled_from([None, Reset(), Status(503)])),
        "outcome": Outcome.ANSWERED if stage == 4 else unfinished,
    }


def together_at_most(exchanges: list[Exchange]) -> int:
    """In flight together, counted at the start of each; an instant one is alone with those that go on."""
    spans = [
        (e.received_at, float("inf") if e.ended_at is None else e.ended_at)
        for e in exchanges
        if e.received_at is not None
    ]
    counts = [sum(a <= start < b for a, b in spans) + (start == end) for start, end in spans]
    return max(counts, default=0)


@given(histories())
def test_records_come_back_as_they_were(history):
    connections, exchanges = history
    ledger = Ledger.of(connections, exchanges)
    assert sorted(ledger.connections, key=lambda c: c.number) == sorted(connections, key=lambda c: c.number)
    assert sorted(ledger.exchanges, key=lambda e: e.number) == exchanges


@given(histories(), st.sampled_from(["*", "GET /a/1", "GET /a/*", "* /b"]))
def test_counts_are_those_of_the_records(history, on):
    ledger = Ledger.of(*history)
    meant = [e for e in history[1] if e in ledger.matching(on)]
    assert ledger.peak(on) == together_at_most(meant)
    assert ledger.count(on) == len(meant)
    assert ledger.executions(on) == sum(e.executed_at is not None for e in meant)
    assert ledger.service_time(on) == sum(e.service_time or 0.0 for e in meant)


@given(histories())
def test_totals_are_those_of_the_records(history):
    connections, exchanges = history
    ledger = Ledger.of(connections, exchanges)
    assert ledger.peak_in_flight == together_at_most(exchanges)
    assert ledger.in_flight == sum(e.received_at is not None and e.ended_at is None for e in exchanges)
    assert ledger.open_connections == sum(c.is_open for c in connections)
    most = max(
        sum(c.opened_at <= at and (c.closed_at is None or at <= c.closed_at) for c in connections)
        for at in [c.opened_at for c in connections]
    )
    assert ledger.peak_connections == most
