"""A call cancelled at every point at which it can be, alone and with others beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from fake_servers import FakeServer, ScenarioError
from fake_servers.deadlines import timeout as deadline
from pytest_httpconc.findings import Finding
from pytest_httpconc.sweeps.calls import Caller, Outcome
from pytest_httpconc.sweeps.evidence import Books, Report, Step, check_only
from pytest_httpconc.sweeps.logs import records_without_frames
from pytest_httpconc.sweeps.stepping import Steps, When

__all__ = ["Cancellations", "sweep_cancellations"]

_LONGEST_FIRST_CALL: Final = 30.0  # seconds
_MOST_SLOWDOWN: Final = 20
_LONGEST_TOGETHER: Final = 0.2  # seconds that calls are kept from taking turns, as on a busy machine they may
_MOST_POINTS: Final = 10_000
_SHORTLY: Final = 0.05  # seconds; a pool that outlives the call keeps its connections


@dataclass(frozen=True, slots=True)
class Cancellations:
    """What a sweep of cancellations has done.

    Args:
        steps: how many steps were made.
        points: at how many suspensions the call was cancelled, alone.
        contenders: how many calls went on beside it at the most.
        nonces: whether each answer was looked at for its call's nonce.
        findings: what was found.
    """

    steps: int
    points: int
    contenders: int
    nonces: bool
    findings: tuple[Finding, ...] = ()

    def __repr__(self) -> str:
        beside = f", with up to {self.contenders} calls beside it" if self.contenders else ""
        whose = "each answer was its caller's" if self.nonces else "whose answer came was not looked at (no nonce)"
        whose = "answers were looked at for their nonce" if self.nonces and self.findings else whose
        return (
            f"<{self.steps} cancellations of a call with {self.points} suspensions{beside}; {whose}; "
            f"{len(self.findings)} findings>"
        )


async def sweep_cancellations(
    server: FakeServer,
    call: Callable[..., Any],
    client: Callable[[], Any] | None = None,
    contenders: int = 1,
    *,
    only: int | None = None,
    grace: float = 1.0,
) -> Cancellations:
    """Cancel ``call()`` at every suspension, alone and, with others in flight, after every step of theirs.

    Alone, it is cancelled at each suspension twice: while it waits, and when what it waits for has just come. Each
    time it must raise CancelledError, and what goes on beside it and comes after it must work (HC702) and get its
    own answer (HC501); nothing may be sent again that may have been executed (HC201), and no socket may be left
    (HC701). A slot that a pool has lost shows where the pool has no more slots than there are calls.

    Args:
        server: the server that is called.
        call: a coroutine function that makes one call and raises where it fails: ``call()``, or ``call(client)``.
            Where it has a parameter ``nonce``, it is given a word that its answer is to contain.
        client: a factory of (async) context managers, entered anew for each step.
        contenders: up to how many further calls are in flight beside it; 0 or more.
        only: the number of a step, to be run alone.
        grace: seconds for which sockets may take to be closed, and, on top of what the first calls took, a step.

    Raises:
        ScenarioError: the undisturbed call fails or does not end, or an argument is out of range.
    """
    check_only(only)
    if isinstance(contenders, bool) or not isinstance(contenders, int) or contenders < 0:
        raise ScenarioError(
            f"contenders={contenders!r} is no count; allowed are whole numbers from 0 up, as in contenders=1"
        )
    caller = Caller(call, client)
    if not caller.is_async:
        raise ScenarioError(f"call={call!r} is no coroutine function, and only such can be cancelled: 'async def call'")
    with records_without_frames():
        return await _Sweep(server, caller, contenders, grace).run(only)


@dataclass(frozen=True, slots=True)
class _Line:
    """One way to cancel, at point after point.

    Args:
        contenders: how many calls are in flight beside the target.
        is_first: whether the target is the first of them to start.
        when: in which state the target is at its suspension.
    """

    contenders: int = 0
    is_first: bool = True
    when: When = "waiting"

    def step(self, number: int, point: int) -> Step:
        if not self.contenders:
            state = "while it waits" if self.when == "waiting" else "when what it waits for has come"
            return Step(number, f"cancelled at suspension {point}, {state}")
        order = "started first" if self.is_first else "started last"
        beside = "1 call" if self.contenders == 1 else f"{self.contenders} calls"
        return Step(number, f"{order}, with {beside} beside it, and cancelled after step {point} of all")


def _lines(contenders: int) -> list[_Line]:
    beside = [_Line(n, is_first) for n in range(1, contenders + 1) for is_first in (True, False)]
    return [_Line(), _Line(when="woken"), *beside]


class _Sweep:
    """One sweep of cancellations, in one loop.

    Steps are numbered line by line for the first point, then for the second, and so on: a number means the same
    in every run, however many points a line turns out to have.
    """

    def __init__(self, server: FakeServer, caller: Caller, contenders: int, grace: float) -> None:
        self._caller = caller
        self._books = Books(server, grace)
        self._report = Report()
        self._lines = _lines(contenders)
        self._contenders = contenders
        self._limit = _LONGEST_FIRST_CALL
        self._inside = self._outside = 0
        self._each = 1
        self._made = self._points = 0
        self._is_over = False
        self._current = Step(0, "undisturbed")

    async def run(self, only: int | None) -> Cancellations:
        """Make all steps, or only one, up to the first after which it can't go on."""
        await self._learn()
        if only is None:
            await self._visit_all()
        else:
            point, line = divmod(only - 1, len(self._lines))
            if not await self._visit(self._lines[line], only, point + 1):
                raise ScenarioError(f"only={only} is no step of this sweep: the call was over before it was cancelled")
        findings = tuple(self._report.findings.values())
        return Cancellations(self._made, self._points, self._contenders, self._caller.has_nonces, findings)

    async def _visit_all(self) -> None:
        left = dict(enumerate(self._lines))
        for point in range(1, _MOST_POINTS):
            for index, line in tuple(left.items()):
                if not await self._visit(line, (point - 1) * len(self._lines) + index + 1, point):
                    del left[index]
                elif index == 0:
                    self._points = point
                if self._is_over:
                    return
            if not left:
                return
        raise ScenarioError(f"the call is not over after {_MOST_POINTS} suspensions")

    async def _learn(self) -> None:
        """Run the calls undisturbed: what they send, how long they take, and which connections they leave."""
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        for contenders in {0, self._contenders}:
            self._books.begin()
            async with AsyncExitStack() as stack:
                client = await stack.enter_async_context(self._caller.entered_in_loop())
                before = self._books.requests
                stack.enter_context(self._together(contenders + 1))
                tasks = [asyncio.ensure_future(self._first(client)) for _ in range(contenders + 1)]
                done, late = await asyncio.wait(tasks, timeout=_LONGEST_FIRST_CALL)
                await _cancel(late, self._books.grace)
                if late:
                    raise ScenarioError(f"the undisturbed call does not end within {_LONGEST_FIRST_CALL:g} s")
                for task in done:
                    task.result()
                self._each = max(self._each, -(-(self._books.requests - before) // len(tasks)))
                self._inside = max(self._inside, self._books.held)
            await self._books.settle_in_loop(0, _SHORTLY)
            self._outside = max(self._outside, self._books.held)
        self._limit = self._books.grace + _MOST_SLOWDOWN * (loop.time() - began_at)

    def _together(self, calls: int) -> AbstractContextManager[object]:
        """Have as many calls overlap as the client lets, so that all the connections of its pool are known."""
        if calls == 1:
            return nullcontext()
        return self._books.server.held(until_in_flight=calls, give_up=_LONGEST_TOGETHER)

    async def _first(self, client: object) -> None:
        before = self._books.requests
        outcome = await self._caller.run_in_loop(client, must_succeed=True)
        if outcome.is_anothers:
            raise ScenarioError(f"the undisturbed call {outcome}, without its nonce; have the server echo it")
        if self._books.requests == before:
            raise ScenarioError(f"the undisturbed call sent no request to {self._books.server!r}")

    # -- one step -----------------------------------------------------------------------------------------

    async def _visit(self, line: _Line, number: int, point: int) -> bool:
        """Make one step; return whether the target was cancelled, and not over before."""
        self._current = line.step(number, point)
        self._books.begin()
        steps = Steps(point, line.when)
        manager = self._caller.entered_in_loop()
        client = await manager.__aenter__()
        entered = self._books.requests
        await self._disturb(client, line, steps)
        if steps.was_cancelled:
            self._made += 1
            for finding in self._books.resends(calls=entered + self._each * (line.contenders + 1)):
                self._found(finding)
        if not self._is_over:
            await self._afterwards(client)
            if not await self._books.settle_in_loop(self._inside) or self._books.passed_over():
                self._leaked()
        await self._leave(manager)
        if not await self._books.settle_in_loop(self._outside):
            self._leaked()
        return steps.was_cancelled

    async def _disturb(self, client: object, line: _Line, steps: Steps) -> None:
        """Have the calls run, and the target be cancelled."""
        target: asyncio.Task[Outcome] | None = None
        others: list[asyncio.Task[Outcome]] = []
        for index in range(line.contenders + 1):
            task = steps.take(lambda: self._caller.run_in_loop(client))
            if index == (0 if line.is_first else line.contenders):
                target = steps.target = task
            else:
                others.append(task)
        assert target is not None, "one of the calls is the target"
        late = await _late([target, *others], self._limit)
        if late:
            self._does_not_end("the cancelled call" if target in late else "a call beside it")
            await _cancel(late, self._books.grace)
            return
        if steps.was_cancelled and not target.cancelled():
            self._found(Finding(code="HC702", summary=f"the call swallowed its cancellation and {target.result()}"))
        if not steps.was_cancelled:
            self._judge("the call itself", target)
        for other in others:
            self._judge("a call beside it", other)

    async def _afterwards(self, client: object) -> None:
        """As many calls as there were must be served again, side by side."""
        tasks = [asyncio.ensure_future(self._caller.run_in_loop(client)) for _ in range(self._contenders + 1)]
        late = await _late(tasks, self._limit)
        if late:
            self._does_not_end("a call made afterwards")
        await _cancel(late, self._books.grace)
        for task in tasks:
            if task not in late:
                self._judge("a call made afterwards", task)

    async def _leave(self, manager: Any) -> None:
        """Close the client; one that does not end its own closing is left behind."""
        try:
            async with deadline(self._limit):
                await manager.__aexit__(None, None, None)
        except (asyncio.TimeoutError, TimeoutError):
            self._does_not_end("closing the client")
        except Exception as error:  # noqa: BLE001 -- it is told, whatever it is
            self._found(Finding(code="HC702", summary=f"closing the client raised {error!r}"))

    # -- verdicts -----------------------------------------------------------------------------------------

    def _judge(self, whose: str, task: asyncio.Task[Outcome]) -> None:
        if task.cancelled():
            self._found(Finding(code="HC702", summary=f"{whose}, undisturbed, was cancelled with it"))
            return
        outcome = task.result()
        if not outcome.is_answer:
            self._found(Finding(code="HC702", summary=f"{whose}, undisturbed, {outcome}"))
        elif outcome.is_anothers:
            self._found(Finding(code="HC501", summary=f"{whose}, with {outcome.nonce}, {outcome}"))

    def _does_not_end(self, what: str) -> None:
        self._found(Finding(code="HC702", summary=f"{what} did not end within {self._limit:.3g} s"))
        self._is_over = True

    def _leaked(self) -> None:
        for finding in self._books.leaks():
            state = "in CLOSE_WAIT" if finding.code == "HC102" else "open"
            self._found(replace(finding, code="HC701", summary=f"{finding.summary}, {state}"))
        self._is_over = True

    def _found(self, finding: Finding) -> None:
        self._report.add(self._current, finding)


async def _late(tasks: Sequence[asyncio.Task[Outcome]], seconds: float) -> set[asyncio.Task[Outcome]]:
    """Wait for tasks, and return those that have not ended; none is left if the sweep itself is cancelled."""
    try:
        return (await asyncio.wait(tasks, timeout=seconds))[1]
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        raise


async def _cancel(tasks: Any, grace: float) -> None:
    """End tasks, as far as they can be ended in the time."""
    for task in tasks:
        task.cancel()
    if tasks:
        done, _ = await asyncio.wait(tasks, timeout=grace)
        for task in done:
            with suppress(asyncio.CancelledError):
                task.exception()
