"""Faults as values: what they accept, what they refuse and why, and how they print."""

from __future__ import annotations

import pytest

from fake_servers import Injection, Moment, ScenarioError, faults
from fake_servers.faults import (
    Disconnect,
    Dribble,
    FullBacklog,
    HalfClose,
    Malformed,
    Redirect,
    Refuse,
    Reset,
    Stall,
    Status,
    Throttle,
    WrongLength,
)


@pytest.mark.parametrize("kind", [Disconnect, Reset, Stall])
def test_fault_acts_once_executed_unless_told_otherwise(kind):
    assert kind().at is Moment.EXECUTED
    assert kind(after_bytes=17).at is Moment.RESPONSE
    assert kind(at=Moment.RESPONSE).after_bytes == 1


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Disconnect(at="executed"), "not a moment; allowed are Moment.ACCEPT, Moment.REQUEST_HEAD"),
        (lambda: Reset(at=Moment.IDLE, after_bytes=3), "goes with at=Moment.RESPONSE and not with at=Moment.IDLE"),
        (lambda: Reset(after_bytes=-1), "after_bytes=-1 is out of range; allowed are whole numbers from 0 up"),
        (lambda: Reset(after_bytes=1.5), "after_bytes=1.5 is out of range"),
        (lambda: Reset(after_bytes=True), "after_bytes=True is out of range"),
        (lambda: Stall(seconds=-1), "seconds=-1 is out of range; allowed are seconds from 0 up"),
        (lambda: Stall(seconds="1"), "seconds='1' is out of range"),
        (lambda: Stall(seconds=float("inf")), "seconds=inf is out of range"),
        (lambda: Stall(seconds=float("nan")), "seconds=nan is out of range"),
        (lambda: Dribble(size=0), "size=0 is out of range; allowed are whole numbers from 1 up"),
        (lambda: Dribble(interval=0), "interval=0 is out of range; allowed are seconds above 0"),
        (lambda: Throttle(rate=0), "rate=0 is out of range; allowed are bytes a second above 0"),
        (lambda: Throttle(rate=-5), "rate=-5 is out of range"),
        (lambda: WrongLength(0), "delta=0 is no wrong length; allowed are whole numbers but 0"),
        (lambda: WrongLength(1.5), "delta=1.5 is no wrong length"),
        (lambda: Malformed("body"), "part='body' is not known; allowed are 'status', 'header', 'chunk', 'garbage'"),
        (lambda: Status(199), "status=199 is not a final status; allowed are 200 to 599"),
        (lambda: Status("503"), "status='503' is not a final status"),
        (lambda: Status(503, headers={"Retry-After": "1\r\nX: y"}), "must have a name and no line break"),
        (lambda: Redirect("/x", status=200), "status=200 is no redirect; allowed are 300 to 399"),
        (lambda: Redirect("/x\n"), "must have a name and no line break"),
        (lambda: Refuse(seconds=-1), "seconds=-1 is out of range"),
        (lambda: FullBacklog(seconds=None), "seconds=None is out of range"),
    ],
)
def test_wrong_argument_is_refused_with_what_is_allowed(make, reason):
    with pytest.raises(ScenarioError) as refusal:
        make()
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "needs a latency or a fault"),
        ({"fault": Reset}, "is no fault; write one of fake_servers.faults"),
        ({"fault": Reset(), "after": -1}, "after=-1 is no count"),
        ({"fault": Reset(), "after": True}, "after=True is no count"),
        ({"fault": Reset(), "times": 0}, "times=0 is no count"),
        ({"fault": Reset(), "probability": 0}, "probability=0 is out of range"),
        ({"fault": Reset(), "probability": 1.1}, "probability=1.1 is out of range"),
        ({"fault": Reset(), "on": "post /x"}, "is not a pattern"),
        ({"latency": "fast"}, "neither seconds nor a distribution"),
        ({"latency": -1}, "is not a duration"),
        ({"fault": Reset(at=Moment.ACCEPT), "on": "GET /x"}, "acts before any request is known, so on='GET /x'"),
        ({"fault": Reset(at=Moment.ACCEPT), "latency": 1}, "so a latency can't apply"),
        ({"fault": Refuse(), "on": "GET /x"}, "acts before any request is known"),
        ({"fault": Refuse(), "times": 2}, "acts once, as soon as `after` connections are accepted"),
        ({"fault": FullBacklog(), "probability": 0.5}, "acts once"),
    ],
)
def test_senseless_injection_is_refused_with_the_reason(arguments, reason):
    with pytest.raises(ScenarioError) as refusal:
        Injection(**arguments)
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Disconnect(), "Disconnect(at=EXECUTED)"),
        (Reset(after_bytes=17), "Reset(after_bytes=17)"),
        (Stall(at=Moment.REQUEST), "Stall(at=REQUEST, for ever)"),
        (Stall(after_bytes=3, seconds=1.5), "Stall(after_bytes=3, seconds=1.5)"),
        (Status(503, {"Retry-After": "2"}), "Status(503)"),
    ],
)
def test_fault_prints_what_it_does(fault, text):
    assert str(fault) == text


@pytest.mark.parametrize(
    "make",
    [
        *(Disconnect, Stall, Dribble, Throttle, HalfClose, WrongLength, Malformed, Refuse),
        *(lambda: Status(503, {"A": "b"}), lambda: Redirect("/x")),
    ],
)
def test_equal_faults_are_equal_and_hash_alike(make):
    assert make() == make()
    assert hash(make()) == hash(make())


def test_every_fault_is_public():
    kinds = {kind for kind in vars(faults).values() if isinstance(kind, type) and issubclass(kind, faults.Fault)}
    abstract = {faults.Fault, faults.AtMoment, faults.InEvents, faults.Paced, faults.Substitute, faults.AtListener}
    assert {kind.__name__ for kind in kinds - abstract} == set(faults.__all__) - {"Fault", "Moment"}


@pytest.mark.parametrize(("rate", "pace"), [(1024, (51, 51 / 1024)), (1, (1, 1.0)), (1e6, (50_000, 0.05))])
def test_throttle_sends_pieces_at_its_rate(rate, pace):
    assert Throttle(rate).pace == pace
