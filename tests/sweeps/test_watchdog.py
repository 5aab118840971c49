"""What counts as a step that hangs."""

import threading

import pytest

from pytest_httpconc.sweeps import watchdog
from pytest_httpconc.sweeps.watchdog import Hung, Watchdog


class Clock:
    """Seconds that pass when they are told to, and whether the thread that watches has looked since."""

    def __init__(self):
        self.now = 0.0
        self.watching = threading.current_thread()
        self.was_looked_at = threading.Event()

    def monotonic(self):
        if threading.current_thread() is self.watching:
            self.was_looked_at.set()
        return self.now

    def pass_by(self, seconds):
        self.now += seconds
        self.was_looked_at.clear()
        assert self.was_looked_at.wait(10)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(watchdog, "time", clock)
    return clock


def test_step_that_does_not_end_in_time_hangs(clock):
    dog, may_end = Watchdog(), threading.Event()

    def work():
        dog.step(1.0)
        clock.now += 1.5
        may_end.wait(10)

    with pytest.raises(Hung, match=r"no end within 1 s, at .* in wait"):
        dog.watch(work)
    may_end.set()


def test_time_at_rest_does_not_count(clock):
    dog, steps = Watchdog(), []

    def work():
        dog.step(1.0)
        with dog.resting():
            clock.pass_by(1.5)
            steps.append("rested")
        clock.pass_by(0.5)
        steps.append("ended")

    dog.watch(work)
    assert steps == ["rested", "ended"]


def test_error_of_the_work_is_raised_to_who_watches():
    dog = Watchdog()

    def work():
        dog.step(60.0)
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        dog.watch(work)
