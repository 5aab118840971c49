"""What a server serves: its routes, its scenario and its ledger, wherever it runs."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from fake_servers.crossing import Crosses, asked, told
from fake_servers.decisions import DecidedRun, Decisions
from fake_servers.entries import ConnectionEntry, ExchangeEntry
from fake_servers.errors import FakeServerError, ScenarioError
from fake_servers.faults import AtListener, Fault, WrongCertificate
from fake_servers.hosts import Host
from fake_servers.http import Request, Response
from fake_servers.latency import Latency
from fake_servers.ledger import Ledger
from fake_servers.listener import Listener
from fake_servers.makings import Makings
from fake_servers.recorder import Recorder
from fake_servers.rendezvous import Rendezvous
from fake_servers.scenario import Injection, Scenario, ScenarioRun
from fake_servers.service import Handler, Limits, Route, Service

__all__ = ["Serving"]

AnyHandler = TypeVar("AnyHandler", bound=Handler)


class Serving(Crosses):
    """The part of a `FakeServer` that is the same wherever it runs.

    Args:
        scenario: what goes wrong from the start.
        seed: the start of all chance, without a ``scenario``.
        time_scale: factor on all of the server's own delays.
        tls: whether it speaks HTTPS.
        limits: sizes beyond which requests are refused.
        workers: how many processes serve, each for itself.
    """

    makings: Makings

    def __init__(
        self,
        *,
        scenario: Scenario | None,
        seed: int,
        time_scale: float,
        tls: bool,
        limits: Limits | None,
        workers: int,
    ) -> None:
        self._tls = tls
        self._workers = workers
        self._host: Host | None = None
        self._first_scenario = Scenario(seed=seed) if scenario is None else scenario
        for injection in self._first_scenario.injections:
            self._check(injection)
        self._decisions: Decisions | None = None
        self._recorder = Recorder(time.monotonic)
        self._service = Service(
            self._recorder,
            ScenarioRun(self._first_scenario),
            limits=limits or Limits(),
            time_scale=time_scale,
            describe=self._describe_error,
        )
        self.ledger = Ledger(self._recorder)
        self._set_up()
        self._first_routes = {on: self._service.router.registered(on) for on in self.routes}

    def _set_up(self) -> None:
        """A service of its own adds its routes here."""

    def _describe_error(self, request: Request, status: int, message: str) -> Response:
        """An error in the words of a service of its own: no such route, a malformed request, an injected status."""
        return Response.json({"detail": message}, status=status)

    def observe_connections(self, observe: Callable[[ConnectionEntry], None]) -> None:
        """Call ``observe`` with each connection when it is accepted, in the server's loop; it must be quick.

        Where the server runs in a process of its own, it is called when the ledger is read.
        """
        if observe not in self._recorder.observers:
            self._recorder.observers.append(observe)

    def observe_arrivals(self, observe: Callable[[ExchangeEntry], None]) -> None:
        """Call ``observe`` with each exchange when its request has been read to its end, in the server's loop.

        Where that is in a process of its own, it is never called: the moment is over when this one hears of it.
        """
        if observe not in self._recorder.arrival_observers:
            self._recorder.arrival_observers.append(observe)

    def route(self, on: str, *, queues: bool = False) -> Callable[[AnyHandler], AnyHandler]:
        """Register the decorated handler for ``"METHOD /path"``.

        A handler takes a `Request` and returns a `Response`, a `Stream` or a `Tunnel`; it may be a coroutine
        function. One whose code has no ``await`` is answered without a task.

        Args:
            on: which requests.
            queues: whether the handler waits for a slot first, and calls `begins` when it has one: only
                from then on a request counts as executed, and what it waited is no service time.

        Raises:
            ScenarioError: ``on`` is not a pattern.
        """

        def register(handler: AnyHandler) -> AnyHandler:
            self._route(on, handler, queues=queues)
            return handler

        return register

    @told(lasts=True)
    def _route(self, on: str, handler: Handler, *, queues: bool) -> None:
        self._service.router.add(on, Route(handler, queues=queues))

    def begins(self, request: Request, *, waited: float = 0.0) -> None:
        """A handler that queues has got its slot, after ``waited`` seconds, and begins to execute the request."""
        self._service.begins(request, waited=waited)

    def gives_up(self, request: Request, *, waited: float) -> None:
        """A handler that queues has got no slot in ``waited`` seconds, and does not execute the request."""
        self._service.waited(request, waited)

    @property
    def routes(self) -> tuple[str, ...]:
        """The patterns that have a handler."""
        return tuple(self._service.router)

    @property
    def own_routes(self) -> tuple[str, ...]:
        """The patterns whose handlers are the user's, and not the service's."""
        router = self._service.router
        return tuple(on for on in router if router.registered(on) is not self._first_routes.get(on))

    @property
    def scenario(self) -> Scenario:
        """Everything that was injected so far."""
        return self._service.run.scenario

    @asked(merge=lambda lists: tuple(acted for one in lists for acted in one))
    def listener_acted(self) -> tuple[tuple[int, AtListener], ...]:
        """The faults of the listening socket that have acted, each with how many connections had been accepted."""
        return self._service.run.listener_acted

    @told(lasts=True)
    def follow(self, decisions: Decisions) -> None:
        """Have requests and connections meet what was decided before, also after a `reset`, whatever is injected."""
        self._decisions = decisions
        holds = self.holds
        self._service.run = DecidedRun(self.scenario, decisions)
        for rendezvous in holds:
            self._service.run.hold(rendezvous)

    def delay(
        self,
        latency: float | Latency,
        *,
        on: str = "*",
        after: int = 0,
        times: int | None = None,
        probability: float = 1.0,
    ) -> None:
        """Add a latency, in seconds or as a distribution, between execution and response; delays add up.

        Raises:
            ScenarioError: a value is out of range.
        """
        # `Injection` turns a number of seconds into a distribution.
        self._add(Injection(on=on, after=after, times=times, probability=probability, latency=latency))  # type: ignore[arg-type]

    def inject(
        self, fault: Fault, *, on: str = "*", after: int = 0, times: int | None = None, probability: float = 1.0
    ) -> None:
        """Have a fault act on matching requests; of several that match, the one injected first acts.

        Args:
            fault: one of `fake_servers.faults`.
            on: which requests, as ``"METHOD /path"``.
            after: how many matching requests pass first.
            times: how often it acts at most; without end when omitted.
            probability: the chance, above 0 and at most 1, that it acts on a match.

        Raises:
            ScenarioError: a value is out of range, or the combination makes no sense.
        """
        self._add(Injection(on=on, after=after, times=times, probability=probability, fault=fault))

    @contextmanager
    def injected(
        self, fault: Fault, *, on: str = "*", after: int = 0, times: int | None = None, probability: float = 1.0
    ) -> Iterator[Injection]:
        """As `inject`, for a ``with`` block: at its end the injection is taken back, whether it has acted or not.

        An exchange that has met it goes on with it.

        Raises:
            ScenarioError: a value is out of range, or the combination makes no sense.
        """
        injection = Injection(on=on, after=after, times=times, probability=probability, fault=fault)
        self._add(injection)
        try:
            yield injection
        finally:
            self.take_back(injection)

    def take_back(self, injection: Injection) -> None:
        """Have an injection act on nothing that arrives from now on.

        Args:
            injection: one of ``scenario.injections``, and not one that is equal to it. That it is gone, as after a
                reset, is no error.
        """
        if self._crossing is None:
            self._service.run.remove(injection)
            return
        with self._crossing.lock:  # a place is this injection's for as long as nothing else is told
            for place in [place for place, other in enumerate(self.scenario.injections) if other is injection]:
                self._take_back(place)

    @property
    def is_decided(self) -> bool:
        """Whether what goes wrong was decided before, so that injections count for nothing: see `follow`."""
        return self._decisions is not None

    @contextmanager
    def tapped(self) -> Iterator[Mapping[int, bytearray]]:
        """Keep the bytes that are sent during a ``with`` block, by the number of their connection, before TLS."""
        if self._crossing is not None and self._crossing.elsewhere is not None:
            with self._crossing.elsewhere.tapped() as sent_elsewhere:
                yield sent_elsewhere
            return
        sent: defaultdict[int, bytearray] = defaultdict(bytearray)
        before, self._recorder.tap = self._recorder.tap, sent
        try:
            yield sent
        finally:
            self._recorder.tap = before

    def hold(self, *, until_in_flight: int, give_up: float = 2.0, on: str = "*") -> Rendezvous:
        """Keep matching answers back until ``until_in_flight`` of them wait together, at most ``give_up`` seconds.

        Raises:
            ScenarioError: a value is out of range.
        """
        rendezvous = self._hold(until_in_flight=until_in_flight, give_up=give_up, on=on)
        if self._crossing is not None:
            rendezvous.is_elsewhere(lambda: self.ledger.count())
        return rendezvous

    @contextmanager
    def held(self, *, until_in_flight: int, give_up: float = 2.0, on: str = "*") -> Iterator[Rendezvous]:
        """As `hold`, for a ``with`` block: what arrives after its end is not held.

        Raises:
            ScenarioError: a value is out of range.
        """
        rendezvous = self.hold(until_in_flight=until_in_flight, give_up=give_up, on=on)
        try:
            yield rendezvous
        finally:
            known = [place for place, other in enumerate(self.holds) if other is rendezvous]
            for place in known:  # it is gone where the scenario was reset
                self._forgo(place)

    @told()
    def _forgo(self, place: int) -> None:
        self._service.run.forgo(self.holds[place])

    @told()
    def _hold(self, *, until_in_flight: int, give_up: float, on: str) -> Rendezvous:
        rendezvous = Rendezvous(until_in_flight=until_in_flight, give_up=give_up, on=on)
        if self._workers > 1:
            raise ScenarioError("hold() counts the requests of one process; make the server with workers=1")
        self._service.run.hold(rendezvous)
        return rendezvous

    @property
    def holds(self) -> tuple[Rendezvous, ...]:
        """Every rendezvous that was made, oldest first."""
        return self._service.run.rendezvous

    @asked(merge=lambda lists: [injection for injection in lists[0] if all(injection in other for other in lists)])
    def unmatched(self) -> list[Injection]:
        """The injections that nothing has matched so far."""
        return self._service.run.unmatched

    @told()
    def _take_back(self, place: int) -> None:
        self._service.run.remove(self.scenario.injections[place])

    @told()
    def _add(self, injection: Injection) -> None:
        self._check(injection)
        self._service.run.add(injection)
        if isinstance(injection.fault, AtListener) and self._host is not None:
            self._host.call(_meet_faults)

    def _check(self, injection: Injection) -> None:
        if isinstance(injection.fault, WrongCertificate) and not self._tls:
            raise ScenarioError(f"{injection.fault} needs a handshake; make the server with tls=True")
        self._check_count_over_workers(injection.times)
        counts = injection.after or injection.probability < 1
        if self._workers > 1 and (counts or injection.meets_listener):
            raise ScenarioError(
                f"{injection.fault or injection.latency} can't be counted or drawn over {self._workers} processes: "
                "with workers=2 and more, every match is met (no after, times or probability), and no listener's fault"
            )

    def _check_count_over_workers(self, times: int | None) -> None:
        if self._workers > 1 and times is not None:
            raise ScenarioError(
                f"times={times!r} would be counted by each of {self._workers} processes for itself; leave times out, "
                "or make the server with workers=1"
            )

    @property
    def errors(self) -> tuple[FakeServerError, ...]:
        """What went wrong in handlers and in the server itself; raised when a ``with`` block ends."""
        if self._crossing is not None and self._crossing.elsewhere is not None:
            self.ledger.count()
        return tuple(self._service.errors)

    @told(forgets=True)
    def reset(self) -> None:
        """Forget the scenario and the ledger, and keep the port.

        Connections that are idle stay open and are counted again from 1; the others are closed.
        """
        if self._host is None:
            self._forget()
        else:
            self._host.call(self._forget)

    def _forget(self, listener: Listener | None = None) -> None:
        survivors = self._service.keep_idle()
        begun_anew = Scenario(seed=self._first_scenario.seed)
        decisions = self._decisions
        self._service.run = ScenarioRun(begun_anew) if decisions is None else DecidedRun(begun_anew, decisions)
        self.makings.told.clear()
        self._service.errors.clear()
        self._recorder.clear(survivors)
        if listener is not None:
            listener.forget()


def _meet_faults(listener: Listener | None) -> None:
    if listener is not None:
        listener.meet_faults()
