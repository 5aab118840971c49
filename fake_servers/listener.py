"""The listening socket: accepts connections, and refuses or ignores them when a fault says so."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fake_servers.engine import ServerConnection
from fake_servers.errors import FakeServerError, ScenarioError
from fake_servers.faults import AtListener, Refuse
from fake_servers.service import Service
from fake_servers.sockets import describe_descriptor_limit

__all__ = ["Connect", "Connects", "Listener", "Sockets", "UnixListener", "listen", "listen_unix"]

BACKLOG: Final = 4096
Connect = Callable[[Service, tuple[str, int], asyncio.AbstractEventLoop], ServerConnection]

_ACCEPTS_AT_ONCE: Final = 64
_PAUSE_WITHOUT_DESCRIPTORS: Final = 0.1
_LONGEST_PATH: Final = 107 if sys.platform.startswith("linux") else 103  # unix(7): sun_path, less its final zero


def listen(address: str, port: int, *, shared: bool = False) -> socket.socket:
    """Bind and listen on an IPv4 address; port 0 takes a free one, and a ``shared`` one can be listened on again.

    The port is always bound by its number: only then does Linux leave it to the socket while connections
    are refused.

    Raises:
        FakeServerError: the port is taken or the address is not this machine's.
    """
    for attempt in range(20):
        chosen = port or _free_port(address)
        # With its protocol named: asyncio turns Nagle's delay off only for sockets that say they are TCP's.
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:  # the system deals connections out to all that listen (socket(7), SO_REUSEPORT)
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            # Accepted sockets inherit it; asyncio sets it only where a socket names its protocol.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listening.bind((address, chosen))
            listening.listen(BACKLOG)
        except OSError as error:
            listening.close()
            if port or error.errno != errno.EADDRINUSE or attempt == 19:
                raise FakeServerError(f"can't listen on {address}:{chosen}: {error.strerror}") from error
        else:
            listening.setblocking(False)
            return listening
    raise AssertionError("unreachable")


def listen_unix(path: str) -> socket.socket:
    """Bind and listen on the path of a unix socket; the path of a socket that nobody listens on is taken over.

    Raises:
        ScenarioError: the path is empty or longer than the platform's limit.
        FakeServerError: the path is in use, or can't be made.
    """
    size = len(os.fsencode(path))
    if not 0 < size <= _LONGEST_PATH or "\0" in path:
        raise ScenarioError(
            f"unix_socket={path!r} has {size} bytes; allowed are 1 to {_LONGEST_PATH}, as in '/tmp/docker.sock'"
        )
    _remove_stale(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(path)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise FakeServerError(f"can't listen on {path}: {error.strerror}") from error
    listening.setblocking(False)
    return listening


def _remove_stale(path: str) -> None:
    """Remove a socket that a process has left behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            with contextlib.suppress(OSError):
                if stat.S_ISSOCK(os.lstat(path).st_mode):
                    os.unlink(path)
        except OSError:
            return


def _free_port(address: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            raise FakeServerError(f"can't listen on {address}: {error.strerror}") from error
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Connects:
    """What makes the server's end of a connection: of one over TCP, perhaps with TLS, and of one on a unix socket."""

    tcp: Connect = ServerConnection
    unix: Connect = ServerConnection


@dataclass(frozen=True, slots=True)
class Sockets:
    """What a server listens on: a TCP socket and, if asked for, a unix socket."""

    tcp: socket.socket
    unix: socket.socket | None = None

    @classmethod
    def open(cls, address: str, port: int, path: str | None) -> Sockets:
        """Listen on an address and a port, as `listen` does, and on the path of a unix socket, if there is one.

        Raises:
            ScenarioError: the path is too long.
            FakeServerError: one of them can't be had.
        """
        tcp = listen(address, port)
        try:
            return cls(tcp, None if path is None else listen_unix(path))
        except Exception:
            tcp.close()
            raise

    @classmethod
    def open_shared(cls, count: int, address: str, port: int, path: str | None) -> tuple[Sockets, ...]:
        """As `open`, for so many processes that share the port; the first has the unix socket.

        Raises:
            ScenarioError: the path is too long.
            FakeServerError: one of them can't be had.
        """
        if count == 1:
            return (cls.open(address, port, path),)
        opened = [cls(listen(address, port, shared=True))]
        try:
            opened += (cls(listen(address, opened[0].port, shared=True)) for _ in range(count - 1))
            opened[0] = cls(opened[0].tcp, None if path is None else listen_unix(path))
        except Exception:
            for sockets in opened:
                sockets.close()
            raise
        return tuple(opened)

    @classmethod
    def inherited(cls, tcp: int, unix: int | None) -> Sockets:
        """Sockets that another process has opened, by their descriptors."""
        return cls(socket.socket(fileno=tcp), None if unix is None else socket.socket(fileno=unix))

    def close(self) -> None:
        """Close them, here; a process that has inherited them goes on."""
        self.tcp.close()
        if self.unix is not None:
            self.unix.close()

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self.tcp.getsockname()[1])


class Listener:
    """Accepts connections for a service in a loop."""

    def __init__(
        self, listening: socket.socket, service: Service, loop: asyncio.AbstractEventLoop, connect: Connect
    ) -> None:
        self._socket = listening
        self._service = service
        self._connect = connect
        self._loop = loop
        self._name = listening.getsockname()
        self._filler: socket.socket | None = None
        self._filler_name: tuple[str, int] | None = None
        self._accepted = 0
        self._pauses = 0
        self._refuses = False
        self._closed = False
        self._handshakes: set[asyncio.Task[object]] = set()

    def open(self) -> None:
        """Begin to accept."""
        self._loop.add_reader(self._socket.fileno(), self._accept)
        self.meet_faults()

    async def close(self) -> None:
        """Accept no more, give the port back, and wait for the connections that are being made."""
        self._closed = True
        self._stop_filling()
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
        if self._handshakes:
            await asyncio.wait(self._handshakes)

    def forget(self) -> None:
        """Count accepted connections from 0 again, for faults that act after some."""
        self._accepted = 0

    def meet_faults(self) -> None:
        """Let the faults of the listener that have fallen due act now."""
        for fault in self._service.run.listener_faults(self._accepted):
            self._suffer(fault)

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_AT_ONCE):
            try:
                accepted, peer = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._cannot_accept(error)
                return
            if peer == self._filler_name:
                accepted.close()
                continue
            self._welcome(accepted, peer)
            self._accepted += 1
            self.meet_faults()
            if self._pauses:
                return

    def _welcome(self, accepted: socket.socket, peer: tuple[str, int]) -> None:
        accepted.setblocking(False)

        def protocol() -> ServerConnection:
            return self._connect(self._service, peer, self._loop)

        task: asyncio.Task[object] = self._loop.create_task(self._loop.connect_accepted_socket(protocol, accepted))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    def _cannot_accept(self, error: OSError) -> None:
        if error.errno not in {errno.EMFILE, errno.ENFILE}:
            raise error
        self._service.errors.append(
            FakeServerError(
                f"can't accept a connection: {error.strerror}. {describe_descriptor_limit()}; a connection takes one "
                "here and one in the client. Raise the limit (ulimit -n), share them out with host='process' and "
                "workers=2, or hold fewer"
            )
        )
        self._pause(_PAUSE_WITHOUT_DESCRIPTORS)

    def _suffer(self, fault: AtListener) -> None:
        self._pause(fault.seconds * self._service.time_scale)
        if self._refuses:
            return  # nobody gets so far as to meet another
        if isinstance(fault, Refuse):
            self._refuse()
        elif self._filler is None:
            self._fill()

    def _pause(self, seconds: float) -> None:
        self._pauses += 1
        if self._pauses == 1:
            self._loop.remove_reader(self._socket.fileno())
        self._loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._pauses -= 1
        if self._closed or self._pauses:
            return
        self._refuses = False
        self._stop_filling()
        if self._socket.fileno() < 0:
            self._socket = listen(*self._name)
        self._socket.listen(BACKLOG)
        self._loop.add_reader(self._socket.fileno(), self._accept)

    def _refuse(self) -> None:
        """Shut the listening socket; Linux keeps its port for it and answers connects with RST meanwhile."""
        self._refuses = True
        if sys.platform.startswith("linux"):
            self._socket.shutdown(socket.SHUT_RD)
        else:
            self._socket.close()

    def _fill(self) -> None:
        """Shrink the backlog and fill it with a connection of our own, so that the kernel drops every SYN."""
        self._socket.listen(0)
        self._filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._filler.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            self._filler.connect(self._name)
        self._filler_name = self._filler.getsockname()

    def _stop_filling(self) -> None:
        if self._filler is not None:
            self._filler.close()
            self._filler = None


class UnixListener(Listener):
    """Accepts connections on a unix socket, whose clients have no address and are numbered. It meets no faults."""

    _welcomed = 0

    async def close(self) -> None:
        await super().close()
        with contextlib.suppress(OSError):  # somebody else may have removed it
            os.unlink(self._name)

    def meet_faults(self) -> None:
        """The listener's faults concern TCP only."""

    def _welcome(self, accepted: socket.socket, peer: tuple[str, int]) -> None:
        self._welcomed += 1
        super()._welcome(accepted, ("unix", self._welcomed))
