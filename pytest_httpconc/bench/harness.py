"""`HttpconcBenchmark`: what the fixture gives. It measures one side, or two beside each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fake_servers import FakeServer, ScenarioError, latency
from fake_servers.server import clock_is_virtual
from fake_servers.started import forget_server
from pytest_httpconc.bench.figures import Comparison, Measurement, Round
from pytest_httpconc.bench.measuring import Judge, Measuring
from pytest_httpconc.bench.orders import QUICK, VIRTUAL, Depth, Options, Order, calling_place
from pytest_httpconc.bench.reference import running_reference
from pytest_httpconc.bench.results import Result
from pytest_httpconc.bench.runner import Progress, run_in_turns, run_in_turns_in_loop
from pytest_httpconc.bench.sides import AsyncSide, LoopSide, RunsRounds, Side, call_of, side_of
from pytest_httpconc.bench.tables import describe
from pytest_httpconc.bench.target import make_server
from pytest_httpconc.bench.verdicts import Regression, Verdict, overall

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["HttpconcBenchmark"]


class HttpconcBenchmark:
    """Measures calls by what a server saw of them, and by ratios within one run.

    Args:
        name: of the test, for the baseline.
        depth: how thoroughly.
        judge: compares with the baseline; None where nothing is judged.
        record: is given every result, and the candidate's rounds.
        progress: is told how many rounds are done, and how many there may be.
    """

    def __init__(
        self,
        name: str,
        *,
        depth: Depth = QUICK,
        judge: Judge | None = None,
        record: Callable[[Result, list[Round]], None] = lambda result, rounds: None,
        progress: Progress = lambda done, most: None,
    ) -> None:
        self._name = name
        self._depth = depth
        self._judge = judge
        self._record = record
        self._progress = progress
        self._names: set[str] = set()
        self._server: FakeServer | None = None

    @property
    def server(self) -> FakeServer:
        """The harness's own server: it answers every method and path with 200 and a small JSON.

        What its clients leave open is no leak: a benchmark compares clients, good and bad.
        """
        if self._server is None:
            # One round that is not judged is over before a process has begun.
            self._server = make_server("thread" if self._depth is QUICK else "process").start()
            forget_server(self._server)
        return self._server

    def close(self) -> None:
        """Stop the harness's server."""
        if self._server is not None:
            self._server.stop()

    def compare(
        self, candidate: Side | Callable[..., Any], baseline: Side | Callable[..., Any], **options: Unpack[Options]
    ) -> Comparison:
        """Measure two sides in turns: a warm-up of each, then rounds in alternating order.

        Args:
            candidate: makes one call, as ``candidate(url)`` or ``candidate()``; an ``async def`` is run by gather in
                one loop that lives for all rounds, anything else by threads that do. A `Side` gives it a client.
            baseline: what it is compared with.
            options: see `Options`.

        Raises:
            ScenarioError: an argument is out of range.
            Regression: it is worse than its baseline in the file, where that is asked for.
            Exception: what a call raised.
        """
        __tracebackhide__ = True
        measured = self._measure([candidate, baseline], Order.of(options))
        assert isinstance(measured, Comparison), "there were two sides"
        return measured

    def run(self, candidate: Side | Callable[..., Any], **options: Unpack[Options]) -> Measurement:
        """Measure one side; arguments and errors as in `compare`."""
        __tracebackhide__ = True
        return self._measure([candidate], Order.of(options))

    async def compare_in_loop(
        self, candidate: Side | Callable[..., Any], baseline: Side | Callable[..., Any], **options: Unpack[Options]
    ) -> Comparison:
        """As `compare`, in the running loop, both sides being coroutine functions.

        On a virtual clock the server runs in the loop too, and the seconds are exact. CPU is not compared with a
        reference, which would block the loop, and is that of the rounds.
        """
        __tracebackhide__ = True
        measured = await self._measure_in_loop([candidate, baseline], Order.of(options))
        assert isinstance(measured, Comparison), "there were two sides"
        return measured

    async def run_in_loop(self, candidate: Side | Callable[..., Any], **options: Unpack[Options]) -> Measurement:
        """As `run`, in the running loop; see `compare_in_loop`."""
        __tracebackhide__ = True
        return await self._measure_in_loop([candidate], Order.of(options))

    def _measure(self, given: list[Side | Callable[..., Any]], order: Order) -> Measurement:
        __tracebackhide__ = True
        if asyncio._get_running_loop() is not None:
            raise ScenarioError("a loop is running here: await compare_in_loop(...) or run_in_loop(...)")
        target = order.target(order.server or self.server)
        work = order.work(self._depth)
        sides = [side_of(one, work, target) for one in given]
        name = self._name_of(order)
        measuring = Measuring(
            name,
            sides,
            concurrency=order.concurrency,
            depth=self._depth,
            judge=self._judge,
            passes=work.cpu_passes > 0,
        )
        with self._reference(order, is_async=isinstance(sides[0], AsyncSide)) as references:
            turns = measuring.turns(progress=self._progress, references=len(references))
            rounds = run_in_turns([*sides, *references], turns)
        return self._conclude(name, measuring, rounds)

    async def _measure_in_loop(self, given: list[Side | Callable[..., Any]], order: Order) -> Measurement:
        __tracebackhide__ = True
        virtual = clock_is_virtual()
        depth = self._depth_in_loop(virtual=virtual)
        name = self._name_of(order)
        async with self._server_in_loop(order, virtual=virtual) as server:
            target = order.target(server)
            sides = [LoopSide(call_of(one), order.work(depth), target) for one in given]
            measuring = Measuring(
                name, sides, concurrency=order.concurrency, depth=depth, judge=self._judge, virtual=virtual
            )
            rounds = await run_in_turns_in_loop(sides, measuring.turns(progress=self._progress))
        return self._conclude(name, measuring, rounds)

    def _reference(self, order: Order, *, is_async: bool) -> AbstractContextManager[Sequence[RunsRounds]]:
        if not self._depth.reference:
            return nullcontext(())
        work = replace(order.work(self._depth), census=False)
        waits = 0.0 if work.cpu_passes else order.latency
        return running_reference(work, latency.of(waits), is_async=is_async)

    def _depth_in_loop(self, *, virtual: bool) -> Depth:
        if virtual and self._depth is not QUICK:
            return VIRTUAL
        return replace(self._depth, reference=False, cpu_passes=0)

    @asynccontextmanager
    async def _server_in_loop(self, order: Order, *, virtual: bool) -> AsyncIterator[FakeServer]:
        if order.server is not None:
            yield order.server
        elif virtual:
            async with make_server("loop") as server:
                forget_server(server)
                yield server
        else:
            yield self.server

    def _name_of(self, order: Order) -> str:
        name = self._name if order.name is None else f"{self._name} {order.name}"
        if name in self._names:
            raise ScenarioError(f"{name!r} has been measured already; tell this one apart, as in name='pooled'")
        self._names.add(name)
        return name

    def _conclude(self, name: str, measuring: Measuring, rounds: list[list[Round]]) -> Measurement:
        __tracebackhide__ = True
        measured = measuring.measured(rounds)
        judgements = measuring.judged(measured)
        result = Result.of(name, calling_place(), measured, judgements)
        self._record(result, rounds[0])
        if overall(judgements) is Verdict.WORSE:
            raise Regression(judgements, describe(result))
        return measured
