"""A side of a benchmark: something that is prepared, runs round after round, and is closed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from fake_servers.rendezvous import Rendezvous
from pytest_httpconc.bench.figures import Round
from pytest_httpconc.bench.meter import Meter
from pytest_httpconc.bench.rounds import BenchmarkCall, BlockingCalls, CallsInLoop
from pytest_httpconc.bench.target import GivenTarget

__all__ = ["AsyncSide", "BlockingSide", "LoopSide", "RunsRounds", "Side", "Work", "call_of", "side_of"]

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
    """

    calls: int
    concurrency: int
    warm_up: int = 1
    census: bool = False


class _Census:
    """The calls of a side held back until as many are in flight as can be: their number is the peak, by no clock."""

    def __init__(self, target: GivenTarget, work: Work) -> None:
        self._target = target
        self._work = work
        self.peak = 0
        self._left = _CENSUSES if work.census else 0

    def begin(self) -> Rendezvous | None:
        """A rendezvous that the next calls run into; None if there is nothing left to learn."""
        most = min(self._work.calls, self._work.concurrency)
        if not self._left or self.peak == most:
            return None
        self._left -= 1
        return self._target.begin_census(most)

    def end(self, rendezvous: Rendezvous) -> None:
        """The calls are over."""
        self.peak = max(self.peak, rendezvous.most_together)


class _LocalSide:
    """What sides of this process have in common."""

    def __init__(self, work: Work, target: GivenTarget) -> None:
        self._work = work
        self._target = target
        self._census = _Census(target, work)

    @property
    def peak(self) -> int:
        """The peak in flight that is proved; 0 if none is."""
        return self._census.peak


class BlockingSide(_LocalSide):
    """A side whose calls block.

    Args:
        call: makes one call.
        work: what a round is.
        target: what the calls go to.
    """

    def __init__(self, call: BenchmarkCall, work: Work, target: GivenTarget) -> None:
        super().__init__(work, target)
        self._calls = BlockingCalls(call, work.concurrency)

    def prepare(self) -> None:
        self._calls.open()
        while (rendezvous := self._census.begin()) is not None:
            self._calls.run(self._work.calls, self._target.server.url)
            self._census.end(rendezvous)
        self._target.begin_round()
        self._calls.run(self._work.warm_up, self._target.server.url)

    def run_round(self) -> Round:
        self._target.begin_round()
        meter = Meter(self._target.server)
        return meter.read(self._calls.run(self._work.calls, self._target.server.url))

    def close(self) -> None:
        self._calls.close()


class LoopSide(_LocalSide):
    """A side whose calls are coroutines of the running loop: as `BlockingSide`, to be awaited.

    Args:
        call: makes one call.
        work: what a round is.
        target: what the calls go to.
    """

    def __init__(self, call: BenchmarkCall, work: Work, target: GivenTarget) -> None:
        super().__init__(work, target)
        self._calls = CallsInLoop(call, work.concurrency)

    async def prepare(self) -> None:
        """As `RunsRounds` has it."""
        await self._calls.open()
        while (rendezvous := self._census.begin()) is not None:
            await self._calls.run(self._work.calls, self._target.server.url)
            self._census.end(rendezvous)
        self._target.begin_round()
        await self._calls.run(self._work.warm_up, self._target.server.url)

    async def run_round(self) -> Round:
        """As `RunsRounds` has it."""
        self._target.begin_round()
        meter = Meter(self._target.server, asyncio.get_running_loop().time)
        return meter.read(await self._calls.run(self._work.calls, self._target.server.url))

    async def close(self) -> None:
        """As `RunsRounds` has it."""
        await self._calls.close()


class AsyncSide:
    """A `LoopSide` with a loop of its own, that lives as long as it.

    Args:
        side: whose rounds run in it.
    """

    def __init__(self, side: LoopSide) -> None:
        self._side = side
        self._loop = asyncio.new_event_loop()

    @property
    def peak(self) -> int:
        """The peak in flight that is proved; 0 if none is."""
        return self._side.peak

    def prepare(self) -> None:
        self._loop.run_until_complete(self._side.prepare())

    def run_round(self) -> Round:
        return self._loop.run_until_complete(self._side.run_round())

    def close(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._side.close())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())


def side_of(given: Side | Callable[..., Any], work: Work, target: GivenTarget) -> BlockingSide | AsyncSide:
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
