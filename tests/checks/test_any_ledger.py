"""What holds of the checks for every ledger that can be written."""

from hypothesis import given
from hypothesis import strategies as st

from fake_servers.ledger import Closer, Connection, Exchange, Ledger, Outcome
from pytest_httpconc.checks import (
    find_excess_connections,
    find_hasty_retries,
    find_leaks,
    find_low_concurrency,
    find_low_speedup,
    find_resends,
)
from pytest_httpconc.report.terminal import render

INSTANTS = st.integers(0, 20).map(float)


@st.composite
def ledgers(draw):
    """Connections that open in order of their numbers, with exchanges one after the other on each."""
    connections, exchanges = [], []
    for number, opened_at in enumerate(sorted(draw(st.lists(INSTANTS, max_size=5))), 1):
        now = opened_at
        for sequence in range(1, draw(st.integers(0, 3)) + 1):
            exchange = draw(exchange_from(now, connection=number, sequence=sequence))
            exchanges.append(exchange)
            if exchange.outcome is not Outcome.ANSWERED:
                break
            now = exchange.ended_at
        closed = draw(st.booleans()) and not (exchanges and exchanges[-1].ended_at is None)
        connections.append(
            Connection(
                number=number,
                peer=("127.0.0.1", 1000 + number),
                opened_at=opened_at,
                closed_at=now + draw(INSTANTS) if closed else None,
                closed_by=draw(st.sampled_from(Closer)) if closed else None,
                is_abandoned=closed and draw(st.booleans()),
            )
        )
    exchanges.sort(key=lambda e: e.begun_at)
    return Ledger.of(connections, [renumbered(e, number) for number, e in enumerate(exchanges, 1)])


@st.composite
def exchange_from(draw, now, **fields):
    begun_at = now + draw(INSTANTS)
    ended_at = begun_at + draw(INSTANTS)
    outcome = draw(st.sampled_from(Outcome))
    answered = outcome is Outcome.ANSWERED
    return Exchange(
        number=0,
        method=draw(st.sampled_from(["POST", "GET"])),
        body=draw(st.sampled_from([b"one", b"other"])),
        begun_at=begun_at,
        received_at=begun_at,
        executed_at=begun_at,
        first_byte_at=ended_at if answered else None,
        finished_at=ended_at if answered else None,
        ended_at=None if outcome is Outcome.IN_PROGRESS else ended_at,
        status=draw(st.sampled_from([200, 404, 503])) if answered else None,
        outcome=outcome,
        **fields,
    )


def renumbered(exchange, number):
    fields = {name: getattr(exchange, name) for name in exchange.__dataclass_fields__}
    return Exchange(**{**fields, "number": number})


@given(ledgers())
def test_findings_of_any_ledger_can_be_told(ledger):
    found = [
        *find_leaks(ledger),
        *find_excess_connections(ledger, at_most=1),
        *find_resends(ledger, on="GET /"),
        *find_resends(ledger),
        *find_hasty_retries(ledger, at_least=100, at_most_together=1),
        *find_low_concurrency(ledger, at_least=100),
        *find_low_speedup(ledger, at_least=100),
    ]
    text = render(found)
    assert all(finding.summary in text for finding in found)
    assert {"HC404"} <= {finding.code for finding in found}


@given(ledgers(), st.integers(0, 6))
def test_leaks_are_the_connections_that_are_open_or_abandoned(ledger, since):
    found = {f.code: [c.number for c in f.connections] for f in find_leaks(ledger, since=since)}
    assert found.get("HC101", []) == [c.number for c in ledger.connections if c.is_open and c.number > since]
    assert found.get("HC102", []) == [c.number for c in ledger.connections if c.is_abandoned and c.number > since]


@given(ledgers())
def test_more_idle_connections_allowed_never_means_more_leaks(ledger):
    counts = [len(find_leaks(ledger, max_idle=n)) for n in range(7)]
    assert counts == sorted(counts, reverse=True)


@given(ledgers())
def test_higher_limit_never_means_more_excess(ledger):
    counts = [len(find_excess_connections(ledger, at_most=n)) for n in range(1, 7)]
    assert counts == sorted(counts, reverse=True)
    assert find_excess_connections(ledger, at_most=max(1, ledger.total_connections)) == []


@given(ledgers())
def test_what_was_always_answered_with_success_was_never_sent_again(ledger):
    answered = [e for e in ledger.exchanges if e.outcome is Outcome.ANSWERED and e.status != 503]
    assert find_resends(Ledger.of(ledger.connections, answered), on="POST /") == []


@given(ledgers())
def test_every_resend_is_of_one_request_that_had_no_answer_or_a_refusal(ledger):
    for finding in find_resends(ledger):
        assert len({e.fingerprint for e in finding.exchanges}) == 1
        failed = [e for e in finding.exchanges if e.ended_at is not None and is_failure(e)]
        assert max(e.begun_at for e in finding.exchanges) >= min(e.ended_at for e in failed)


@given(ledgers())
def test_every_failure_that_an_equal_request_followed_is_told(ledger):
    told = {e.fingerprint for finding in find_resends(ledger) for e in finding.exchanges}
    for failure in ledger.matching("POST /"):
        if failure.ended_at is not None and is_failure(failure):
            after = [e for e in ledger.exchanges if e.begun_at > failure.ended_at]
            assert failure.fingerprint in told or all(e.fingerprint != failure.fingerprint for e in after)


def is_failure(exchange):
    return exchange.outcome is not Outcome.ANSWERED or exchange.status == 503


@given(ledgers())
def test_concurrency_is_found_low_exactly_above_the_peak(ledger):
    peak = ledger.peak_in_flight
    assert peak == 0 or find_low_concurrency(ledger, at_least=peak) == []
    assert len(find_low_concurrency(ledger, at_least=peak + 1)) == 1
