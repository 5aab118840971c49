"""What a side's rounds ask of their target and of their threads, at a target that notes it."""

import asyncio
import threading

import pytest

from fake_servers import latency
from pytest_httpconc.bench.figures import Seen
from pytest_httpconc.bench.reference import running_reference
from pytest_httpconc.bench.sides import Work, side_of


class NotingTarget:
    """No server at all: it notes what rounds begin with."""

    url = "http://127.0.0.1:1"
    served = 0.0

    def __init__(self):
        self.begun = []

    def begin_round(self, *, at_once=False):
        self.begun.append(at_once)

    def begin_census(self, concurrency):
        return None

    def tally(self):
        return self

    def read(self, calls):
        return Seen(requests=calls, executions=calls, connections=1, peak_in_flight=1)


@pytest.fixture
def target():
    return NotingTarget()


def test_round_waits_and_its_passes_do_not(target):
    side = side_of(lambda: None, Work(calls=2, concurrency=1, cpu_passes=2), target)
    side.prepare()
    side.run_round()
    side.close()
    assert side.has_passes
    assert target.begun == [False, True, False, True, True]  # the warm-up's and the trial's first


def test_passes_are_made_by_one_thread_where_rounds_are_made_by_several(target):
    barrier = threading.Barrier(2, timeout=10)
    makers = []

    def call():
        makers.append(threading.get_ident())
        if not target.begun[-1]:
            barrier.wait()  # nobody gets on alone

    side = side_of(call, Work(calls=4, concurrency=2, warm_up=2, cpu_passes=1), target)
    side.prepare()
    side.run_round()
    side.close()
    assert len(set(makers[-4:])) == 1  # the pass
    assert len(set(makers[-8:-4])) == 2  # the round


def test_passes_in_a_loop_go_on_together(target):
    together = []

    async def call():
        together.append(len(asyncio.all_tasks()))

    side = side_of(call, Work(calls=3, concurrency=3, cpu_passes=1), target)
    side.prepare()
    side.run_round()
    side.close()
    assert together[-3] >= 3


@pytest.mark.parametrize(("calls", "has_passes"), [(3, True), (4, False)])
@pytest.mark.parametrize("blocks", [True, False])
def test_calls_that_would_take_seconds_one_by_one_have_no_passes(target, monkeypatch, calls, has_passes, blocks):
    now = 0.0

    def wait():
        nonlocal now
        now += 0.3

    async def wait_in_loop():
        wait()

    monkeypatch.setattr("time.perf_counter", lambda: now)
    side = side_of(wait if blocks else wait_in_loop, Work(calls=calls, concurrency=1, cpu_passes=1), target)
    if not blocks:
        monkeypatch.setattr(side._loop._loop, "time", lambda: now)
    side.prepare()
    assert side.has_passes == has_passes
    side.run_round()
    side.close()
    assert target.begun.count(True) == 1 + has_passes


def test_cpu_is_that_of_the_least_pass(target, monkeypatch):
    clock = iter([0.0, 9.0, 10.0, 13.0, 20.0, 22.0, 30.0, 34.0])  # the round, and three passes
    side = side_of(lambda: None, Work(calls=2, concurrency=1, cpu_passes=3), target)
    side.prepare()
    monkeypatch.setattr("time.process_time", lambda: next(clock))
    measured = side.run_round()
    assert (measured.cpu, measured.pass_cpu) == (9.0, 2.0)
    side.close()


@pytest.mark.parametrize("is_async", [True, False])
def test_reference_takes_more_than_its_work_alone(is_async):
    work = Work(calls=20, concurrency=2, warm_up=20, cpu_passes=3)
    with running_reference(work, latency.of(0.0), is_async=is_async) as (calls, alone):
        calls.prepare()
        assert calls.run_round().pass_cpu > alone.run_round().cpu > 0
        calls.close()
