"""`FakeServer`: a server that does what its scenario says, and records everything."""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from threading import get_ident
from types import TracebackType
from typing import Final, Literal, TypeVar
from weakref import WeakSet

from fake_servers import certificates
from fake_servers.decisions import DecidedRun, Decisions
from fake_servers.engine import ServerConnection
from fake_servers.errors import FakeServerError, ScenarioError
from fake_servers.faults import AtListener, Fault, WrongCertificate
from fake_servers.hosts import LoopHost, ThreadHost
from fake_servers.http import Request, Response
from fake_servers.latency import Latency
from fake_servers.ledger import Ledger
from fake_servers.listener import Connect, Listener, listen, listen_unix
from fake_servers.makings import Makings, made
from fake_servers.recorder import ConnectionEntry, ExchangeEntry, Recorder
from fake_servers.rendezvous import Rendezvous
from fake_servers.scenario import Injection, Scenario, ScenarioRun
from fake_servers.service import Handler, Limits, Route, Service
from fake_servers.tls import TlsConnection

__all__ = ["FakeServer", "HostKind", "clock_is_virtual", "forget_server", "forget_stopped_servers", "started_servers"]

HostKind = Literal["thread", "loop"]
_ROUNDS_TO_ACCEPT: Final = 4  # of the loop: accept, make the transport, tell the connection
_MOST_CLOCKS_DIFFER: Final = 5.0  # seconds; uvloop's is some ms behind

AnyHandler = TypeVar("AnyHandler", bound=Handler)
Self = TypeVar("Self", bound="FakeServer")

#: Called with each server that starts, before it accepts a connection, in the thread that starts it.
observers: list[Callable[[FakeServer], None]] = []

_started: WeakSet[FakeServer] = WeakSet()
#: Keeps the latest from being collected, so that a server which nobody holds any more can still be looked at.
_latest: deque[FakeServer] = deque(maxlen=64)


def started_servers() -> list[FakeServer]:
    """The servers of this process that were started and still exist, running or stopped, in order of start."""
    return sorted(_started, key=lambda server: server.started_at)


def forget_server(server: FakeServer) -> None:
    """Let `started_servers` forget this one, whose clients are nobody's business."""
    _started.discard(server)


def forget_stopped_servers() -> None:
    """Let `started_servers` forget those that are stopped."""
    for server in started_servers():
        if not server.is_running:
            _started.discard(server)
    _latest.clear()


class FakeServer:
    """An HTTP/1.1 server on this machine that can be slow, break off and misbehave on demand.

    ``with FakeServer() as server`` runs it in a thread of its own; ``async with`` runs it in the running
    loop, whose clock it then follows.

    Args:
        address: the IPv4 address to listen on.
        port: 1 to 65535; 0 takes a free one.
        scenario: what goes wrong from the start; more can be injected at any time.
        seed: the start of all chance, for a server without a ``scenario``.
        host: ``"thread"`` or ``"loop"``, where the form of the ``with`` statement shall not decide.
        time_scale: factor on all of the server's own delays: at 0.01, 30 s take 0.3 s.
        tls: whether to speak HTTPS, with a certificate for ``address`` and localhost that an authority of
            this process has signed: see `ca_path`.
        limits: sizes beyond which requests are refused.
        unix_socket: the path of a unix socket to listen on as well; it is removed on stop.

    Raises:
        ScenarioError: an argument is out of range.
        FakeServerError: TLS is wanted, and trustme is not installed.
    """

    makings: Makings

    @made
    def __init__(
        self,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        scenario: Scenario | None = None,
        seed: int = 0,
        host: HostKind | None = None,
        time_scale: float = 1.0,
        tls: bool = False,
        limits: Limits | None = None,
        unix_socket: str | os.PathLike[str] | None = None,
    ) -> None:
        if host not in {None, "thread", "loop"}:
            raise ScenarioError(f"host={host!r} is not known; allowed are 'thread' and 'loop', as in host='thread'")
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
            raise ScenarioError(f"port={port!r} is out of range; allowed are 0 (any) to 65535, as in port=9527")
        if isinstance(time_scale, bool) or not isinstance(time_scale, (int, float)) or not time_scale > 0:
            raise ScenarioError(f"time_scale={time_scale!r} is out of range; allowed is above 0, as in 0.01")
        if tls not in {True, False}:
            raise ScenarioError(f"tls={tls!r} is not known; allowed are True and False, as in tls=True")
        self._address = address
        self._port = port
        self._tls = tls
        self._connect: Connect = ServerConnection
        if tls:
            certificates.right(address)
            self._connect = partial(TlsConnection, address=address)
        self._unix_socket = None if unix_socket is None else os.fspath(unix_socket)
        self._host_kind = host
        self._host: ThreadHost | LoopHost | None = None
        self._first_scenario = Scenario(seed=seed) if scenario is None else scenario
        for injection in self._first_scenario.injections:
            self._check_certificate(injection)
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
        self.started_at = 0.0
        self.open_at_stop: tuple[int, ...] = ()
        self._set_up()
        self._first_routes = {on: self._service.router.registered(on) for on in self.routes}

    def _set_up(self) -> None:
        """A service of its own adds its routes here."""

    def _starting(self) -> None:
        """A service of its own makes anew what is bound to a loop and its clock here."""

    def _describe_error(self, request: Request, status: int, message: str) -> Response:
        """An error in the words of a service of its own: no such route, a malformed request, an injected status."""
        return Response.json({"detail": message}, status=status)

    def observe_connections(self, observe: Callable[[ConnectionEntry], None]) -> None:
        """Call ``observe`` with each connection when it is accepted, in the server's loop; it must be quick."""
        if observe not in self._recorder.observers:
            self._recorder.observers.append(observe)

    def observe_arrivals(self, observe: Callable[[ExchangeEntry], None]) -> None:
        """Call ``observe`` with each exchange when its request has been read to its end, in the server's loop."""
        if observe not in self._recorder.arrival_observers:
            self._recorder.arrival_observers.append(observe)

    # -- what it serves -----------------------------------------------------------------------------------

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
            self._service.router.add(on, Route(handler, queues=queues))
            return handler

        return register

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

    @property
    def listener_acted(self) -> tuple[tuple[int, AtListener], ...]:
        """The faults of the listening socket that have acted, each with how many connections had been accepted."""
        return self._service.run.listener_acted

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
            self._service.run.remove(injection)

    @contextmanager
    def tapped(self) -> Iterator[Mapping[int, bytearray]]:
        """Keep the bytes that are sent during a ``with`` block, by the number of their connection, before TLS."""
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
        rendezvous = Rendezvous(until_in_flight=until_in_flight, give_up=give_up, on=on)
        self._service.run.hold(rendezvous)
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
            self._service.run.forgo(rendezvous)

    @property
    def holds(self) -> tuple[Rendezvous, ...]:
        """Every rendezvous that was made, oldest first."""
        return self._service.run.rendezvous

    @property
    def unmatched(self) -> list[Injection]:
        """The injections that nothing has matched so far."""
        return self._service.run.unmatched

    def _add(self, injection: Injection) -> None:
        self._check_certificate(injection)
        self._service.run.add(injection)
        if isinstance(injection.fault, AtListener) and self._host is not None:
            self._host.call(lambda listener: listener.meet_faults())

    def _check_certificate(self, injection: Injection) -> None:
        if isinstance(injection.fault, WrongCertificate) and not self._tls:
            raise ScenarioError(f"{injection.fault} needs a handshake; make the server with tls=True")

    # -- where it runs ------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """The IPv4 address it listens on."""
        return self._address

    @property
    def port(self) -> int:
        """The port it listens on; 0 before the first start if any was to be taken."""
        return self._port

    @property
    def unix_socket(self) -> str | None:
        """The path of the unix socket that it listens on as well, if any."""
        return self._unix_socket

    @property
    def url(self) -> str:
        """Where it is reached, without a slash at the end.

        Raises:
            FakeServerError: it was never started and has no port yet.
        """
        if not self._port:
            raise FakeServerError("the server has no port before it is started: use 'with' or call start()")
        return f"{'https' if self._tls else 'http'}://{self._address}:{self._port}"

    @property
    def ca_path(self) -> str:
        """The file with the certificate to trust, in PEM, for a server with ``tls=True``.

        Raises:
            FakeServerError: it speaks plain HTTP.
        """
        if not self._tls:
            raise FakeServerError("this server has no certificate; make it with tls=True")
        return certificates.ca_path()

    @property
    def is_running(self) -> bool:
        """Whether it has been started and not been stopped."""
        return self._host is not None

    @property
    def cpu_time(self) -> float:
        """Seconds of this process's CPU that serving has taken; 0 where it can't be told from its client's."""
        return 0.0 if self._host is None else self._host.cpu_time()

    @property
    def errors(self) -> tuple[FakeServerError, ...]:
        """What went wrong in handlers and in the server itself; raised when a ``with`` block ends."""
        return tuple(self._service.errors)

    def start(self: Self) -> Self:
        """Start in a thread of its own.

        Raises:
            FakeServerError: it is running already, or its port can't be had.
            ScenarioError: it was made with ``host="loop"``.
        """
        if self._host_kind == "loop":
            raise ScenarioError("host='loop' runs in the running loop: use 'async with' in a coroutine")
        if clock_is_virtual():
            raise ScenarioError(
                "a server in a thread can't follow the virtual clock of the running loop, which would run ahead of it; "
                "use 'async with' here"
            )
        self._start(ThreadHost, time.monotonic)
        return self

    def stop(self) -> None:
        """Stop, closing every connection, whatever goes on. A server that is not running stays as it is.

        Raises:
            FakeServerError: a handler blocks the server's thread.
        """
        if isinstance(self._host, ThreadHost) and self._host.thread_id == get_ident():
            raise ScenarioError("a server can't be stopped by its own handler; stop it in the thread that started it")
        host, self._host = self._host, None
        if isinstance(host, ThreadHost):
            self._remember_open()
            host.stop()
        elif host is not None:
            self._host = host
            raise FakeServerError("this server runs in a loop: stop it with 'await server.stop_in_loop()'")

    async def start_in_loop(self: Self) -> Self:
        """Start in the running loop, whose clock it then follows.

        Raises:
            FakeServerError: it is running already, or its port can't be had.
        """
        self._start(LoopHost, asyncio.get_running_loop().time)
        return self

    async def stop_in_loop(self) -> None:
        """As `stop`, for a server that was started with `start_in_loop`."""
        host, self._host = self._host, None
        if isinstance(host, ThreadHost):
            self._host = host
            self.stop()
        elif host is not None:
            self._remember_open()
            await host.stop()

    def reset(self) -> None:
        """Forget the scenario and the ledger, and keep the port.

        Connections that are idle stay open and are counted again from 1; the others are closed.
        """
        if self._host is None:
            self._forget()
        else:
            self._host.call(self._forget)

    def catch_up(self) -> None:
        """Have a server in a thread take in what has arrived: a connection in its backlog is not in its ledger yet."""
        host = self._host
        if isinstance(host, ThreadHost) and not self.blocks():
            for _ in range(_ROUNDS_TO_ACCEPT):
                host.call(lambda listener: None)

    def _start(self, host: type[ThreadHost] | type[LoopHost], clock: Callable[[], float]) -> None:
        if self._host is not None:
            raise FakeServerError(f"the server is running already, at {self.url}")
        listening = listen(self._address, self._port)
        try:
            unix = None if self._unix_socket is None else listen_unix(self._unix_socket)
        except Exception:
            listening.close()
            raise
        self._port = listening.getsockname()[1]
        self._recorder.clock = clock
        self.open_at_stop = ()
        self._starting()
        for observe in observers:
            observe(self)
        self._host = host(self._service, listening, self._connect, unix)
        self.ledger._loop_thread = self._host.thread_id
        self.started_at = time.monotonic()
        _started.add(self)
        _latest.append(self)

    def _remember_open(self) -> None:
        self.open_at_stop = tuple(c.number for c in self.ledger.connections if c.is_open or c.is_abandoned)
        self.ledger._loop_thread = None

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

    def _raise_errors(self) -> None:
        if self._service.errors:
            raise self._service.errors[0]

    def __enter__(self: Self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is None:
            self._raise_errors()

    async def __aenter__(self: Self) -> Self:
        return self.start() if self._host_kind == "thread" else await self.start_in_loop()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_in_loop()
        if error is None:
            self._raise_errors()

    def blocks(self) -> bool:
        """Whether it runs in the loop of the calling thread, so that it stands still while something blocks here."""
        return isinstance(self._host, LoopHost) and self._host.thread_id == get_ident()

    def __repr__(self) -> str:
        where = f"at {self.url}" if self._port else "not started"
        return f"<{type(self).__name__} {where}>"


def clock_is_virtual() -> bool:
    """Whether a loop runs in this thread whose time is not the monotonic clock's, as all real ones' is."""
    loop = asyncio._get_running_loop()
    return loop is not None and abs(loop.time() - time.monotonic()) > _MOST_CLOCKS_DIFFER
