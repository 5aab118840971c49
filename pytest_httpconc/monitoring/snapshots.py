"""A target's connections at one instant: by state, and by who has them. Pure: sockets in, counts out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_httpconc.monitoring.sockets import ABANDONED, HELD, LISTENING, Socket
from pytest_httpconc.monitoring.targets import Target
from pytest_httpconc.printable import printable

__all__ = ["Holder", "Snapshot", "is_in_use", "snapshot"]

Side = Literal["client", "server"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who has some ends of a target's connections.

    Args:
        name: the process, as in ``"python[4711]"``; the kernel, for what is closed and waits; or "not visible".
        side: whether these are the clients' ends or the server's.
        port: the server's.
        states: how many ends are in each state.
    """

    name: str
    side: Side
    port: int
    states: Mapping[str, int]

    @property
    def held(self) -> int:
        """How many ends it still has to close."""
        return sum(number for state, number in self.states.items() if state in HELD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A target's connections at one instant.

    Args:
        held: connections of which a process still has to close an end; each counts once, though both ends may be here.
        states: how many connections are in each state, by the client's end where it is here.
        abandoned: ends of clients whose server has closed, and which they have not (HC102).
        holders: who has the ends; those with most come first.
        is_listening: whether something listens, on this port or in this process.
    """

    held: int
    states: Mapping[str, int]
    abandoned: int
    holders: tuple[Holder, ...]
    is_listening: bool


def is_in_use(port: int, sockets: Iterable[Socket]) -> bool:
    """Whether something listens on a port, or is connected to it."""
    return any(socket.remote[1] == port if socket.remote else socket.local[1] == port for socket in sockets)


def snapshot(target: Target, sockets: Sequence[Socket], *, name_of: Callable[[int], str]) -> Snapshot:
    """Count a target's connections.

    Args:
        target: the port, or the process whose sockets these are.
        sockets: all among which they are.
        name_of: a process's name by its id.
    """
    listening = {s.local[1] for s in sockets if s.state == LISTENING}
    ends = [(s, side) for s in sockets if (side := _side(target, s, listening)) is not None]
    by_connection: dict[frozenset[object], list[tuple[Socket, Side]]] = {}
    for socket, side in ends:
        by_connection.setdefault(frozenset({socket.local, socket.remote}), []).append((socket, side))
    states = Counter(_state(of_one) for of_one in by_connection.values())
    return Snapshot(
        held=sum(any(socket.state in HELD for socket, _ in of_one) for of_one in by_connection.values()),
        states=dict(states.most_common()),
        abandoned=sum(socket.state == ABANDONED and side == "client" for socket, side in ends),
        holders=_holders(ends, name_of),
        is_listening=target.number in listening if target.kind == "port" else bool(listening),
    )


def _side(target: Target, socket: Socket, listening: set[int]) -> Side | None:
    """Whose end of a connection of the target's this is; None if it is none."""
    if socket.remote is None:
        return None
    if target.kind == "pid":
        return "server" if socket.local[1] in listening else "client"
    if socket.remote[1] == target.number:
        return "client"
    return "server" if socket.local[1] == target.number else None


def _state(ends: Sequence[tuple[Socket, Side]]) -> str:
    return min(ends, key=lambda end: end[1])[0].state  # "client" comes before "server"


def _holders(ends: Sequence[tuple[Socket, Side]], name_of: Callable[[int], str]) -> tuple[Holder, ...]:
    states: dict[tuple[str, Side, int], Counter[str]] = {}
    names: dict[int, str] = {}
    for socket, side in ends:
        if socket.pid is not None and socket.pid not in names:
            names[socket.pid] = f"{printable(name_of(socket.pid)) or 'ended'}[{socket.pid}]"
        name = names[socket.pid] if socket.pid is not None else _nobody(socket)
        server = socket.remote if side == "client" else socket.local
        assert server is not None, "a connection has two ends"
        states.setdefault((name, side, server[1]), Counter())[socket.state] += 1
    holders = [
        Holder(name=name, side=side, port=port, states=dict(counted.most_common()))
        for (name, side, port), counted in states.items()
    ]
    return tuple(sorted(holders, key=lambda holder: (-holder.held, holder.side, holder.name, holder.port)))


def _nobody(socket: Socket) -> str:
    """Who has a socket of which no process is known."""
    return "not visible" if socket.state in HELD else "kernel"
