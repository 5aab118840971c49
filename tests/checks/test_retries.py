"""HC201 and HC202 on hand-written ledgers."""

import pytest

from fake_servers.faults import Disconnect, Malformed, Moment, Reset, WrongLength
from fake_servers.ledger import Ledger, Outcome
from pytest_httpconc.checks import find_resends

CUT = Outcome.ENDED_BY_FAULT


def codes(*exchanges, **arguments):
    return [finding.code for finding in find_resends(Ledger.of([], exchanges), **arguments)]


@pytest.mark.parametrize(
    "how_far",
    [
        {"received_at": None, "executed_at": None},
        {"executed_at": None},
        {},
        {"first_byte_at": 11.0, "status": 200},
    ],
    ids=["part read", "all read", "executed", "answered in part"],
)
def test_request_sent_again_after_the_server_had_any_of_it_is_hc201(exchange, how_far):
    assert codes(exchange(1, outcome=CUT, **how_far), exchange(2, connection=2)) == ["HC201"]


def test_request_sent_again_after_the_client_gave_up_is_hc201(exchange):
    assert codes(exchange(1, outcome=Outcome.ABORTED_BY_CLIENT), exchange(2, connection=2)) == ["HC201"]


@pytest.mark.parametrize("fault", [Malformed("status"), WrongLength(5)])
def test_request_sent_again_after_an_answer_that_nobody_can_read_is_hc201(exchange, fault):
    spoilt = exchange(1, fault=fault)
    (finding,) = find_resends(Ledger.of([], [spoilt, exchange(2, at=spoilt.ended_at + 0.002, connection=2)]))
    assert finding.code == "HC201"
    assert f"executed and answered 200, unreadably ({fault})" in finding.evidence[0]


def test_finding_says_which_and_where_and_how_long_after(exchange):
    lost = exchange(1, outcome=CUT, fault=Disconnect(at=Moment.EXECUTED))
    again = exchange(2, at=lost.ended_at + 0.002, connection=2)
    (finding,) = find_resends(Ledger.of([], [lost, again]))
    assert finding.summary == f"POST /execute was sent twice and executed twice, fingerprint {lost.fingerprint}"
    assert finding.evidence == [
        "exchange 1 on connection 1: executed, then ended by fault (Disconnect(at=EXECUTED))",
        "exchange 1 was sent again as exchange 2 on connection 2, 2.0 ms after the fault: executed and answered 200",
    ]


def test_every_resend_of_one_request_is_in_one_finding(exchange):
    attempts = [exchange(n, outcome=CUT, fault=Reset()) for n in (1, 2)]
    (finding,) = find_resends(Ledger.of([], [*attempts, exchange(3)]))
    assert len(finding.evidence) == 3


@pytest.mark.parametrize(
    "second",
    [
        {"body": b"other"},
        {"target": "/start"},
        {"target": "/execute?again=1"},
        {"method": "PATCH"},
        {"at": 10.5},
    ],
    ids=["other body", "other path", "other query", "other method", "begun before the first ended"],
)
def test_another_request_is_no_resend(exchange, second):
    assert codes(exchange(1, outcome=CUT), exchange(2, **second)) == []


def test_same_request_after_a_full_answer_is_a_new_call(exchange):
    assert codes(exchange(1), exchange(2), exchange(3)) == []


def test_request_of_which_the_body_never_came_has_no_fingerprint(exchange):
    assert codes(exchange(1, outcome=CUT, body=b"", body_complete=False), exchange(2, body=b"")) == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(("on", "found"), [("*", []), ("* /execute", []), ("{} /execute", ["HC201"])])
def test_idempotent_method_is_judged_only_where_it_is_named(exchange, method, on, found):
    attempts = exchange(1, method=method, outcome=CUT), exchange(2, method=method)
    assert codes(*attempts, on=on.format(method)) == found


def test_exchanges_from_before_are_not_looked_at(exchange):
    assert codes(exchange(1, outcome=CUT), exchange(2), since=1) == []


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_retry_on_a_status_is_hc202(exchange, status):
    assert codes(exchange(1, status=status, executed_at=None), exchange(2)) == ["HC202"]


@pytest.mark.parametrize("status", [200, 201, 301, 400, 401, 404, 422])
def test_status_that_nobody_retries_is_followed_by_a_new_call(exchange, status):
    assert codes(exchange(1, status=status), exchange(2)) == []


def test_retry_that_is_meant_is_none(exchange):
    assert codes(exchange(1, status=503), exchange(2), retry_statuses={429, 503}) == []


def test_both_kinds_are_told_apart(exchange):
    assert codes(exchange(1, status=503), exchange(2, outcome=CUT), exchange(3)) == ["HC201", "HC202"]
