"""Correct clients that look like wrong ones, and wrong ones that look correct, on hand-written ledgers."""

import pytest

from fake_servers.ledger import Closer, Ledger, Outcome
from pytest_httpconc.checks import find_excess_connections, find_leaks, find_low_concurrency, find_resends


def codes(findings):
    return [finding.code for finding in findings]


class TestLeaks:
    @pytest.mark.parametrize(("since", "found"), [(0, "3 connections of 4"), (2, "1 connection of 2"), (4, None)])
    def test_summary_counts_those_of_the_test_only(self, connection, since, found):
        closed = connection(2, closed_at=1.0, closed_by=Closer.CLIENT_FIN)
        ledger = Ledger.of([connection(1), closed, connection(3, closed_at=1.0), connection(4)])
        findings = find_leaks(ledger, since=since, still_held={1, 3} if since == 0 else ())
        assert [finding.summary for finding in findings] == ([found] if found else [])

    def test_connection_that_the_client_still_holds_may_be_idle_like_any_other(self, connection):
        ledger = Ledger.of([connection(1, closed_at=2.0, closed_by=Closer.SERVER)])
        assert find_leaks(ledger, still_held={1}, max_idle=1) == []

    def test_connection_held_from_before_is_not_looked_at(self, connection):
        ledger = Ledger.of([connection(1, closed_at=2.0, closed_by=Closer.SERVER)])
        assert find_leaks(ledger, still_held={1}, since=1) == []

    def test_only_what_is_left_open_is_drawn(self, connection, exchange):
        connections = [connection(1, closed_at=50.0, closed_by=Closer.CLIENT_FIN), connection(2)]
        ledger = Ledger.of(connections, [exchange(1), exchange(2, connection=2), exchange(3, connection=2, sequence=2)])
        (finding,) = find_leaks(ledger)
        assert [c.number for c in finding.connections] == [2]
        assert [e.number for e in finding.exchanges] == [2, 3]
        assert finding.evidence[0].endswith("idle after 2 requests, the last was exchange 3, POST /execute (200)")

    def test_allowed_number_is_told(self, connection):
        (finding,) = find_leaks(Ledger.of([connection(1), connection(2)]), max_idle=1)
        assert finding.summary == "2 connections of 2; 1 may stay idle"


class TestConnections:
    def test_pool_that_grows_while_all_are_busy_is_not_needless(self, connection, exchange):
        connections = [connection(n, opened_at=10 + n) for n in (1, 2, 3)]
        exchanges = [exchange(n, at=10 + n, seconds=5, connection=n) for n in (1, 2, 3)]
        assert find_excess_connections(Ledger.of(connections, exchanges), at_most=3) == []

    def test_second_connection_beside_an_idle_one_is_needless(self, connection, exchange):
        ledger = Ledger.of([connection(1), connection(2, 20)], [exchange(1), exchange(2, connection=2)])
        found = find_excess_connections(ledger, at_most=1)
        assert codes(found) == ["HC104", "HC103"]
        assert found[1].evidence == ["connection 2 was opened although connection 1 was idle"]

    def test_one_idle_connection_excuses_no_more_than_one_newcomer(self, connection, exchange):
        connections = [connection(1), *(connection(n, 20) for n in (2, 3, 4))]
        exchanges = [exchange(1), *(exchange(n, at=20, connection=n) for n in (2, 3, 4))]
        found = find_excess_connections(Ledger.of(connections, exchanges), at_most=3)
        assert codes(found) == ["HC104", "HC103"]
        assert len(found[1].evidence) == 1

    def test_connection_on_which_nothing_was_asked_could_not_be_known_to_serve(self, connection, exchange):
        ledger = Ledger.of([connection(1), connection(2, 15)], [exchange(2, connection=2)])
        assert codes(find_excess_connections(ledger, at_most=1)) == ["HC104"]

    def test_reconnect_after_a_fault_among_reused_connections_is_not_blamed(self, connection, exchange):
        connections = [connection(1, 0, 31, Closer.FAULT), connection(2, 40, 99, Closer.CLIENT_FIN)]
        exchanges = [
            exchange(1),
            exchange(2),
            exchange(3, outcome=Outcome.ENDED_BY_FAULT),
            *(exchange(n, connection=2) for n in (4, 5)),
        ]
        assert find_excess_connections(Ledger.of(connections, exchanges), at_most=1) == []

    def test_limit_that_is_kept_to_is_no_matter_how_many_there_were_in_all(self, connection):
        connections = [connection(n, n * 10, n * 10 + 5, Closer.SERVER) for n in range(1, 50)]
        assert find_excess_connections(Ledger.of(connections), at_most=1) == []


class TestResends:
    def test_answered_then_lost_then_sent_again_is_one_resend(self, exchange):
        attempts = [exchange(1), exchange(2, outcome=Outcome.ENDED_BY_FAULT), exchange(3)]
        (finding,) = find_resends(Ledger.of([], attempts))
        assert finding.summary.startswith("POST /execute was sent 3 times and executed 3 times")
        assert len([line for line in finding.evidence if "was sent again" in line]) == 1

    def test_lost_and_never_sent_again_is_none(self, exchange):
        attempts = [exchange(1), exchange(2, outcome=Outcome.ABORTED_BY_CLIENT)]
        assert find_resends(Ledger.of([], attempts)) == []

    def test_same_request_while_the_first_is_in_progress_is_a_call_beside_it(self, exchange):
        attempts = [exchange(1, outcome=Outcome.IN_PROGRESS), exchange(2, connection=2)]
        assert find_resends(Ledger.of([], attempts)) == []

    def test_resend_at_the_very_instant_of_the_fault_is_one(self, exchange):
        lost = exchange(1, outcome=Outcome.ENDED_BY_FAULT)
        attempts = [lost, exchange(2, at=lost.ended_at, connection=2)]
        assert codes(find_resends(Ledger.of([], attempts))) == ["HC201"]

    @pytest.mark.parametrize("outcome", [Outcome.HANDLER_FAILED, Outcome.SERVER_STOPPED])
    def test_request_sent_again_after_the_server_failed_is_a_resend(self, exchange, outcome):
        attempts = [exchange(1, outcome=outcome, status=None), exchange(2, connection=2)]
        assert codes(find_resends(Ledger.of([], attempts))) == ["HC201"]

    def test_resend_is_told_from_the_equal_calls_beside_it(self, exchange):
        beside = [exchange(n, at=10, seconds=5, connection=n) for n in (2, 3)]
        lost = exchange(1, at=10, outcome=Outcome.ENDED_BY_FAULT)
        (finding,) = find_resends(Ledger.of([], [lost, *beside, exchange(4, at=12, connection=4)]))
        assert finding.evidence[1].startswith("exchange 1 was sent again as exchange 4 on connection 4, 1.00 s after")
        assert find_resends(Ledger.of([], [lost, *beside])) == []

    def test_every_lost_attempt_has_a_resend_of_its_own(self, exchange):
        lost = [exchange(n, at=10, connection=n, outcome=Outcome.ENDED_BY_FAULT) for n in (1, 2, 3)]
        again = [exchange(n, at=12 + n, connection=n) for n in (4, 5)]
        (finding,) = find_resends(Ledger.of([], [*lost, *again]))
        assert [line[:40] for line in finding.evidence[1:]] == [
            "exchange 1 was sent again as exchange 4 ",
            "exchange 2 was sent again as exchange 5 ",
        ]

    def test_two_requests_that_were_resent_are_two_findings(self, exchange):
        cut = Outcome.ENDED_BY_FAULT
        bodies = [b"a", b"b", b"a", b"b"]
        exchanges = [exchange(n, body=b, outcome=cut if n < 3 else Outcome.ANSWERED) for n, b in enumerate(bodies, 1)]
        assert codes(find_resends(Ledger.of([], exchanges))) == ["HC201", "HC201"]

    def test_only_the_retry_that_was_not_meant_is_told(self, exchange):
        attempts = [exchange(1, status=429), exchange(2, status=503), exchange(3)]
        (finding,) = find_resends(Ledger.of([], attempts), retry_statuses=[429])
        assert finding.code == "HC202"
        assert finding.evidence[1].startswith("exchange 2 was sent again as exchange 3")
        assert "after the answer 503" in finding.evidence[1]

    def test_only_connections_of_the_attempts_are_drawn(self, connection, exchange):
        cut = exchange(2, connection=2, outcome=Outcome.ENDED_BY_FAULT)
        exchanges = [exchange(1, body=b"other"), cut, exchange(3, connection=3)]
        (finding,) = find_resends(Ledger.of([connection(n) for n in (1, 2, 3)], exchanges))
        assert [c.number for c in finding.connections] == [2, 3]


class TestConcurrency:
    def test_calls_that_touch_but_do_not_overlap_ran_one_at_a_time(self, exchange):
        ledger = Ledger.of([], [exchange(n, at=n, connection=n) for n in (1, 2, 3)])
        assert codes(find_low_concurrency(ledger, at_least=2)) == ["HC401"]

    def test_no_call_at_all_is_said_to_be_none(self):
        (finding,) = find_low_concurrency(Ledger.of(), at_least=2, on="POST /execute")
        assert finding.code == "HC401"
        assert finding.evidence[-1] == "the test itself made only 0 of the 2 calls that this asks for"
