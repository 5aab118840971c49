"""The client's side, seen from outside: the sockets that the test's own processes hold."""

from __future__ import annotations

from collections.abc import Collection

import psutil

__all__ = ["held_ports"]


def held_ports(server: tuple[str, int], ports: Collection[int]) -> set[int]:
    """Which of these local ports still belong to a client socket of this process or its children.

    Args:
        server: address and port that the sockets are connected to.
        ports: the clients' ports, as the server saw them.
    """
    process = psutil.Process()
    held: set[int] = set()
    for owner in (process, *process.children(recursive=True)):
        try:
            sockets = owner.net_connections(kind="tcp4")
        except psutil.NoSuchProcess:
            continue
        held.update(s.laddr.port for s in sockets if s.raddr and tuple(s.raddr) == server and s.laddr.port in ports)
    return held
