"""HC101, HC103 and HC104 on hand-written ledgers."""

import pytest

from fake_servers.ledger import Closer, Ledger, Outcome
from pytest_httpconc.checks import find_excess_connections, find_leaks


def codes(findings):
    return [finding.code for finding in findings]


class TestLeaks:
    def test_closed_connections_are_none(self, connection):
        connections = [connection(n, closed_at=2.0, closed_by=closer) for n, closer in enumerate(Closer, 1)]
        assert find_leaks(Ledger.of(connections)) == []

    def test_idle_connection_is_told_from_one_that_was_never_used(self, connection, exchange):
        ledger = Ledger.of([connection(1), connection(2)], [exchange(1)])
        (finding,) = find_leaks(ledger)
        assert finding.code == "HC101"
        assert finding.summary == "2 connections of 2"
        assert [line.partition(": ")[2] for line in finding.evidence] == [
            "idle after 1 request, the last was exchange 1, POST /execute (200)",
            "open, no request was ever sent on it",
        ]

    def test_connection_that_only_the_client_holds_is_abandoned(self, connection, exchange):
        closed = connection(1, closed_at=2.0, closed_by=Closer.FAULT, is_abandoned=True)
        (finding,) = find_leaks(Ledger.of([closed, connection(2, closed_at=1.0)], [exchange(1)]))
        assert (finding.code, finding.summary) == ("HC102", "1 connection of 2")
        assert finding.evidence == [
            "connection 1 from port 0 in CLOSE_WAIT, closed by fault: idle after 1 request, the last was "
            "exchange 1, POST /execute (200)"
        ]
        assert find_leaks(Ledger.of([closed]), max_idle=1) == []

    def test_age_is_told_where_the_instant_is_known(self, connection):
        closed = connection(2, opened_at=0.5, closed_at=2.0, closed_by=Closer.SERVER, is_abandoned=True)
        still, abandoned = find_leaks(Ledger.of([connection(1, opened_at=0.25), closed]), now=3.0)
        assert still.evidence[0].endswith("no request was ever sent on it, open for 2.75 s")
        assert abandoned.evidence[0].endswith("no request was ever sent on it, closed 1.00 s ago, 2.50 s old")

    def test_place_stands_under_each_connection(self, connection):
        ledger = Ledger.of([connection(1), connection(2, closed_at=2.0, closed_by=Closer.SERVER, is_abandoned=True)])
        findings = find_leaks(ledger, opened=lambda c: f"opened at line {c.number}")
        assert [finding.evidence[1] for finding in findings] == ["  opened at line 1", "  opened at line 2"]

    @pytest.mark.parametrize(("max_idle", "found"), [(1, ["HC101"]), (2, [])])
    def test_idle_connections_may_be_allowed(self, connection, max_idle, found):
        assert codes(find_leaks(Ledger.of([connection(1), connection(2)]), max_idle=max_idle)) == found

    def test_busy_connection_is_never_allowed(self, connection, exchange):
        ledger = Ledger.of([connection(1)], [exchange(1, outcome=Outcome.IN_PROGRESS)])
        (finding,) = find_leaks(ledger, max_idle=5)
        assert "executed, still in progress" in finding.evidence[0]

    def test_connections_from_before_are_not_looked_at(self, connection):
        assert find_leaks(Ledger.of([connection(1), connection(2, closed_at=3.0)]), since=1) == []

    def test_connection_whose_socket_the_client_still_holds_is_one(self, connection):
        ledger = Ledger.of([connection(1, closed_at=2.0, closed_by=Closer.SERVER)])
        assert codes(find_leaks(ledger, still_held={1})) == ["HC101"]


class TestExcess:
    def test_one_connection_for_all_is_none(self, connection, exchange):
        ledger = Ledger.of([connection(1)], [exchange(n) for n in range(1, 6)])
        assert find_excess_connections(ledger, at_most=1) == []

    def test_connection_for_every_request_is_hc103(self, connection, exchange):
        connections = [connection(n, n * 10, n * 10 + 2, Closer.CLIENT_FIN) for n in range(1, 4)]
        ledger = Ledger.of(connections, [exchange(n, connection=n) for n in range(1, 4)])
        (finding,) = find_excess_connections(ledger, at_most=1)
        assert finding.code == "HC103"
        assert finding.evidence == [
            "connection 2 was opened although connection 1 had answered in full, and the client closed it",
            "connection 3 was opened although connection 2 had answered in full, and the client closed it",
        ]

    @pytest.mark.parametrize("closer", [Closer.SERVER, Closer.FAULT])
    def test_connection_that_the_server_closed_may_be_replaced(self, connection, exchange, closer):
        connections = [connection(n, n * 10, n * 10 + 2, closer) for n in range(1, 4)]
        ledger = Ledger.of(connections, [exchange(n, connection=n) for n in range(1, 4)])
        assert find_excess_connections(ledger, at_most=1) == []

    def test_connection_that_broke_in_an_exchange_may_be_replaced(self, connection, exchange):
        connections = [connection(1, 10, 11, Closer.CLIENT_FIN), connection(2, 20)]
        exchanges = [exchange(1, outcome=Outcome.ABORTED_BY_CLIENT), exchange(2, connection=2)]
        assert find_excess_connections(Ledger.of(connections, exchanges), at_most=1) == []

    def test_connections_side_by_side_are_not_needless(self, connection, exchange):
        connections = [connection(n, 10) for n in range(1, 4)]
        ledger = Ledger.of(connections, [exchange(n, at=10, connection=n) for n in range(1, 4)])
        assert find_excess_connections(ledger, at_most=3) == []

    def test_connections_that_were_opened_together_are_not_needless_whichever_is_used_first(self, connection, exchange):
        connections = [connection(n, 10 + n / 10) for n in range(1, 4)]
        ledger = Ledger.of(connections, [exchange(n, at=20 - n, connection=n) for n in range(1, 4)])
        assert [finding.code for finding in find_excess_connections(ledger, at_most=2)] == ["HC104"]

    def test_more_at_once_than_the_limit_is_hc104(self, connection, exchange):
        connections = [connection(n, 10) for n in range(1, 4)]
        ledger = Ledger.of(connections, [exchange(n, at=10, connection=n) for n in range(1, 4)])
        (finding,) = find_excess_connections(ledger, at_most=2)
        assert (finding.code, finding.summary) == ("HC104", "3 connections were open together, allowed are 2")
