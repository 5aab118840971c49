"""What the server's ledger says of one step: what was sent again, and what was left open."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from fake_servers import FakeServer, Ledger, ScenarioError
from fake_servers.records import Connection, Exchange, Outcome
from pytest_httpconc.checks import find_leaks, find_resends
from pytest_httpconc.findings import Finding
from pytest_httpconc.probe import describe_opening

__all__ = ["Books", "Report", "Step", "check_only", "chosen"]

_BEFORE_ALL: Final = 0.05
_YOUNG: Final = 1
_ALL: Final = 2

AnyStep = TypeVar("AnyStep", bound="Step")


@dataclass(frozen=True, slots=True)
class Step:
    """One point of a sweep.

    Args:
        number: by which it can be run alone.
        what: what happens at it, in words.
    """

    number: int
    what: str

    def __str__(self) -> str:
        return f"step {self.number}: {self.what}"


def check_only(only: int | None) -> None:
    """Refuse what is no number of a step.

    Raises:
        ScenarioError: it is none.
    """
    if only is not None and (isinstance(only, bool) or not isinstance(only, int) or only < 1):
        raise ScenarioError(f"only={only!r} is no step; allowed are None and whole numbers from 1 up, as in only=37")


def chosen(steps: Sequence[AnyStep], only: int | None) -> Sequence[AnyStep]:
    """All steps, or the one with this number.

    Raises:
        ScenarioError: there is none.
    """
    if only is None:
        return steps
    if only > len(steps):
        raise ScenarioError(f"only={only} is no step of this sweep; it has {len(steps)}, counted from 1")
    return steps[only - 1 : only]


@dataclass(slots=True)
class Report:
    """What was found so far; steps with the same code make one finding, which tells of the first in full."""

    findings: dict[str, Finding] = field(default_factory=dict)

    def add(self, step: Step, found: Finding) -> None:
        """Note what a step has shown."""
        known = self.findings.get(found.code)
        line = f"{step}: {found.summary}"
        if known is None:
            alone = f"run it alone with only={step.number}"
            self.findings[found.code] = replace(found, summary=line, evidence=[*found.evidence, alone])
        else:
            self.findings[found.code] = replace(known, evidence=[*known.evidence, line])


class Books:
    """A server's ledger from one step to the next.

    Args:
        server: the server.
        grace: seconds for which things may take to settle.
    """

    def __init__(self, server: FakeServer, grace: float) -> None:
        self.server = server
        self.grace = grace
        self._exchanges = self._connections = 0
        self.begin()

    def begin(self) -> None:
        """A step begins."""
        self._exchanges = self.server.ledger.count()
        self._connections = self.server.ledger.total_connections

    @property
    def requests(self) -> int:
        """How many requests the step has sent so far."""
        return self.server.ledger.count() - self._exchanges

    @property
    def exchanges(self) -> list[Exchange]:
        """The step's exchanges so far, oldest first."""
        if not self.requests:
            return []
        return [e for e in self.server.ledger.exchanges if e.number > self._exchanges]

    @property
    def held(self) -> int:
        """How many connections clients hold now, this step's or not."""
        return self.server.ledger.held_connections

    def resends(self, calls: int) -> list[Finding]:
        """What was sent again in this step (HC201), in which so many calls, perhaps alike, were made."""
        if self.requests <= calls:
            return []
        found = find_resends(self.server.ledger, since=self._exchanges)
        return [f for f in found if f.code == "HC201" and len(f.exchanges) > calls]

    def settle(self, allowed: int, grace: float | None = None) -> bool:
        """Wait until no more than so many connections are held; only where there are more."""
        if self.held <= allowed:
            return True
        for generation, seconds in _patience(self.grace if grace is None else grace):
            gc.collect(generation)  # sessions in a reference cycle close only when they are collected
            with contextlib.suppress(TimeoutError):
                return self.server.ledger.wait_until(lambda now: now.held_connections <= allowed, timeout=seconds)
        return self.held <= allowed

    async def settle_in_loop(self, allowed: int, grace: float | None = None) -> bool:
        """As `settle`, while the loop goes on."""
        if self.held <= allowed:
            return True
        for generation, seconds in _patience(self.grace if grace is None else grace):
            gc.collect(generation)
            with contextlib.suppress(TimeoutError):
                return await self.server.ledger.until(lambda now: now.held_connections <= allowed, timeout=seconds)
        return self.held <= allowed

    def passed_over(self) -> bool:
        """Whether a connection of this step was never used and is open, and a later one was opened all the same.

        To be asked when as many calls as ever were made side by side have all been served.
        """
        if self.server.ledger.total_connections <= self._connections + 1:
            return False
        own = [c for c in self.server.ledger.connections if c.number > self._connections]
        return any(c.is_open and not c.exchanges for c in own[:-1])

    def leaks(self) -> list[Finding]:
        """The connections that are left of this step, those of exchanges that came to nothing first."""
        ledger = self.server.ledger
        left = [c for c in ledger.connections if c.is_open or c.is_abandoned]
        exchanges = [e for e in ledger.exchanges if e.connection in {c.number for c in left}]
        own = [c for c in left if c.number > self._connections]
        suspects = _lost(left, exchanges, self._exchanges) or [c for c in own if not c.exchanges] or own or left
        numbers = {c.number for c in suspects}
        seen = Ledger.of(suspects, [e for e in exchanges if e.connection in numbers])
        return find_leaks(seen, opened=lambda connection: describe_opening(self.server, connection))


def _patience(grace: float) -> tuple[tuple[int, float], ...]:
    """Generations of garbage to collect, each with the seconds to wait afterwards: what a step has made is young."""
    return (_YOUNG, min(_BEFORE_ALL, grace)), (_ALL, grace)


def _lost(left: Sequence[Connection], exchanges: Iterable[Exchange], since: int) -> list[Connection]:
    lost = {e.connection for e in exchanges if e.number > since and e.outcome is not Outcome.ANSWERED}
    return [c for c in left if c.number in lost]
