"""The client's side, seen from outside: its sockets, and the lines of code that opened them.

An audit hook (PEP 578) sees every ``socket.connect`` of this process. For those to one of our servers it keeps a weak
reference to the socket and a few frames of the stack, until the server has accepted the connection and its peer's
port tells which socket it was.
"""

from __future__ import annotations

import http.client
import socket
import sys
import sysconfig
import time
from asyncio import _get_running_loop
from collections import Counter, OrderedDict, deque
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, get_ident
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary, ref

import psutil

from fake_servers import server as servers
from fake_servers.errors import ScenarioError
from fake_servers.recorder import ConnectionEntry, ExchangeEntry
from fake_servers.records import Connection, Exchange
from fake_servers.server import FakeServer

__all__ = [
    "Opening",
    "Timeouts",
    "describe_opening",
    "held_ports",
    "install",
    "look_at_timeouts",
    "opening_of",
    "timeouts_of",
]

_MOST_FRAMES: Final = 120
_MOST_PLACES: Final = 2
_MOST_PENDING: Final = 1024
_MOST_OPENINGS: Final = 10_000
_MOST_LOOKS: Final = 50  #: for each route of a server; the timeouts of later requests are not read
_MOST_PAUSES: Final = 100
_PAUSE: Final = 0.0002

#: Functions that receive from their object's ``_sock``: of the standard library's socket files, and of httpcore.
_RECEIVERS: Final = frozenset({"readinto", "read"})
_RUNNERS: Final = frozenset({"_pytest", "pluggy", "pytest_asyncio", "anyio.pytest_plugin"})

#: By the end of a file's path: the method by which sessions and clients send a request.
_METHODS_OF_OWNERS: Final = {
    "requests/sessions.py": "send",
    "httpx/_client.py": "send",
    "httpx2/_client.py": "send",
    "aiohttp/client.py": "_request",
    "urllib3/poolmanager.py": "urlopen",
}

#: Whether a check may ask for timeouts; while it is false, a request costs nothing.
looks_at_timeouts = False

Peer = tuple[str, int]


class Owner:
    """A session or client of a known library, held weakly."""

    def __init__(self, owner: object) -> None:
        kind = type(owner)
        self.name = f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
        self._owner = ref(owner)

    @property
    def is_unclosed(self) -> bool:
        """Whether it is still there and was not closed."""
        owner = self._owner()
        return owner is not None and not _is_closed(owner)

    @property
    def is_closed(self) -> bool:
        """Whether it is still there and was closed."""
        owner = self._owner()
        return owner is not None and _is_closed(owner)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Owner) and self._owner == other._owner

    def __hash__(self) -> int:
        return hash(self.name)


def _is_closed(owner: Any) -> bool:
    for name in ("is_closed", "closed"):  # httpx, aiohttp
        if isinstance(getattr(owner, name, None), bool):
            return bool(getattr(owner, name))
    managers = [owner, *(getattr(adapter, "poolmanager", None) for adapter in getattr(owner, "adapters", {}).values())]
    return not any(len(manager.pools) for manager in managers if hasattr(manager, "pools"))  # urllib3, requests


@dataclass(frozen=True, slots=True)
class Opening:
    """How a client's socket was opened.

    Args:
        places: file, line and function of the user's frames, the innermost first.
        library: the outermost package, not the user's, through which it was opened; empty if there is none.
        sock: a weak reference to the socket that was connected.
        timeout: the socket's timeout when it was connected, in seconds; None for no timeout, 0 where it does
            not block.
        in_loop: whether an event loop was running in the thread.
        thread: the thread that connected.
        speaks_http: whether it was opened through a library, and not by the user's own hands.
        owner: the session or client that had it opened.
    """

    places: tuple[tuple[str, int, str], ...]
    library: str
    sock: ref[socket.socket]
    timeout: float | None
    in_loop: bool
    thread: int
    speaks_http: bool
    owner: Owner | None = None

    @property
    def blocks_loop(self) -> bool:
        """Whether a running event loop stands still while this socket is used."""
        return self.in_loop and self.timeout != 0

    def __str__(self) -> str:
        through = f", through {self.library}" if self.library else ""
        if not self.places:
            return f"opened in a task that is not the test's own{through}"
        path, line, name = self.places[0]
        called = f", called from {_shown(*self.places[1])}" if len(self.places) > 1 else ""
        return f"opened at {_shown(path, line, name)}{through}{called}"


def _shown(path: str, line: int, name: str) -> str:
    return f"{_relative(path)}:{line} in {name}"


def _relative(path: str) -> str:
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path


@dataclass(frozen=True, slots=True)
class Timeouts:
    """A client's timeouts as its socket had them, in seconds; None is no timeout, and 0 a socket that does not block.

    Args:
        connect: when the connection was made.
        read: while the client waited for this answer.
    """

    connect: float | None
    read: float | None


class _Watch:
    """What is known of the clients of one server: who is about to connect, and who has opened which connection."""

    def __init__(self, server: FakeServer) -> None:
        self._server = ref(server)
        self._lock = Lock()
        self._timeouts: OrderedDict[tuple[Peer, float, int], Timeouts] = OrderedDict()
        self._looks: Counter[tuple[str, str]] = Counter()
        self._pending: deque[Opening] = deque(maxlen=_MOST_PENDING)
        self._openings: OrderedDict[tuple[Peer, float], Opening] = OrderedDict()

    def would_wait_for_itself(self, sock: socket.socket) -> bool:
        """Whether the server stands still while this socket, in the same thread, waits for it."""
        server = self._server()
        return server is not None and sock.gettimeout() != 0 and server.blocks()

    def expect(self, opening: Opening) -> None:
        with self._lock:
            self._pending.append(opening)

    def accepted(self, entry: ConnectionEntry) -> None:
        with self._lock:
            self._pending = deque((o for o in self._pending if o.sock() is not None), _MOST_PENDING)
            for opening in self._pending:
                if _local_name(opening.sock()) == entry.peer:
                    self._pending.remove(opening)
                    self._openings[entry.peer, entry.opened_at] = opening
                    break
            while len(self._openings) > _MOST_OPENINGS:
                self._openings.popitem(last=False)

    def arrived(self, entry: ExchangeEntry) -> None:
        """Read the timeouts of the client that has sent this request, if a check may ask for them."""
        connection = entry.connection
        opening = self.opening(connection.peer, connection.opened_at)
        sock = None if opening is None else opening.sock()
        if opening is None or sock is None or not looks_at_timeouts:
            return
        if sock.gettimeout() != 0 and opening.thread != get_ident():
            route = entry.method, entry.path
            if self._looks[route] == _MOST_LOOKS:
                return  # a timeout that is read without a pause may be that of connecting
            self._looks[route] += 1
            _let_wait(sock, opening.timeout)
        with self._lock:
            key = connection.peer, connection.opened_at, entry.sequence
            self._timeouts[key] = Timeouts(opening.timeout, sock.gettimeout())
            while len(self._timeouts) > _MOST_OPENINGS:
                self._timeouts.popitem(last=False)

    def timeouts(self, peer: Peer, opened_at: float, sequence: int) -> Timeouts | None:
        with self._lock:
            return self._timeouts.get((peer, opened_at, sequence))

    def opening(self, peer: Peer, opened_at: float) -> Opening | None:
        with self._lock:
            return self._openings.get((peer, opened_at))


_watches: WeakKeyDictionary[FakeServer, _Watch] = WeakKeyDictionary()
_by_address: dict[Peer, ref[_Watch]] = {}
_installed = False


def install() -> None:
    """See the clients of every server that runs or starts from now on; once for a process."""
    global _installed
    if _installed:
        return
    _installed = True
    sys.addaudithook(_hook)
    servers.observers.append(_watch)
    for server in servers.started_servers():
        if server.is_running:
            _watch(server)


def look_at_timeouts(look: bool) -> None:
    """From now on, read the timeouts of clients when their requests arrive, or don't."""
    global looks_at_timeouts
    looks_at_timeouts = look


def opening_of(server: FakeServer, connection: Connection) -> Opening | None:
    """How the client's end of a connection was opened; None if it was not seen, as in another process."""
    watch = _watches.get(server)
    return None if watch is None else watch.opening(connection.peer, connection.opened_at)


def describe_opening(server: FakeServer, connection: Connection) -> str:
    """Where a connection was opened, in words, or else who holds it."""
    opening = opening_of(server, connection)
    if opening is not None:
        closed = opening.owner is not None and opening.owner.is_closed
        return (
            f"{opening}; its session was closed, so a response that is still held keeps it" if closed else str(opening)
        )
    holder = held_ports((server.address, server.port), [connection.peer[1]]).get(connection.peer[1])
    if holder == "this process":
        return "opened at an unknown line: the socket is held by this process, but is none of Python's"
    return f"opened at an unknown line: the socket is held by {holder or 'no process of this test'}"


def timeouts_of(server: FakeServer, connection: Connection, exchange: Exchange) -> Timeouts | None:
    """The timeouts with which a client waited for an answer; None if its socket was not seen."""
    watch = _watches.get(server)
    return None if watch is None else watch.timeouts(connection.peer, connection.opened_at, exchange.sequence)


def _let_wait(sock: socket.socket, connecting: float | None) -> None:
    """Let the client get on until it waits for its answer, or some ms have passed.

    Many clients set their read timeout only after they have sent a request, just before they wait. That they do is
    seen by the frame that receives from this socket; or else by a timeout that is no more the one of connecting, as
    nothing in the process moves.
    """
    before = None
    for _ in range(_MOST_PAUSES):
        frames = sys._current_frames()
        frames.pop(get_ident(), None)
        if any(_receives(frame, sock) for frame in frames.values()):
            return
        now = {thread: (id(frame), frame.f_lasti) for thread, frame in frames.items()}
        if now == before and sock.gettimeout() != connecting:
            return
        before = now
        time.sleep(_PAUSE)


def _receives(frame: FrameType, sock: socket.socket) -> bool:
    if frame.f_code.co_name not in _RECEIVERS:
        return False
    return getattr(frame.f_locals.get("self"), "_sock", None) is sock


def _watch(server: FakeServer) -> None:
    watch = _watches.setdefault(server, _Watch(server))
    server.observe_arrivals(watch.arrived)
    _by_address[server.address, server.port] = ref(watch)
    server.observe_connections(watch.accepted)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect":
        return
    sock, address = arguments
    found = _by_address.get(address[:2]) if isinstance(address, tuple) else None
    watch = None if found is None else found()
    if watch is not None and isinstance(sock, socket.socket):
        opening = _opening(sock, sys._getframe(1))
        if opening.speaks_http and watch.would_wait_for_itself(sock):
            raise ScenarioError(
                "a blocking client can't be used in the loop that its server runs in: each would wait for the other. "
                "Use an async client, or a server in a thread: 'with' in place of 'async with', or host='thread'"
            )
        watch.expect(opening)


def _opening(sock: socket.socket, frame: FrameType | None) -> Opening:
    """Walk up from a connect, through the library to the user's code; this is done for every connect, so it is lean."""
    places: list[tuple[str, int, str]] = []
    library, speaks_http = "", False
    owner: Owner | None = None
    steps = 0
    while frame is not None and len(places) < _MOST_PLACES and steps < _MOST_FRAMES:
        code = frame.f_code
        file = _files.get(code.co_filename) or _file(code.co_filename)
        if file.package is None:
            places.append((code.co_filename, frame.f_lineno, _name(code)))
        elif file.package in _RUNNERS:
            break
        elif not places:
            library = file.package or library
            speaks_http = speaks_http or file.speaks_http
            if code.co_name == file.method_of_owner:
                owner = _owner(frame) or owner
        frame = frame.f_back
        steps += 1
    in_loop = _get_running_loop() is not None
    return Opening(tuple(places), library, ref(sock), sock.gettimeout(), in_loop, get_ident(), speaks_http, owner)


def _owner(frame: FrameType) -> Owner | None:
    """The session whose method this frame runs."""
    owner = frame.f_locals.get("self")
    return None if owner is None else Owner(owner)


class _File(NamedTuple):
    """What is known of a file: its package, and whose method in it sends requests."""

    package: str | None
    speaks_http: bool
    method_of_owner: str | None


_files: dict[str, _File] = {}


def _file(path: str) -> _File:
    package = _package(path)
    method = next((method for end, method in _METHODS_OF_OWNERS.items() if Path(path).match(end)), None)
    found = _files[path] = _File(package, bool(package) or path == http.client.__file__, method)
    return found


def _name(code: CodeType) -> str:
    return getattr(code, "co_qualname", code.co_name)


def _local_name(sock: socket.socket | None) -> Peer | None:
    try:
        return None if sock is None else sock.getsockname()[:2]
    except OSError:  # it was closed in the meantime
        return None


_STANDARD: Final = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), "<")
_INSTALLED: Final = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
_OWN: Final = tuple(str(Path(file or "").parent) for file in (servers.__file__, __file__))


def _package(path: str) -> str | None:
    """The package that a library's file is of, empty for the standard library; None for the user's own code."""
    for own in _OWN:
        if path.startswith(own):
            return Path(own).name
    for root in _INSTALLED:
        if path.startswith(root):
            return Path(path).relative_to(root).parts[0].removesuffix(".py")
    return "" if path.startswith(_STANDARD) else None


def held_ports(server: Peer, ports: Collection[int]) -> dict[int, str]:
    """Which of these local ports still belong to a client socket of this process or its children, and to whom.

    Args:
        server: address and port that the sockets are connected to.
        ports: the clients' ports, as the server saw them.
    """
    process = psutil.Process()
    held: dict[int, str] = {}
    for owner in (process, *process.children(recursive=True)):
        try:
            sockets = owner.net_connections(kind="tcp4")
        except psutil.NoSuchProcess:
            continue
        name = "this process" if owner == process else f"process {owner.pid} ({owner.name()})"
        mine = (s.laddr.port for s in sockets if s.raddr and tuple(s.raddr) == server and s.laddr.port in ports)
        held.update(dict.fromkeys(mine, name))
    return held
