"""`FakeServer`: a server that does what its scenario says, and records everything."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import get_ident
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from fake_servers import certificates, started
from fake_servers.errors import FakeServerError, ScenarioError
from fake_servers.hosts import LoopHost, ThreadHost
from fake_servers.listener import Connects, Sockets
from fake_servers.makings import made
from fake_servers.scenario import Scenario
from fake_servers.service import Limits
from fake_servers.serving import Serving
from fake_servers.tls import TlsConnection

if TYPE_CHECKING:
    from fake_servers.processes.host import ProcessHost

__all__ = ["FakeServer", "HostKind", "clock_is_virtual"]

HostKind = Literal["thread", "loop", "process"]
_MOST_CLOCKS_DIFFER: Final = 5.0  # seconds; uvloop's is some ms behind

Self = TypeVar("Self", bound="FakeServer")


class FakeServer(Serving):
    """An HTTP/1.1 server on this machine that can be slow, break off and misbehave on demand.

    ``with FakeServer() as server`` runs it in a thread of its own; ``async with`` runs it in the running
    loop, whose clock it then follows.

    Args:
        address: the IPv4 address to listen on.
        port: 1 to 65535; 0 takes a free one.
        scenario: what goes wrong from the start; more can be injected at any time.
        seed: the start of all chance, for a server without a ``scenario``.
        host: ``"thread"`` or ``"loop"``, where the form of the ``with`` statement shall not decide; or
            ``"process"``, a process of its own, to which handlers and what they close over are copied.
        workers: how many processes accept connections on the port, 1 or more, each for itself; their ledger
            is one. More than one takes ``host="process"``.
        time_scale: factor on all of the server's own delays: at 0.01, 30 s take 0.3 s.
        tls: whether to speak HTTPS, with a certificate for ``address`` and localhost that an authority of
            this process has signed: see `ca_path`.
        limits: sizes beyond which requests are refused.
        unix_socket: the path of a unix socket to listen on as well; it is removed on stop.

    Raises:
        ScenarioError: an argument is out of range, or no certificate can be for ``address``.
        FakeServerError: TLS is wanted, and trustme is not installed.
    """

    @made
    def __init__(
        self,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        scenario: Scenario | None = None,
        seed: int = 0,
        host: HostKind | None = None,
        workers: int = 1,
        time_scale: float = 1.0,
        tls: bool = False,
        limits: Limits | None = None,
        unix_socket: str | os.PathLike[str] | None = None,
    ) -> None:
        if host not in {None, "thread", "loop", "process"}:
            raise ScenarioError(
                f"host={host!r} is not known; allowed are 'thread', 'loop' and 'process', as in host='thread'"
            )
        _check_workers(workers, host, self._needs_one_process())
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
            raise ScenarioError(f"port={port!r} is out of range; allowed are 0 (any) to 65535, as in port=9527")
        if isinstance(time_scale, bool) or not isinstance(time_scale, (int, float)) or not time_scale > 0:
            raise ScenarioError(f"time_scale={time_scale!r} is out of range; allowed is above 0, as in 0.01")
        if tls not in {True, False}:
            raise ScenarioError(f"tls={tls!r} is not known; allowed are True and False, as in tls=True")
        # An empty address would mean every interface.
        if not (isinstance(address, str) and address and address.isascii() and address.isprintable()):
            raise ScenarioError(f"address={address!r} is none; allowed are IPv4 addresses, as in address='127.0.0.1'")
        self._address = address
        self._port = port
        if tls:
            certificates.right(address)
        self._unix_socket = None if unix_socket is None else os.fspath(unix_socket)
        self._host_kind = host
        self._is_to_cross = host == "process"
        self._host: LoopHost | ThreadHost | ProcessHost | None = None
        super().__init__(scenario=scenario, seed=seed, time_scale=time_scale, tls=tls, limits=limits, workers=workers)
        self._connects = self._connections()
        self.started_at = 0.0
        self.open_at_stop: tuple[int, ...] = ()

    def _needs_one_process(self) -> str | None:
        """A service of its own says here what of it can't be shared out to several processes."""
        return None

    def _connections(self) -> Connects:
        """What makes the server's end of each connection."""
        return Connects(partial(TlsConnection, address=self._address)) if self._tls else Connects()

    @property
    def outgoing(self) -> frozenset[tuple[str, int]]:
        """The addresses and ports of the connections that the server itself has opened, as a proxy does."""
        return frozenset()

    def _starting(self) -> None:
        """A service of its own makes anew what is bound to a loop and its clock here."""

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

    def start(self: Self) -> Self:
        """Start in a thread or a process of its own.

        Raises:
            FakeServerError: it is running already, or its port can't be had.
            ScenarioError: it was made with ``host="loop"``.
        """
        if self._host_kind == "loop":
            raise ScenarioError("host='loop' runs in the running loop: use 'async with' in a coroutine")
        if clock_is_virtual():
            raise ScenarioError(
                f"a server in a {self._host_kind or 'thread'} can't follow the virtual clock of the running loop, "
                "which would run ahead of it; use 'async with' here, and leave host out"
            )
        self._start(self._thread if self._crossing is None else self._process, time.monotonic)
        return self

    def stop(self) -> None:
        """Stop, closing every connection, whatever goes on. A server that is not running stays as it is.

        Raises:
            FakeServerError: a handler blocks the server's thread or process.
        """
        host = self._host
        if host is None:
            return
        if isinstance(host, LoopHost):
            raise FakeServerError("this server runs in a loop: stop it with 'await server.stop_in_loop()'")
        if host.thread_id == get_ident():
            raise ScenarioError("a server can't be stopped by its own handler; stop it in the thread that started it")
        try:
            self._leave_host()
            host.stop()
        finally:
            self._return()

    async def start_in_loop(self: Self) -> Self:
        """Start in the running loop, whose clock it then follows.

        Raises:
            FakeServerError: it is running already, or its port can't be had.
            ScenarioError: it was made with ``host="process"``.
        """
        return self.start_here()

    def start_here(self: Self) -> Self:
        """As `start_in_loop`, for what is called in the running loop and can't await.

        Raises:
            FakeServerError: it is running already, or its port can't be had.
            ScenarioError: it was made with ``host="process"``.
        """
        if self._is_to_cross:
            raise ScenarioError("host='process' runs in no loop of this process: use 'with', 'async with' or start()")
        self._start(self._loop, asyncio.get_running_loop().time)
        return self

    def serve_in_this_process(self, sockets: Sockets) -> None:
        """Serve in the running loop what another process has crossed over, on sockets of its making."""
        self._crossing = None
        self._start(self._loop, time.monotonic, (sockets,))

    async def stop_in_loop(self) -> None:
        """As `stop`, for a server that was started with `start_in_loop`."""
        host = self._host
        if isinstance(host, LoopHost):
            self._leave_host()
            await host.stop()
        else:
            self.stop()

    def catch_up(self) -> None:
        """Have a server beside this thread record what has arrived: a connection may wait in its backlog."""
        if self._host is not None and not self.blocks():
            self._host.catch_up()

    def _start(
        self,
        host: Callable[[tuple[Sockets, ...]], LoopHost | ThreadHost | ProcessHost],
        clock: Callable[[], float],
        sockets: tuple[Sockets, ...] = (),
    ) -> None:
        if self._host is not None:
            raise FakeServerError(f"the server is running already, at {self.url}")
        sockets = sockets or Sockets.open_shared(self._workers, self._address, self._port, self._unix_socket)
        self._port = sockets[0].port
        self._recorder.clock = clock
        self.open_at_stop = ()
        try:
            self._starting()
        except Exception:
            for opened in sockets:
                opened.close()
            raise
        for observe in started.observers:
            observe(self)
        self._host = host(sockets)
        self.ledger._loop_thread = self._host.thread_id
        self.started_at = time.monotonic()
        started.remember(self)

    def _thread(self, sockets: tuple[Sockets, ...]) -> ThreadHost:
        return ThreadHost(self._service, sockets[0], self._connects)

    def _loop(self, sockets: tuple[Sockets, ...]) -> LoopHost:
        return LoopHost(self._service, sockets[0], self._connects)

    def _process(self, sockets: tuple[Sockets, ...]) -> ProcessHost:
        from fake_servers.processes.host import ProcessHost  # late: most servers run in this process

        assert self._crossing is not None, "it was made to cross"
        try:
            host = ProcessHost(self, self._service, self._crossing, sockets, tls=self._tls)
        finally:
            for of_process in sockets:
                of_process.close()
        self._crossing.elsewhere = self.ledger._source = host
        return host

    def _leave_host(self) -> None:
        self._host = None
        with suppress(FakeServerError):  # a process that has ended is among the errors
            self.open_at_stop = tuple(c.number for c in self.ledger.connections if c.is_open or c.is_abandoned)
        self.ledger._loop_thread = None

    def _return(self) -> None:
        """From now on, what is known of another process is what it has said at last."""
        self.ledger._source = None
        if self._crossing is not None:
            self._crossing.elsewhere = None

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
        return self.start() if self._host_kind in {"thread", "process"} else await self.start_in_loop()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_in_loop()
        if error is None:
            self._raise_errors()

    def blocks(self) -> bool:
        """Whether it runs in the loop of the calling thread, so that it stands still while something blocks here."""
        return isinstance(self._host, LoopHost) and self._host.thread_id == get_ident()

    @property
    def has_ended(self) -> bool:
        """Whether a process that it runs in has been seen to have ended by itself."""
        return self._host is not None and self._host.has_ended

    @property
    def is_elsewhere(self) -> bool:
        """Whether it runs, or is to run, in a process of its own."""
        return self._crossing is not None

    def __repr__(self) -> str:
        where = f"at {self.url}" if getattr(self, "_port", 0) else "not started"  # its making may have failed
        return f"<{type(self).__name__} {where}>"


def _check_workers(workers: int, host: str | None, obstacle: str | None) -> None:
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ScenarioError(f"workers={workers!r} is no count; allowed are whole numbers from 1 up, as in workers=2")
    if workers > 1 and host != "process":
        raise ScenarioError(f"workers={workers} needs processes; write host='process', workers={workers}")
    if workers > 1 and obstacle is not None:
        raise ScenarioError(f"workers={workers} can't be: {obstacle}; leave workers out")


def clock_is_virtual() -> bool:
    """Whether a loop runs in this thread whose time is not the monotonic clock's, as all real ones' is."""
    loop = asyncio._get_running_loop()
    return loop is not None and abs(loop.time() - time.monotonic()) > _MOST_CLOCKS_DIFFER
