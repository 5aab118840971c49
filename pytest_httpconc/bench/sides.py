"""A side of a benchmark: something that is prepared, runs round after round, and is closed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, TypeVar

from pytest_httpconc.bench.figures import Round
from pytest_httpconc.bench.meter import Meter
from pytest_httpconc.bench.passes import PATIENCE, Stopwatch, Trials
from pytest_httpconc.bench.rounds import BenchmarkCall, BlockingCalls, CallsInLoop
from pytest_httpconc.bench.target import Census, Target

__all__ = ["AsyncSide", "BlockingSide", "LoopSide", "RunsRounds", "Side", "Work", "call_of", "side_of"]

_T = TypeVar("_T")
_CENSUSES: Final = 2  # at the most: one that did not get there is repeated once, by a client that has its connections


@dataclass(frozen=True, slots=True)
class Side:
    """A call that needs a client which lives as long as the benchmark.

    Args:
        call: makes one call: ``call(client)`` or ``call(client, url)``; it blocks, or is a coroutine function.
        client: a factory of a context manager, for a coroutine function of an async one if you like.
    """

    call: Callable[..., Any]
    client: Callable[[], Any] | None = None


class RunsRounds(Protocol):
    """What the runner needs of a side; where and how it makes its calls is its own business."""

    def prepare(self) -> None:
        """Get ready, and warm up."""

    def run_round(self) -> Round:
        """Make one round of calls."""

    def close(self) -> None:
        """Let go of everything, also after a `prepare` that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one round of a side is.

    Args:
        calls: how many, 1 or more.
        concurrency: how many may go on together, 1 or more.
        warm_up: how many calls come first and are not measured.
        census: whether a rendezvous proves the peak in flight before.
        cpu_passes: how often a round's calls are made once more for their CPU alone: answered at once, and one after
            the other. A process that waits finds its caches cold when it is woken, the more so the more others do
            meanwhile; threads that take turns lose them to each other; and how many answers a loop finds at a time is
            chance. So what a call costs would depend on the machine's state. There are none of calls that wait by
            themselves, and fewer of long ones. 0 where CPU is that of the round itself.
    """

    calls: int
    concurrency: int
    warm_up: int = 1
    census: bool = False
    cpu_passes: int = 0


class _Censuses:
    """The calls of a side held back until as many are in flight as can be: their number is the peak, by no clock."""

    def __init__(self, target: Target, work: Work) -> None:
        self._target = target
        self._work = work
        self.peak = 0
        self._left = _CENSUSES if work.census else 0

    def begin(self) -> Census | None:
        """A census that the next calls run into; None if there is nothing left to learn."""
        most = min(self._work.calls, self._work.concurrency)
        if not self._left or self.peak == most:
            return None
        self._left -= 1
        return self._target.begin_census(most)

    def end(self, census: Census) -> None:
        """The calls are over."""
        self.peak = max(self.peak, census.most_together)


class _LocalSide:
    """What sides of this process have in common."""

    def __init__(self, work: Work, target: Target) -> None:
        self._work = work
        self._target = target
        self._censuses = _Censuses(target, work)
        self._passes = work.cpu_passes

    @property
    def peak(self) -> int:
        """The peak in flight that is proved; 0 if none is."""
        return self._censuses.peak

    @property
    def has_passes(self) -> bool:
        """Whether CPU is measured in passes of its own."""
        return self._passes > 0


class BlockingSide(_LocalSide):
    """A side whose calls block.

    Args:
        call: makes one call.
        work: what a round is.
        target: what the calls go to.
    """

    def __init__(self, call: BenchmarkCall, work: Work, target: Target) -> None:
        super().__init__(work, target)
        self._calls = BlockingCalls(call, work.concurrency)

    def prepare(self) -> None:
        self._calls.open()
        while (census := self._censuses.begin()) is not None:
            self._calls.run(self._work.calls, self._target.url)
            self._censuses.end(census)
        self._target.begin_round()
        self._calls.run(self._work.warm_up, self._target.url)
        if self._passes:
            self._target.begin_round(at_once=True)
            self._passes = self._try_alone().passes(self._passes, self._work.calls)

    def _try_alone(self) -> Trials:
        trials = Trials()
        while not trials.are_enough:
            watch = Stopwatch(self._target)
            is_over = self._calls.run_alone(self._target.url, patience=PATIENCE, others=self._work.calls - 1)
            trials.add(watch.read(), needs_others=not is_over)
        return trials

    def run_round(self) -> Round:
        self._target.begin_round()
        meter = Meter(self._target.tally())
        measured = meter.read(self._calls.run(self._work.calls, self._target.url))
        passes = [self._run_pass() for _ in range(self._passes)]
        return replace(measured, pass_cpu=min(passes, default=None))

    def _run_pass(self) -> float:
        self._target.begin_round(at_once=True)
        watch = Stopwatch(self._target)
        self._calls.run_in_a_row(self._work.calls, self._target.url)
        return watch.read().cpu

    def close(self) -> None:
        self._calls.close()


class LoopSide(_LocalSide):
    """A side whose calls are coroutines of the running loop: as `BlockingSide`, to be awaited.

    Args:
        call: makes one call.
        work: what a round is.
        target: what the calls go to.
    """

    def __init__(self, call: BenchmarkCall, work: Work, target: Target) -> None:
        super().__init__(work, target)
        self._calls = CallsInLoop(call, work.concurrency)

    async def prepare(self) -> None:
        """As `RunsRounds` has it."""
        await self._calls.open()
        while (census := self._censuses.begin()) is not None:
            await self._calls.run(self._work.calls, self._target.url)
            self._censuses.end(census)
        self._target.begin_round()
        await self._calls.run(self._work.warm_up, self._target.url)
        if self._passes:
            self._target.begin_round(at_once=True)
            self._passes = (await self._try_alone()).passes(self._passes, self._work.calls)

    async def run_round(self) -> Round:
        """As `RunsRounds` has it."""
        self._target.begin_round()
        meter = Meter(self._target.tally(), asyncio.get_running_loop().time)
        measured = meter.read(await self._calls.run(self._work.calls, self._target.url))
        passes = [await self._run_pass() for _ in range(self._passes)]
        return replace(measured, pass_cpu=min(passes, default=None))

    async def _try_alone(self) -> Trials:
        trials = Trials()
        while not trials.are_enough:
            watch = Stopwatch(self._target)
            is_over = await self._calls.run_alone(self._target.url, patience=PATIENCE, others=self._work.calls - 1)
            trials.add(watch.read(), needs_others=not is_over)
        return trials

    async def _run_pass(self) -> float:
        self._target.begin_round(at_once=True)
        watch = Stopwatch(self._target)
        await self._calls.run_in_a_row(self._work.calls, self._target.url)
        return watch.read().cpu

    async def close(self) -> None:
        """As `RunsRounds` has it."""
        await self._calls.close()


class _OneTask:
    """A loop in which one coroutine after the other runs in the same task, and so in the same context.

    A client may keep itself in a context variable, where its calls look for it.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._steps: asyncio.Queue[tuple[Callable[[], Awaitable[Any]], asyncio.Future[Any]]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def run(self, step: Callable[[], Awaitable[_T]]) -> _T:
        """Await one more; what it raises is raised."""
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._take_steps())
        done: asyncio.Future[_T] = self._loop.create_future()
        self._steps.put_nowait((step, done))
        return self._loop.run_until_complete(done)

    async def _take_steps(self) -> None:
        while True:
            step, done = await self._steps.get()
            try:
                done.set_result(await step())
            except Exception as error:  # noqa: BLE001 -- it is raised where the step was asked for
                done.set_exception(error)
            except BaseException as error:  # noqa: BLE001 -- likewise: pytest.fail, a cancellation; another task goes on
                done.set_exception(error)
                return

    def close(self) -> None:
        """End the task, and what else belongs to the loop."""
        with contextlib.closing(self._loop):
            if self._task is not None:
                self._task.cancel()
                self._loop.run_until_complete(asyncio.wait([self._task]))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())


class AsyncSide:
    """A `LoopSide` with a loop of its own, that lives as long as it.

    Args:
        side: whose rounds run in it.
    """

    def __init__(self, side: LoopSide) -> None:
        self._side = side
        self._loop = _OneTask()

    @property
    def peak(self) -> int:
        """The peak in flight that is proved; 0 if none is."""
        return self._side.peak

    @property
    def has_passes(self) -> bool:
        """Whether CPU is measured in passes of its own."""
        return self._side.has_passes

    def prepare(self) -> None:
        self._loop.run(self._side.prepare)

    def run_round(self) -> Round:
        return self._loop.run(self._side.run_round)

    def close(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run(self._side.close)


def side_of(given: Side | Callable[..., Any], work: Work, target: Target) -> BlockingSide | AsyncSide:
    """A side from what a user gave: a function of one call, or a `Side`.

    Raises:
        ScenarioError: it can't be called, or takes more than a client and a URL.
    """
    call = call_of(given)
    return AsyncSide(LoopSide(call, work, target)) if call.is_async else BlockingSide(call, work, target)


def call_of(given: Side | Callable[..., Any]) -> BenchmarkCall:
    """The call of what a user gave.

    Raises:
        ScenarioError: it can't be called, or takes more than a client and a URL.
    """
    return BenchmarkCall(given.call, given.client) if isinstance(given, Side) else BenchmarkCall(given)
