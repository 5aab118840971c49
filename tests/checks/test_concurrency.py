"""HC401, HC403 and HC404 on hand-written ledgers."""

from dataclasses import replace

import pytest

from fake_servers.ledger import Closer, Ledger
from pytest_httpconc.checks import find_low_concurrency, find_low_speedup


class Hold:
    """A rendezvous that gave up, as far as the check looks at it."""

    gave_up, give_up, most_together, until_in_flight = True, 2.0, 1, 10

    class pattern:  # noqa: N801 -- it stands for an attribute
        text = "POST /execute"


@pytest.fixture
def side_by_side(exchange):
    """A ledger of so many exchanges of a second, so many of them at a time."""

    def side_by_side(count, together, seconds=1.0):
        return Ledger.of([], [exchange(n + 1, at=n // together * seconds, seconds=seconds) for n in range(count)])

    return side_by_side


@pytest.mark.parametrize(("together", "found"), [(1, ["HC401"]), (2, ["HC403"]), (9, ["HC403"]), (10, []), (20, [])])
def test_concurrency_is_told_by_how_many_were_in_flight_together(side_by_side, together, found):
    findings = find_low_concurrency(side_by_side(20, together), at_least=10)
    assert [finding.code for finding in findings] == found


def test_rendezvous_that_gave_up_says_how_many_came(side_by_side):
    (finding,) = find_low_concurrency(side_by_side(10, 1), at_least=10, on="POST /execute", holds=[Hold()])
    assert finding.summary == "1 of 10 were in flight together at the most"
    assert finding.evidence[1] == "the rendezvous at POST /execute gave up after 2 s with 1 of 10"


def test_test_that_made_too_few_calls_is_told_so(side_by_side):
    (finding,) = find_low_concurrency(side_by_side(3, 3), at_least=10)
    assert finding.evidence[-1] == "the test itself made only 3 of the 10 calls that this asks for"


def test_only_the_exchanges_that_are_meant_count(exchange):
    ledger = Ledger.of([], [exchange(1, at=0), exchange(2, at=0, target="/start")])
    assert find_low_concurrency(ledger, at_least=2) == []
    assert [f.code for f in find_low_concurrency(ledger, at_least=2, on="POST /execute")] == ["HC401"]


@pytest.mark.parametrize(("together", "speedup"), [(1, 1.0), (2, 2.0), (5, 5.0), (10, 10.0)])
def test_speedup_is_service_time_over_makespan(side_by_side, together, speedup):
    ledger = side_by_side(10, together)
    assert ledger.speedup() == speedup
    assert find_low_speedup(ledger, at_least=speedup) == []
    (finding,) = find_low_speedup(ledger, at_least=speedup + 0.01)
    assert finding.code == "HC404"
    assert finding.summary.startswith(f"{speedup:.2f} was reached")


@pytest.mark.parametrize(("seconds", "means_little"), [(1.0, False), (0.06, False), (0.01, True)])
def test_speedup_of_short_service_times_is_said_to_mean_little(side_by_side, seconds, means_little):
    (finding,) = find_low_speedup(side_by_side(10, 1, seconds), at_least=5)
    assert any("means little" in line for line in finding.evidence) is means_little


CAUSES = {
    "one after the other": ([(1, 0, 1), (2, 2, 3), (3, 4, 5)], "calls were made one after the other"),
    "two workers, responses kept": ([(1, 0, 1), (2, 0, 1), (3, 2, 3), (4, 2, 3)], "a limit of 2 in the test"),
    "two workers": ([(1, 0, 1), (2, 0, 1), (3, 2, 3), (4, 2, 3)], "a limit of 2 in the test or the client"),
    "one connection": ([(1, 0, 1), (1, 2, 3), (1, 4, 5)], "not decided: a pool of one connection and calls"),
    "a pool of two": ([(1, 0, 1), (2, 0, 1), (1, 1.1, 2), (2, 1.1, 2)], "a limit of 2, of the pool or of the workers"),
    "a lock": ([(1, 0, 1), (2, 1.1, 2), (1, 2.1, 3), (2, 3.1, 4)], "a lock, a semaphore or the order of the calls"),
}


@pytest.mark.parametrize("name", CAUSES)
def test_cause_is_told_from_the_connections(connection, exchange, name):
    calls, cause = CAUSES[name]
    opened_at = {line: begin for line, begin, _ in reversed(calls)}
    connections = [connection(line, opened_at=begin) for line, begin in sorted(opened_at.items())]
    if name in {"one after the other", "two workers"}:
        connections = [replace(c, closed_at=c.opened_at + 1.5, closed_by=Closer.CLIENT_FIN) for c in connections]
    seen: dict[int, int] = {}
    exchanges = []
    for number, (line, begin, end) in enumerate(calls, 1):
        seen[line] = seen.get(line, 0) + 1
        exchanges.append(exchange(number, at=begin, seconds=end - begin, connection=line, sequence=seen[line]))
    finding = find_low_concurrency(Ledger.of(connections, exchanges), at_least=3)[0]
    assert finding.evidence[-1].startswith(f"cause: {cause}")


def test_blocking_socket_in_a_loop_is_the_cause_and_a_finding_of_its_own(connection, exchange):
    ledger = Ledger.of([connection(1), connection(2)], [exchange(1), exchange(2), exchange(3, connection=2)])
    findings = find_low_concurrency(ledger, at_least=2, blocked_at=lambda c: "line 5" if c.number == 1 else None)
    assert [finding.code for finding in findings] == ["HC401", "HC402"]
    assert "cause: the event loop stood still" in findings[0].evidence[-1]
    assert findings[1].evidence == ["connection 1: line 5"]
    assert [e.number for e in findings[1].exchanges] == [1, 2]


def test_capacity_of_the_server_is_told_from_the_client(connection, exchange):
    ledger = Ledger.of([connection(1)], [exchange(1, at=0), exchange(2, at=2, seconds=5, waited=4.0)])
    (finding,) = find_low_speedup(ledger, at_least=2)
    assert "1 requests waited for a slot of the server's own, 4.000 s at the most" in finding.evidence[2]
