"""What the calls of a benchmark go to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from fake_servers import FakeServer, Request, Response, Scenario
from fake_servers.latency import Latency
from fake_servers.server import HostKind
from pytest_httpconc.bench.meter import LedgerTally, Tally

__all__ = ["Census", "GivenTarget", "OwnTarget", "Target", "make_server"]

_ANSWER: Final[Mapping[str, bool]] = {"ok": True}
_GIVE_UP: Final = 1.0  # seconds: a client that never gets there waits so long, once a census


def make_server(host: HostKind = "process") -> FakeServer:
    """A server that answers every method and path with 200 and a small JSON; not started.

    In a process of its own, so that what it costs is not counted as its client's.
    """
    server = FakeServer(host=host)
    server.route("*")(_answer)
    return server


def _answer(request: Request) -> Response:
    return Response.json(_ANSWER)


class Census(Protocol):
    """Answers that are kept back until enough of them wait together; a `Rendezvous` is one."""

    @property
    def most_together(self) -> int:
        """How many were in flight together."""


class Target(Protocol):
    """What a side needs of the server that its calls go to, wherever that is."""

    @property
    def url(self) -> str:
        """Where it is."""

    @property
    def served(self) -> float:
        """Seconds of this process's CPU that serving has taken so far."""

    def begin_round(self, *, at_once: bool = False) -> None:
        """Have the next calls meet what every round meets; ``at_once``: without its latency."""

    def begin_census(self, concurrency: int) -> Census | None:
        """Keep answers back until ``concurrency`` of them wait together; None where that can't be."""

    def tally(self) -> Tally:
        """Count what is seen from now on."""


class GivenTarget:
    """A server of the user's, that stays as it is.

    Args:
        server: whose ledger is read.
    """

    def __init__(self, server: FakeServer) -> None:
        self.server = server

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def served(self) -> float:
        return self.server.cpu_time

    def begin_round(self, *, at_once: bool = False) -> None:
        """Nothing is to be done."""

    def begin_census(self, concurrency: int) -> Census | None:
        """None: what it answers, and when, is its own business."""
        return None

    def tally(self) -> Tally:
        return LedgerTally(self.server)


class OwnTarget(GivenTarget):
    """A server of the harness: each round begins with the same scenario and the same chance.

    Args:
        server: one that `make_server` made.
        latency: of every answer.
        scenario: what goes wrong in each round.
    """

    def __init__(self, server: FakeServer, latency: Latency, scenario: Scenario | None) -> None:
        super().__init__(server)
        self._latency = latency
        self._scenario = scenario

    def begin_round(self, *, at_once: bool = False) -> None:
        self.server.reset()
        if not at_once:
            self.server.delay(self._latency)
        self._inject()

    def begin_census(self, concurrency: int) -> Census | None:
        """Keep answers back until ``concurrency`` of them wait together: then the peak is proved, by no clock."""
        self.server.reset()
        self._inject()
        return self.server.hold(until_in_flight=concurrency, give_up=_GIVE_UP)

    def _inject(self) -> None:
        for one in () if self._scenario is None else self._scenario.injections:
            when = {"on": one.on, "after": one.after, "times": one.times, "probability": one.probability}
            if one.fault is not None:
                self.server.inject(one.fault, **when)  # type: ignore[arg-type]
            if one.latency is not None:
                self.server.delay(one.latency, **when)  # type: ignore[arg-type]
