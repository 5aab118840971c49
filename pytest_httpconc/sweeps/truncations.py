"""A response cut after every byte, with FIN and with RST, and a few that break the grammar."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from fake_servers import FakeServer, ScenarioError
from fake_servers.faults import Disconnect, Fault, Malformed, Reset, WrongLength
from fake_servers.records import Exchange
from fake_servers.records import Outcome as Fate
from pytest_httpconc.findings import Finding
from pytest_httpconc.sweeps.calls import Caller, Outcome
from pytest_httpconc.sweeps.evidence import Books, Report, Step, check_only, chosen
from pytest_httpconc.sweeps.logs import records_without_frames
from pytest_httpconc.sweeps.responses import Shape
from pytest_httpconc.sweeps.watchdog import Hung, Watchdog

__all__ = ["Truncations", "sweep_truncations"]

_LONGEST_FIRST_CALL: Final = 30.0  # seconds
_MOST_GRACES: Final = 4
_MOST_SLOWDOWN: Final = 20
_SHORTLY: Final = 0.05  # seconds; a pool that outlives the call keeps its connections
_NAMES: Final[dict[type[Fault], str]] = {Disconnect: "FIN", Reset: "RST"}


@dataclass(frozen=True, slots=True)
class Truncations:
    """What a sweep of truncations has done.

    Args:
        steps: how many steps were made.
        size: of the undisturbed response, in bytes.
        head: of it, the size of status line and headers.
        sampled: whether it was too large to be cut after each of its bytes.
        findings: what was found.
        at_most: after how many of its bytes it was cut, where the caller has said so.
    """

    steps: int
    size: int
    head: int
    sampled: bool
    findings: tuple[Finding, ...] = ()
    at_most: int | None = None

    def __repr__(self) -> str:
        where = "each byte of the head, boundaries and seeded points of the body" if self.sampled else "each byte"
        if self.at_most is not None:
            where = f"{self.at_most} of its bytes, boundaries and seeded points"
        return (
            f"<{self.steps} truncations of a response of {self.size} bytes (head {self.head}, "
            f"body {self.size - self.head}): after {where}, with FIN and RST; malformed; {len(self.findings)} findings>"
        )


def sweep_truncations(
    server: FakeServer,
    call: Callable[..., Any],
    client: Callable[[], Any] | None = None,
    *,
    only: int | None = None,
    at_most: int | None = None,
    malformed: bool = True,
    grace: float = 1.0,
) -> Truncations:
    """Cut the response to ``call()`` after every byte, with FIN and with RST, and send malformed ones.

    Each time the call must raise (HC601, HC602), nothing may be sent again that may have been executed (HC201),
    no socket may be left (HC101, HC102), and the same client must work afterwards (HC702). It all runs in a thread
    of its own. Of a body over 4 KiB, boundaries and seeded points are taken.

    Args:
        server: the server that is called.
        call: makes one call that sends one request, and raises where it fails: ``call()``, or ``call(client)``.
            A coroutine function is run by `asyncio.run`. Where it has a parameter ``nonce``, it is given a word that
            its answer is to contain (HC501).
        client: a factory of context managers, entered anew for each step.
        only: the number of a step, to be run alone.
        at_most: after how many of its bytes it is cut; boundaries and seeded points are taken. All when omitted.
        malformed: whether responses that break the grammar come after those that are cut.
        grace: seconds for which sockets may take to be closed, and, on top of what the first call took, a step.

    Raises:
        ScenarioError: the undisturbed call fails or sends no request or several, an argument is out of range, or it
            was called in a running loop.
    """
    check_only(only)
    if at_most is not None and (isinstance(at_most, bool) or not isinstance(at_most, int) or at_most < 1):
        raise ScenarioError(f"at_most={at_most!r} is no count; allowed are whole numbers from 1 up, as in at_most=100")
    caller = Caller(call, client)
    _check_place(server, caller)
    sweep = _Sweep(server, caller, grace, at_most=at_most, malformed=malformed)
    with records_without_frames():
        try:
            sweep.run(only)
        except Hung as error:
            sweep.hung(error)
    return sweep.result()


def _check_place(server: FakeServer, caller: Caller) -> None:
    if server.blocks():
        raise ScenarioError(
            "sweep_truncations would block the loop that this server runs in; use a server in a thread ('with' in "
            "place of 'async with'), and call the sweep in a test that is no coroutine"
        )
    if caller.is_async and asyncio._get_running_loop() is not None:
        raise ScenarioError(
            "sweep_truncations runs each step of a coroutine function by asyncio.run, and a loop is running here; "
            "call it in a test that is no coroutine, or by 'await asyncio.to_thread(httpconc.sweep_truncations, ...)'"
        )


@dataclass(frozen=True, slots=True)
class _Cut(Step):
    """A step that does something to the response; ``is_telling`` if a client can tell."""

    fault: Fault
    is_telling: bool

    @property
    def spoils_next(self) -> bool:
        """Whether the next call on the same connection may fail, and only the one after it must not."""
        return isinstance(self.fault, WrongLength) and self.fault.delta < 0

    @property
    def code(self) -> str:
        """What it is if a client accepts it."""
        return "HC601" if isinstance(self.fault, (Disconnect, Reset)) else "HC602"


class _Sweep:
    """One sweep of truncations; it runs in one thread."""

    def __init__(
        self, server: FakeServer, caller: Caller, grace: float, *, at_most: int | None, malformed: bool
    ) -> None:
        self._server = server
        self._at_most = at_most
        self._malformed = malformed
        self._caller = caller
        self._books = Books(server, grace)
        self._report = Report()
        self._dog = Watchdog()
        self._inside = self._outside = 0
        self._grace = grace
        self._current: Step | None = None
        self._made = 0

    def run(self, only: int | None) -> None:
        """Make all steps, or only one, up to the first after which it can't go on.

        Raises:
            Hung: a call does not end.
        """
        self._dog.watch(lambda: self._run(only))

    def _run(self, only: int | None) -> None:
        self._dog.step(_LONGEST_FIRST_CALL)
        began_at = time.monotonic()
        self._learn()
        limit = _MOST_GRACES * self._grace + _MOST_SLOWDOWN * (time.monotonic() - began_at)
        for cut in chosen(self._cuts(), only):
            self._dog.step(limit)
            if not self._visit(cut):
                break

    def result(self) -> Truncations:
        """What was done so far."""
        shape = self._shape
        findings = tuple(self._report.findings.values())
        few = None if self._at_most is None or shape.size <= self._at_most else self._at_most
        return Truncations(self._made, shape.size, shape.head, shape.is_sampled or few is not None, findings, few)

    def hung(self, error: Hung) -> None:
        """The step that is being made does not end."""
        if self._current is None:
            raise ScenarioError(f"the undisturbed call does not end: {error}")
        summary = f"the step did not end within {error.seconds:.3g} s"
        self._found(Finding(code="HC702", summary=summary, evidence=[error.where]))

    # -- the undisturbed call -----------------------------------------------------------------------------

    def _learn(self) -> None:
        """Make an undisturbed call, and see what its response is and which connections it leaves."""
        self._books.begin()
        with self._server.tapped() as sent:
            outcome = self._perform(None)
            exchanges = self._check_first(outcome)
            self._shape = Shape.of(bytes(sent[exchanges[0].connection]))
        self._bodiless = exchanges[0].method == "HEAD" or exchanges[0].status in {204, 304}

    def _check_first(self, outcome: Outcome) -> list[Exchange]:
        if outcome.is_anothers:
            raise ScenarioError(f"the undisturbed call {outcome}, without its nonce; have the server echo it")
        exchanges = self._own
        if len(exchanges) != 1:
            raise ScenarioError(
                f"the undisturbed call sent {len(exchanges)} requests to {self._server!r}; a sweep cuts the response "
                "to one: do what comes before it in the factory of the client, or outside"
            )
        return exchanges

    # -- steps --------------------------------------------------------------------------------------------

    def _cuts(self) -> list[_Cut]:
        """All that is done to the response, in order."""
        return [_Cut(number, what, fault, telling) for number, (what, fault, telling) in enumerate(self._faults(), 1)]

    def _faults(self) -> Iterator[tuple[str, Fault, bool]]:
        yield from self._cuts_of_bytes()
        if self._malformed:
            yield from self._breaches_of_grammar()

    def _cuts_of_bytes(self) -> Iterator[tuple[str, Fault, bool]]:
        shape = self._shape
        for at in shape.points(self._server.scenario.seed, self._at_most):
            for kind in (Disconnect, Reset):
                what = f"{_NAMES[kind]} after {at} bytes, {shape.part(at)}"
                yield what, kind(after_bytes=at), at < shape.complete_at

    def _breaches_of_grammar(self) -> Iterator[tuple[str, Fault, bool]]:
        for fault in (Malformed("status"), Malformed("header"), Malformed("garbage")):
            yield str(fault), fault, True
        if not self._bodiless:
            yield str(Malformed("chunk")), Malformed("chunk"), True
            yield "a body 5 bytes shorter than its Content-Length", WrongLength(5), True
            # What is too much comes when the call has its answer: it is the next call that must not get it.
            yield "a body 5 bytes longer than its Content-Length", WrongLength(-5), False

    def _visit(self, cut: _Cut) -> bool:
        """Make one step; return whether the sweep can go on after it."""
        self._current = cut
        self._made += 1
        self._books.begin()
        self._perform(cut)
        fatal = {"HC101", "HC102", "HC702"}
        return not fatal & set(self._report.findings)

    def _perform(self, cut: _Cut | None) -> Outcome:
        outcome = asyncio.run(self._performed_in_loop(cut)) if self._caller.is_async else self._performed(cut)
        with self._dog.resting():
            if cut is None:
                self._books.settle(0, _SHORTLY)
                self._outside = self._books.held
            elif not self._books.settle(self._outside):
                self._leaked()
        return outcome

    def _performed(self, cut: _Cut | None) -> Outcome:
        with self._caller.entered() as client:
            self._entered = self._books.requests
            if cut is None:
                outcome = self._caller.run(client, must_succeed=True)
                self._note_first()
                return outcome
            with self._server.injected(cut.fault, times=1):
                outcome = self._caller.run(client)
            self._judge(cut, outcome)
            following = self._caller.run(client)
            if cut.spoils_next and not following.is_answer:
                following = self._caller.run(client)
            self._judge_next(following)
            with self._dog.resting():
                if not self._books.settle(self._inside):
                    self._leaked()
        return outcome

    async def _performed_in_loop(self, cut: _Cut | None) -> Outcome:
        async with self._caller.entered_in_loop() as client:
            self._entered = self._books.requests
            if cut is None:
                outcome = await self._caller.run_in_loop(client, must_succeed=True)
                self._note_first()
                return outcome
            with self._server.injected(cut.fault, times=1):
                outcome = await self._caller.run_in_loop(client)
            self._judge(cut, outcome)
            following = await self._caller.run_in_loop(client)
            if cut.spoils_next and not following.is_answer:
                following = await self._caller.run_in_loop(client)
            self._judge_next(following)
            with self._dog.resting():
                if not await self._books.settle_in_loop(self._inside):
                    self._leaked()
        return outcome

    # -- verdicts -----------------------------------------------------------------------------------------

    def _note_first(self) -> None:
        self._own = self._books.exchanges[self._entered :]
        self._inside = self._books.held

    def _judge(self, cut: _Cut, outcome: Outcome) -> None:
        for finding in self._books.resends(calls=self._entered + 1):
            self._found(finding)
        if outcome.is_anothers:
            self._found(Finding(code="HC501", summary=f"the call with {outcome.nonce} {outcome}"))
        if outcome.is_answer and cut.is_telling and not self._was_answered(cut):
            exchanges = self._books.exchanges[self._entered :]
            self._found(Finding(code=cut.code, summary=f"the call {outcome}", exchanges=exchanges))

    def _was_answered(self, cut: _Cut) -> bool:
        """Whether an attempt was answered in full, as a second one may have been, or one with a shorter response."""
        own = self._books.exchanges[self._entered :]
        answered = [e for e in own if e.outcome is Fate.ANSWERED]
        return any(cut.code == "HC601" or e.fault is not cut.fault for e in answered)

    def _judge_next(self, outcome: Outcome) -> None:
        if outcome.raised is not None:
            self._found(Finding(code="HC702", summary=f"the next call, undisturbed, {outcome}"))
        elif outcome.is_anothers:
            self._found(Finding(code="HC501", summary=f"the next call with {outcome.nonce} {outcome}"))

    def _leaked(self) -> None:
        for finding in self._books.leaks():
            self._found(finding)

    def _found(self, finding: Finding) -> None:
        assert self._current is not None, "only a step can show something"
        self._report.add(self._current, finding)
