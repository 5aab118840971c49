"""Which exchange meets which latency and which fault.

A `Scenario` is a value: an ordered list of injections and a seed. A `ScenarioRun` is one performance of it:
it counts matches and draws chance and durations, each injection from generators of its own, so that the
k-th match of an injection is treated alike in every run with the same seed, whatever else happens between.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from threading import Lock
from typing import Final, NamedTuple

from fake_servers import latency as latencies
from fake_servers.errors import ScenarioError
from fake_servers.faults import AtListener, AtMoment, Fault, Moment, Paced, WrongCertificate
from fake_servers.latency import Latency
from fake_servers.rendezvous import Rendezvous
from fake_servers.routing import Pattern

__all__ = ["PLAIN", "Injection", "Plan", "Scenario", "ScenarioRun", "acts_on_bytes"]

PLAIN: Final = "TCP"  #: what stands for a method where a connection carries no HTTP


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """A match, a when, and a latency and/or a fault.

    Args:
        on: which requests, as ``"METHOD /path"``; `Moment.ACCEPT` and the listener's faults take ``"*"`` only.
        after: how many matching requests (or connections) pass first.
        times: how often it acts at most; without end when omitted.
        probability: the chance, above 0 and at most 1, that it acts on a match.
        latency: seconds, or a distribution of them, to be added before the response.
        fault: what goes wrong.

    Raises:
        ScenarioError: a value is out of range, or the combination makes no sense.
    """

    on: str = "*"
    after: int = 0
    times: int | None = None
    probability: float = 1.0
    latency: Latency | None = None
    fault: Fault | None = None
    pattern: Pattern = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", Pattern.parse(self.on))
        if self.latency is not None:
            object.__setattr__(self, "latency", latencies.of(self.latency))
        _check_when(self)
        _check_combination(self)

    @property
    def meets_connections(self) -> bool:
        """Whether it is about a connection as it is accepted, before any request."""
        if isinstance(self.fault, WrongCertificate):
            return True
        return isinstance(self.fault, AtMoment) and self.fault.at is Moment.ACCEPT

    @property
    def meets_listener(self) -> bool:
        """Whether it is about the listening socket."""
        return isinstance(self.fault, AtListener)


@dataclass(frozen=True, slots=True)
class Scenario:
    """An ordered list of injections; of those that match an exchange, latencies add up and the first fault acts.

    Args:
        injections: in order.
        seed: the start of all chance, a whole number; the same seed gives the same run.

    Raises:
        ScenarioError: one of them is no injection, or the seed is no whole number.
    """

    injections: tuple[Injection, ...] = ()
    seed: int = 0

    def __init__(self, injections: Iterable[Injection] = (), *, seed: int = 0) -> None:
        object.__setattr__(self, "injections", tuple(injections))
        object.__setattr__(self, "seed", seed)
        for injection in self.injections:
            if not isinstance(injection, Injection):
                raise ScenarioError(f"{injection!r} is no Injection; write Injection(on='POST /x', fault=Reset())")
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise ScenarioError(f"seed={seed!r} is no seed; allowed are whole numbers, as in seed=7")

    @classmethod
    def from_toml(cls, source: str | os.PathLike[str]) -> Scenario:
        """The scenario of a file (see docs/scenario-files.md).

        Args:
            source: a path, or the text itself.

        Raises:
            ScenarioError: the file can't be read, is not TOML, or no scenario; the message names the line.
        """
        from fake_servers.scenario_files import read  # not at the top: TOML is read where it is asked for

        return read(cls, source)

    def to_toml(self) -> str:
        """This scenario as the text of a file, from which `from_toml` makes an equal one.

        Raises:
            ScenarioError: it holds a latency or a fault of the user's own, which no file can.
        """
        from fake_servers.scenario_files import write

        return write(self)

    def plus(self, injection: Injection) -> Scenario:
        """This scenario with one more injection at its end."""
        return Scenario((*self.injections, injection), seed=self.seed)

    def without(self, injection: Injection) -> Scenario:
        """This scenario without one injection: this very one, and not one that is equal to it."""
        return Scenario((i for i in self.injections if i is not injection), seed=self.seed)


class Plan(NamedTuple):
    """What one exchange is to meet: at most one fault, seconds of latency, and where it is held back."""

    fault: Fault | None
    latency: float
    held_at: tuple[Rendezvous, ...] = ()


class _Running:
    """One injection at work: how often it matched and acted, and its own two generators."""

    __slots__ = ("_chance", "_durations", "acted", "injection", "matched")

    def __init__(self, injection: Injection, seed: str) -> None:
        self.injection = injection
        self.matched = 0
        self.acted = 0
        self._chance = Random(f"{seed}/chance")
        self._durations = Random(f"{seed}/latency")

    def falls_due(self) -> bool:
        """Count one match, and say whether the injection acts on it."""
        self.matched += 1
        injection = self.injection
        drawn = injection.probability >= 1 or self._chance.random() < injection.probability
        spent = injection.times is not None and self.acted >= injection.times
        return drawn and not spent and self.matched > injection.after

    def duration(self) -> float:
        """The next latency in seconds."""
        latency = self.injection.latency
        return 0.0 if latency is None else latency.sample(self._durations)


class ScenarioRun:
    """One performance of a scenario on one server. Any thread may change it; the server's loop alone draws from it."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._requests: tuple[_Running, ...] = ()
        self._connections: tuple[_Running, ...] = ()
        self._listener: tuple[_Running, ...] = ()
        self._held: tuple[Rendezvous, ...] = ()
        self.listener_acted: tuple[tuple[int, AtListener], ...] = ()
        self.plans_requests = False
        self._changing = Lock()
        for number, injection in enumerate(scenario.injections):
            self._start(number, injection)

    def add(self, injection: Injection) -> None:
        """Put one more injection at the end; it counts matches from now on."""
        with self._changing:
            self._start(len(self.scenario.injections), injection)
            self.scenario = self.scenario.plus(injection)

    def remove(self, injection: Injection) -> None:
        """Take one injection back: it acts on nothing that arrives from now on. One that is not there is no error."""
        with self._changing:
            self._requests = tuple(r for r in self._requests if r.injection is not injection)
            self._connections = tuple(r for r in self._connections if r.injection is not injection)
            self._listener = tuple(r for r in self._listener if r.injection is not injection)
            self.plans_requests = bool(self._requests or self._held)
            self.scenario = self.scenario.without(injection)

    def hold(self, rendezvous: Rendezvous) -> None:
        """Hold matching answers back at a rendezvous."""
        with self._changing:
            self._held = (*self._held, rendezvous)
            self.plans_requests = True

    def forgo(self, rendezvous: Rendezvous) -> None:
        """Hold nothing back there from now on."""
        with self._changing:
            self._held = tuple(held for held in self._held if held is not rendezvous)
            self.plans_requests = bool(self._requests or self._held)

    @property
    def rendezvous(self) -> tuple[Rendezvous, ...]:
        """Where answers are held back, oldest first."""
        return self._held

    @property
    def unmatched(self) -> list[Injection]:
        """The injections that no request or connection has matched so far."""
        running = (*self._requests, *self._connections)
        return [r.injection for r in running if not r.matched]

    def plan(self, method: str, path: str) -> Plan | None:
        """What a request that has just arrived is to meet; None for ordinary service."""
        fault, latency = _drawn(self._requests, method, path)
        held_at = tuple(r for r in self._held if r.pattern.matches(method, path))
        if fault is None and not latency and not held_at:
            return None
        return Plan(fault, latency, held_at)

    def plan_plain(self) -> Plan:
        """What a connection that carries no HTTP is to meet: what is for ``"*"`` or ``"TCP *"`` and acts on bytes."""
        return Plan(*_drawn((r for r in self._requests if acts_on_bytes(r.injection.fault)), PLAIN, ""))

    def plan_connection(self) -> Fault | None:
        """What a connection that has just been accepted is to meet."""
        for running in self._connections:
            if running.falls_due():
                running.acted += 1
                return running.injection.fault
        return None

    def listener_faults(self, accepted: int) -> list[AtListener]:
        """The listener's faults that fall due once ``accepted`` connections have been accepted."""
        due = [r for r in self._listener if not r.acted and accepted >= r.injection.after]
        for running in due:
            running.matched += 1
            running.acted += 1
        acting = [r.injection.fault for r in due if isinstance(r.injection.fault, AtListener)]
        self.listener_acted += tuple((accepted, fault) for fault in acting)
        return acting

    def _start(self, number: int, injection: Injection) -> None:
        running = _Running(injection, f"{self.scenario.seed}/{number}")
        if injection.meets_listener:
            self._listener = (*self._listener, running)
        elif injection.meets_connections:
            self._connections = (*self._connections, running)
        else:
            self._requests = (*self._requests, running)
            self.plans_requests = True


def _drawn(requests: Iterable[_Running], method: str, path: str) -> tuple[Fault | None, float]:
    """The first fault that acts on a match, and the sum of the latencies."""
    fault: Fault | None = None
    latency = 0.0
    for running in requests:
        injection = running.injection
        if not injection.pattern.matches(method, path):
            continue
        taken = injection.fault is not None and fault is not None
        if not running.falls_due() or taken:
            continue
        running.acted += 1
        fault = injection.fault or fault
        latency += running.duration()
    return fault, latency


def acts_on_bytes(fault: Fault | None) -> bool:
    """Whether a fault, or a mere latency, can act on a connection that carries no HTTP."""
    if isinstance(fault, AtMoment):
        return fault.after_bytes is not None
    return fault is None or isinstance(fault, Paced)


def _check_when(injection: Injection) -> None:
    after, times, probability = injection.after, injection.times, injection.probability
    if isinstance(after, bool) or not isinstance(after, int) or after < 0:
        raise ScenarioError(f"after={after!r} is no count; allowed are whole numbers from 0 up, as in after=2")
    if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 1):
        raise ScenarioError(f"times={times!r} is no count; allowed are None or whole numbers from 1 up, as in times=1")
    if isinstance(probability, bool) or not isinstance(probability, (int, float)) or not 0 < probability <= 1:
        raise ScenarioError(f"probability={probability!r} is out of range; allowed is above 0 up to 1, as in 0.25")


def _check_combination(injection: Injection) -> None:
    fault = injection.fault
    if fault is None and injection.latency is None:
        raise ScenarioError("an injection needs a latency or a fault, as in Injection(fault=Reset())")
    if fault is not None and not isinstance(fault, Fault):
        raise ScenarioError(f"fault={fault!r} is no fault; write one of fake_servers.faults, as in fault=Reset()")
    if not (injection.meets_connections or injection.meets_listener):
        return
    if injection.on != "*":
        raise ScenarioError(
            f"{fault} acts before any request is known, so on={injection.on!r} can't apply; leave it out"
        )
    if injection.latency is not None:
        raise ScenarioError(f"{fault} acts before any request is known, so a latency can't apply; inject it separately")
    if injection.meets_listener and (injection.times not in {None, 1} or injection.probability != 1):
        raise ScenarioError(f"{fault} acts once, as soon as `after` connections are accepted: no times, no probability")
