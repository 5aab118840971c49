"""What a benchmark is asked to do, and how thoroughly."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from fake_servers import FakeServer, Scenario, ScenarioError
from fake_servers import latency as latencies
from fake_servers.latency import Latency
from pytest_httpconc.bench.runner import Rules
from pytest_httpconc.bench.sides import Work
from pytest_httpconc.bench.target import GivenTarget, OwnTarget

__all__ = ["QUICK", "RECORDING", "THOROUGH", "VIRTUAL", "Depth", "Options", "Order", "calling_place"]

_PACKAGE: Final = __name__.rpartition(".")[0]
_AT_ONCE: Final = latencies.of(0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """How thoroughly a benchmark is run.

    Args:
        rules: how many rounds; those beyond ``usual`` only while a ratio seems to be worse.
        usual: how many rounds are measured for narrow intervals.
        warms_up: whether a full round comes first; else it is one call.
        census: whether a rendezvous proves the peak in flight.
        reference: whether the reference's rounds take their turns.
        cpu_passes: how often a round's CPU is measured, where answers may come at once; see `Work`.
    """

    rules: Rules
    usual: int
    warms_up: bool = True
    census: bool = True
    reference: bool = True
    cpu_passes: int = 0


#: A benchmark that runs as a plain test.
QUICK: Final = Depth(rules=Rules(), usual=1, warms_up=False, census=False, reference=False)
#: A benchmark that is judged.
THOROUGH: Final = Depth(rules=Rules(least=15, most=120, budget=30.0), usual=20, cpu_passes=3)
#: A benchmark whose figures become the baseline.
RECORDING: Final = Depth(rules=Rules(least=60, most=120, budget=30.0), usual=120, cpu_passes=3)
#: A benchmark on a virtual clock: rounds are alike, and a second one shows it.
VIRTUAL: Final = Depth(rules=Rules(least=2, most=2), usual=2, census=False, reference=False)


class Options(TypedDict, total=False):
    """The keyword arguments of a benchmark.

    calls: in a round, 1 or more (50).
    concurrency: how many of them may go on together, 1 or more (10).
    latency: of the harness's server, in seconds or as a distribution (0.02); of a server of one's own, what the
        reference waits, and 0.0 says that it answers at once.
    scenario: what goes wrong there, anew in each round.
    server: one of your own whose ledger is read; it stays as it is.
    name: by which the benchmark is told apart from others of its test.
    """

    calls: int
    concurrency: int
    latency: float | Latency
    scenario: Scenario | None
    server: FakeServer | None
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked for, as `Options` describes it."""

    calls: int = 50
    concurrency: int = 10
    latency: float | Latency = 0.02
    scenario: Scenario | None = None
    server: FakeServer | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        for word, value in (("calls", self.calls), ("concurrency", self.concurrency)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ScenarioError(
                    f"{word}={value!r} is no count; allowed are whole numbers from 1 up, as in {word}=20"
                )
        for word, kind, example in (("scenario", Scenario, "Scenario([...])"), ("server", FakeServer, "fake_docker")):
            value = getattr(self, word)
            if value is not None and not isinstance(value, kind):
                raise ScenarioError(f"{word}={value!r} is no {kind.__name__}; give one, as in {word}={example}")
        object.__setattr__(self, "latency", latencies.of(self.latency))

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Order:
        """An order from keyword arguments.

        Raises:
            ScenarioError: one is unknown or out of range.
        """
        known = Options.__annotations__
        unknown = [name for name in options if name not in known]
        if unknown:
            raise ScenarioError(
                f"a benchmark does not know {', '.join(unknown)}; allowed are {', '.join(known)}, as in calls=60"
            )
        return cls(**options)

    def work(self, depth: Depth) -> Work:
        """What one round of a side is."""
        warm_up = self.calls if depth.warms_up else 1
        return Work(
            calls=self.calls,
            concurrency=self.concurrency,
            warm_up=warm_up,
            census=depth.census,
            cpu_passes=depth.cpu_passes if self.allows_passes else 0,
        )

    @property
    def allows_passes(self) -> bool:
        """Whether the calls can be answered at once without doing something else: CPU is exact then."""
        return self.scenario is None and (self.server is None or self.latency == _AT_ONCE)

    def target(self, server: FakeServer) -> GivenTarget:
        """What the calls go to.

        Args:
            server: the one of the order, or else the harness's own.
        """
        if server is self.server:
            return GivenTarget(server)
        return OwnTarget(server, latencies.of(self.latency), self.scenario)


def calling_place() -> tuple[str, int]:
    """File and line of the first caller outside of this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_PACKAGE):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno
