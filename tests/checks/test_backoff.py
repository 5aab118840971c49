"""HC203 on hand-written ledgers."""

import pytest

from fake_servers.ledger import Ledger, Outcome
from pytest_httpconc.checks import find_hasty_retries


@pytest.fixture
def attempts(exchange):
    """Attempts at one call, with the given pauses between them; all but the last are refused."""

    def attempts(*pauses, status=429, retry_after=None, number=1, begun_at=10.0, **fields):
        refused = {"status": status, "response_fields": () if retry_after is None else (("retry-after", retry_after),)}
        made = [exchange(number, at=begun_at, **refused, **fields)]
        for pause in pauses:
            number += 1
            made.append(exchange(number, at=made[-1].ended_at + pause, **refused, **fields))
        made[-1] = exchange(number, at=made[-1].begun_at, **fields)
        return made

    return attempts


def found(exchanges, **arguments):
    return find_hasty_retries(Ledger.of([], exchanges), **arguments)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("pause", [0.0, 0.5, 1.99])
def test_retry_before_retry_after_has_passed_is_found(attempts, status, pause):
    (finding,) = found(attempts(pause, status=status, retry_after="2"))
    assert finding.code == "HC203"
    assert finding.summary == f"POST /execute was sent 2 times, on {status}"
    assert f"answered {status} and Retry-After: 2; it was sent again as exchange 2" in finding.evidence[0]


@pytest.mark.parametrize("pause", [2.0, 2.5, 60.0])
def test_retry_after_its_seconds_is_none(attempts, pause):
    assert found(attempts(pause, retry_after="2")) == []


def test_steady_pause_is_none_where_retry_after_asks_for_it(attempts):
    assert found(attempts(2, 2, 2, 2, 2, retry_after="2")) == []


def test_retry_with_no_pause_is_found(attempts):
    (finding,) = found(attempts(0.02))
    assert finding.evidence == [
        "exchange 1 was answered 429 and no Retry-After; it was sent again as exchange 2, 20.0 ms later"
    ]


def test_shortest_pause_can_be_set(attempts):
    assert found(attempts(0.02), at_least=0.01) == []
    assert len(found(attempts(5), at_least=6)) == 1


@pytest.mark.parametrize("date", ["Fri, 31 Dec 1999 23:59:59 GMT", "", "soon", "-1", "1.5", "٣"])
def test_retry_after_that_is_no_number_of_seconds_is_none(attempts, date):
    assert found(attempts(1, retry_after=date)) == []


@pytest.mark.parametrize("pauses", [(1, 1, 1), (1, 1.02, 1.01, 1)])
def test_pauses_that_do_not_grow_after_429_are_found(attempts, pauses):
    (finding,) = found(attempts(*pauses))
    assert finding.evidence[0].startswith("the pauses do not grow, though each 429 says that they were too short: 1.00")


@pytest.mark.parametrize(
    "pauses",
    [(1, 1), (1, 2, 3), (1, 2, 4), (0.4, 1.1, 0.9), (0.9, 0.3, 1.7), (8, 8, 4)],
    ids=["too few", "linear", "exponential", "equal jitter", "full jitter", "shrinking"],
)
def test_pauses_that_grow_or_jitter_are_none(attempts, pauses):
    assert found(attempts(*pauses)) == []


def test_steady_pause_after_503_is_none(attempts):
    assert found(attempts(1, 1, 1, 1, status=503)) == []


def test_one_call_after_another_is_no_run(attempts):
    calls = [attempts(1, number=n, begun_at=10 * n) for n in (1, 3, 5, 7)]
    assert found([attempt for call in calls for attempt in call]) == []


@pytest.mark.parametrize("status", [200, 404, 500, 502])
def test_other_answers_ask_for_no_pause(attempts, status):
    assert found(attempts(0, status=status)) == []


def test_what_was_cut_off_was_no_answer(exchange):
    cut = exchange(1, outcome=Outcome.ENDED_BY_FAULT, status=429)
    assert found([cut, exchange(2, at=cut.ended_at)]) == []


def test_calls_with_different_idempotency_keys_are_two(exchange):
    def call(number, key, **fields):
        return exchange(number, at=9.0 + number, raw_headers=((b"idempotency-key", key),), **fields)

    assert found([call(1, b"a", status=429), call(2, b"b")]) == []
    assert len(found([call(1, b"a", status=429), call(2, b"a")])) == 1


def test_requests_that_are_not_meant_are_not_judged(attempts):
    assert found(attempts(0), on="GET /execute") == []
    assert found(attempts(0), since=1) == []
    assert len(found(attempts(0, method="GET"))) == 1


class TestStorms:
    def storm(self, attempts, clients, spread=0.0):
        calls = [
            attempts(2 + spread * n, retry_after="2", number=2 * n + 1, body=b"%d" % n, connection=n + 1)
            for n in range(clients)
        ]
        return sorted((attempt for call in calls for attempt in call), key=lambda e: e.number)

    def test_clients_that_come_back_when_they_were_told_to_have_done_nothing_wrong(self, attempts):
        assert found(self.storm(attempts, 20)) == []

    def test_too_many_together_are_found_where_that_is_asked(self, attempts):
        (finding,) = found(self.storm(attempts, 20), at_most_together=10)
        assert finding.evidence == ["20 retries began within 100.0 ms of each other, 10 may: spread them"]
        assert len(finding.exchanges) == 40

    def test_as_many_as_may_and_those_spread_over_time_are_none(self, attempts):
        assert found(self.storm(attempts, 10), at_most_together=10) == []
        assert found(self.storm(attempts, 20, spread=0.06), at_most_together=2) == []

    def test_company_of_a_hasty_retry_is_told(self, attempts):
        calls = [attempts(0, number=2 * n + 1, body=b"%d" % n, connection=n + 1) for n in range(5)]
        findings = found([attempt for call in calls for attempt in call])
        assert len(findings) == 5
        assert {finding.evidence[-1] for finding in findings} == {"5 retries came within 100.0 ms of each other"}


def test_equal_calls_that_take_turns_are_told_from_one_that_is_hasty(exchange):
    refused = {"status": 429, "response_fields": (("retry-after", "1"),)}
    first = [exchange(n, at=10.0 + n / 100, **refused) for n in range(1, 7)]
    again = [exchange(e.number + 6, at=e.ended_at + 1.05) for e in first]
    assert found([*first, *again]) == []
    hasty = [exchange(e.number + 6, at=e.ended_at + 0.5) for e in first]
    assert len(found([*first, *hasty])) == 6


def test_pause_after_a_date_is_not_judged(attempts):
    assert found(attempts(0.3, 0.3, 0.3, 0.3, retry_after="Wed, 21 Oct 2026 07:28:00 GMT")) == []
