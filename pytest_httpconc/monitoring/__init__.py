"""Live connections by port and process, with the trend that tells a leak from a level pool."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from fake_servers.errors import ScenarioError
from pytest_httpconc.monitoring.snapshots import is_in_use
from pytest_httpconc.monitoring.sockets import Socket, is_process, sockets_for
from pytest_httpconc.monitoring.targets import Target, parse
from pytest_httpconc.monitoring.watch import Seen, Watch

__all__ = ["Output", "monitor", "targets_of"]


class Output(Protocol):
    """Where what is seen goes."""

    def show(self, seen: Sequence[Seen]) -> None:
        """Tell of an instant."""
        ...

    def end(self, seen: Sequence[Seen]) -> None:
        """Tell what came of it."""
        ...


def targets_of(texts: Sequence[str], *, note: Callable[[str], None]) -> list[Target]:
    """The targets that a user has written, each once.

    Args:
        texts: as `parse` reads them.
        note: told, in a line, where a number alone is taken for a process.

    Raises:
        ScenarioError: one is none.
    """
    sockets = sockets_for(Target("port", 0))
    found = {t: parse(t, in_use=lambda port: is_in_use(port, sockets), is_process=is_process) for t in texts}
    for text, target in found.items():
        if target.kind == "pid" and ":" not in text:
            note(f"{text} is taken for a process, as nobody uses such a port; port:{text} is the port")
    return list(dict.fromkeys(found.values()))


def monitor(
    targets: Sequence[Target],
    *,
    output: Output,
    interval: float,
    duration: float | None = None,
    note: Callable[[str], None],
) -> list[Seen]:
    """Look at targets until the time is over, the user interrupts it, or a process among them has ended.

    Args:
        targets: one or more.
        output: told of each instant, and of the end.
        interval: seconds between two looks, above 0.
        duration: seconds that it takes; for ever when omitted.
        note: told, in a line, of what keeps it from seeing something.

    Returns:
        What is known of each target in the end.

    Raises:
        ScenarioError: a target can't be looked at even once.
    """
    watches = [Watch(target) for target in targets]
    begun_at = time.monotonic()
    seen = _look(watches)
    _note_silent_ports(seen, note)
    try:
        output.show(seen)
        for due_at in _instants(begun_at, interval, duration):
            time.sleep(max(0.0, due_at - time.monotonic()))
            seen = _look(watches)
            output.show(seen)
    except KeyboardInterrupt:
        pass  # as the user has asked for the end
    except ScenarioError as error:
        note(str(error))
    output.end(seen)
    return seen


def _note_silent_ports(seen: Sequence[Seen], note: Callable[[str], None]) -> None:
    for one in seen:
        if one.target.kind == "port" and not one.now.is_listening:
            note(f"nothing listens on {one.target} here; looking at who is, or will be, connected to it")


def _look(watches: Sequence[Watch]) -> list[Seen]:
    """Look at all targets; what is the same for several is listed once, as that takes longest."""
    listed: dict[str, list[Socket]] = {}

    def sockets(target: Target) -> list[Socket]:
        if target.kind == "pid":
            return sockets_for(target)
        if "all" not in listed:
            listed["all"] = sockets_for(target)
        return listed["all"]

    return [watch.look(sockets) for watch in watches]


def _instants(begun_at: float, interval: float, duration: float | None) -> Iterator[float]:
    """When to look again; a look that takes longer than the interval moves all that follow."""
    due_at = begun_at
    while True:
        due_at = max(due_at + interval, time.monotonic())
        if duration is not None and due_at > begun_at + duration:
            return
        yield due_at
