"""What a side's rounds ask of their target and of their threads, at a target that notes it."""

import asyncio
import threading
from contextlib import closing
from types import SimpleNamespace

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


def test_passes_in_a_loop_are_made_one_call_after_the_other(target):
    together = []

    async def call():
        running.append(1)
        await asyncio.sleep(0)
        together.append(len(running))
        running.pop()

    running = []
    side = side_of(call, Work(calls=3, concurrency=3, cpu_passes=1), target)
    side.prepare()
    side.run_round()
    side.close()
    assert together[-3:] == [1, 1, 1]  # the pass
    assert together[-6] == 3  # the round


@pytest.fixture
def clocks(monkeypatch):
    """Time on the clock and CPU time, which pass as told."""
    now = SimpleNamespace(seconds=0.0, cpu=0.0)
    monkeypatch.setattr("time.perf_counter", lambda: now.seconds)
    monkeypatch.setattr("time.process_time", lambda: now.cpu)
    return now


@pytest.mark.parametrize(
    ("seconds", "cpu", "passes"),
    [
        (0.0019, 0.0, 3),  # waits for an answer
        (0.0021, 0.0, 0),  # waits by itself
        (0.03, 0.01, 3),  # waits for a core
        (0.031, 0.01, 0),
        (0.06, 0.06, 1),  # is long
        (1.1, 1.1, 1),
    ],
)
@pytest.mark.parametrize("blocks", [True, False])
def test_passes_are_for_calls_that_wait_for_no_more_than_their_server(target, clocks, seconds, cpu, passes, blocks):
    def work():
        clocks.seconds += seconds
        clocks.cpu += cpu

    async def work_in_loop():
        work()

    side = side_of(work if blocks else work_in_loop, Work(calls=4, concurrency=1, cpu_passes=3), target)
    side.prepare()
    assert side.has_passes == (passes > 0)
    target.begun.clear()
    side.run_round()
    side.close()
    assert target.begun == [False, *[True] * passes]


def test_one_trial_in_which_nothing_else_went_on_is_enough(target, clocks):
    waits = iter([0.0, *[0.03] * 5, *[0.0] * 100])

    def work():
        clocks.seconds += next(waits)

    side = side_of(work, Work(calls=4, concurrency=1, cpu_passes=1), target)
    side.prepare()
    assert side.has_passes
    side.close()


def test_calls_in_threads_that_need_each_other_are_made_together_and_have_no_passes(target, monkeypatch):
    monkeypatch.setattr("pytest_httpconc.bench.sides.PATIENCE", 0.05)
    barrier = threading.Barrier(2, timeout=10)
    side = side_of(barrier.wait, Work(calls=4, concurrency=2, warm_up=2, cpu_passes=3), target)
    side.prepare()
    assert not side.has_passes
    assert len(side.run_round().durations) == 4
    side.close()


def test_calls_in_a_loop_that_need_each_other_are_made_together_and_have_no_passes(target, monkeypatch):
    monkeypatch.setattr("pytest_httpconc.bench.sides.PATIENCE", 0.05)

    async def batched():
        waiting.append(asyncio.get_running_loop().create_future())
        if len(waiting) == 4:
            for one in waiting:
                one.set_result(None)
            waiting.clear()
        else:
            await waiting[-1]

    waiting = []
    side = side_of(batched, Work(calls=8, concurrency=4, warm_up=4, cpu_passes=3), target)
    side.prepare()
    assert not side.has_passes
    assert len(side.run_round().durations) == 8
    side.close()


def test_cpu_of_a_server_in_this_process_is_not_that_of_a_pass(target, clocks):
    def work():
        clocks.seconds += 1e-3
        clocks.cpu += 1e-3
        target.served += 4e-4

    side = side_of(work, Work(calls=5, concurrency=1, cpu_passes=1), target)
    side.prepare()
    assert side.run_round().pass_cpu == pytest.approx(5 * 6e-4)
    side.close()


def test_cpu_is_that_of_the_least_pass(target, clocks):
    costs = iter([1.0, 1.0, 9.0, 3.0, 2.0, 4.0])  # the warm-up and a trial, a round and three passes

    def work():
        clocks.cpu += next(costs)

    side = side_of(work, Work(calls=1, concurrency=1, cpu_passes=3), target)
    side.prepare()
    measured = side.run_round()
    assert (measured.cpu, measured.pass_cpu) == (9.0, 2.0)
    side.close()


@pytest.mark.parametrize("is_async", [True, False])
def test_reference_asks_and_works_as_often_as_its_work_alone(is_async, monkeypatch):
    done = []
    monkeypatch.setattr("pytest_httpconc.bench.reference._do_work", lambda: done.append(1))
    work = Work(calls=5, concurrency=2, warm_up=5)
    with running_reference(work, latency.of(0.0), is_async=is_async) as (calls, alone), closing(calls):
        calls.prepare()
        done.clear()
        assert calls.run_round().requests == len(done) == 5
        done.clear()
        assert alone.run_round().requests == 0
        assert len(done) == 5
