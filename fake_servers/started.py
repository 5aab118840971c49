"""The servers of this process that were started, for whoever looks at them when a test ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from fake_servers.server import FakeServer

__all__ = ["forget_server", "forget_stopped_servers", "observers", "remember", "started_servers"]

#: Called with each server that starts, before it accepts a connection, in the thread that starts it.
observers: list[Callable[[FakeServer], None]] = []

_started: WeakSet[FakeServer] = WeakSet()
#: Keeps the latest from being collected, so that a server which nobody holds any more can still be looked at.
_latest: deque[FakeServer] = deque(maxlen=64)


def remember(server: FakeServer) -> None:
    """A server has started."""
    _started.add(server)
    _latest.append(server)


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
