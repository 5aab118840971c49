"""The client's side, seen from outside: its sockets, and the lines of code that opened them.

An audit hook (PEP 578) sees every ``socket.connect`` of this process. For those to one of our servers it keeps a weak
reference to the socket and a few frames of the stack, until the server has accepted the connection and its peer's
port tells which socket it was.
"""

from __future__ import annotations

import socket
import sys
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Collection
from dataclasses import dataclass
from ssl import SSLSocket
from threading import Lock, RLock, get_ident
from types import FrameType
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet, ref

import psutil

from fake_servers import started
from fake_servers.entries import ConnectionEntry, ExchangeEntry
from fake_servers.errors import ScenarioError
from fake_servers.records import Connection, Exchange
from fake_servers.server import FakeServer
from pytest_httpconc.openings import Opening, opening_at

__all__ = [
    "Timeouts",
    "describe_opening",
    "held_ports",
    "install",
    "look_at_timeouts",
    "opening_of",
    "timeouts_of",
]

_MOST_PENDING: Final = 1024
_MOST_OPENINGS: Final = 10_000
_MOST_LOOKS: Final = 50  #: for each route of a server; the timeouts of later requests are not read
_MOST_PAUSES: Final = 100
_PAUSE: Final = 0.0002

#: Functions that receive from their object's ``_sock``: of the standard library's socket files, and of httpcore.
_RECEIVERS: Final = frozenset({"readinto", "read"})

#: Whether a check may ask for timeouts; while it is false, a request costs nothing.
looks_at_timeouts = False

Peer = tuple[str, int]


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
            opening = self._expected(entry.peer)
            self._pending = deque((o for o in self._pending if o is not opening and _may_come(o)), _MOST_PENDING)
            if opening is not None:
                self._openings[entry.peer, entry.opened_at] = opening
            while len(self._openings) > _MOST_OPENINGS:
                self._openings.popitem(last=False)

    def _expected(self, peer: Peer) -> Opening | None:
        """Who was about to connect from this port; the latest, where a descriptor was used again."""
        for opening in self._pending:
            if _local_name(opening.sock()) == peer:
                return opening
        sealed = _sealed_at(peer)
        descriptor = None if sealed is None else sealed.fileno()
        return next((o for o in reversed(self._pending) if o.fileno == descriptor), None)

    def arrived(self, entry: ExchangeEntry) -> None:
        """Read the timeouts of the client that has sent this request, if a check may ask for them."""
        connection = entry.connection
        opening = self.opening(connection.peer, connection.opened_at)
        if opening is None or not looks_at_timeouts:
            return
        sock = _socket_of(opening, connection.peer)
        if sock is None:
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


#: The sockets that TLS has wrapped around those that connected: it takes a descriptor over, and leaves the first empty.
_sealed: WeakSet[SSLSocket] = WeakSet()
_sealing = RLock()
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
    started.observers.append(_watch)
    for server in started.started_servers():
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
    if event == "socket.connect":
        _connecting(*arguments)
    elif event == "socket.__new__" and isinstance(arguments[0], SSLSocket):
        with _sealing:
            _sealed.add(arguments[0])


def _connecting(sock: Any, address: Any) -> None:
    found = _by_address.get(address[:2]) if isinstance(address, tuple) else None
    watch = None if found is None else found()
    if watch is not None and isinstance(sock, socket.socket):
        opening = opening_at(sock, sys._getframe(2))
        if opening.speaks_http and watch.would_wait_for_itself(sock):
            raise ScenarioError(
                "a blocking client can't be used in the loop that its server runs in: each would wait for the other. "
                "Use an async client, or a server in a thread: 'with' in place of 'async with', or host='thread'"
            )
        watch.expect(opening)


def _may_come(opening: Opening) -> bool:
    """Whether its connection may still be accepted: it is not closed, or TLS has taken its descriptor over."""
    return opening.sock() is not None or any(sealed.fileno() == opening.fileno for sealed in _all_sealed())


def _socket_of(opening: Opening, peer: Peer) -> socket.socket | None:
    """The socket that a connection from this port now has, be it one of TLS around the first."""
    sock = opening.sock()
    return sock if _local_name(sock) == peer else _sealed_at(peer)


def _sealed_at(peer: Peer) -> SSLSocket | None:
    return next((sealed for sealed in _all_sealed() if _local_name(sealed) == peer), None)


def _all_sealed() -> list[SSLSocket]:
    with _sealing:
        return list(_sealed)


def _local_name(sock: socket.socket | None) -> Peer | None:
    try:
        return None if sock is None else sock.getsockname()[:2]
    except OSError:  # it was closed in the meantime
        return None


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
