"""The engine's events: what happened to containers and images, kept and passed on as it happens."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final

from fake_servers.deadlines import timeout
from fake_servers.docker_engine.filters import Filters, label_matches
from fake_servers.docker_engine.journal import Bell

__all__ = ["EVENT_FILTERS", "Events"]

EVENT_FILTERS: Final = ("action", "container", "event", "id", "image", "label", "name", "scope", "type")
_MOST_KEPT: Final = 1024

Event = dict[str, Any]


class Events:
    """The latest events, oldest first, and those to come."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._kept: deque[tuple[int, Event]] = deque(maxlen=_MOST_KEPT)
        self._count = 0
        self._bell = Bell()

    def emit(self, kind: str, action: str, identity: str, attributes: Mapping[str, str]) -> None:
        """Something happened to a ``container`` or an ``image``."""
        at = self._now()
        event = {
            "status": action,
            "id": identity,
            "from": attributes.get("image", ""),
            "Type": kind,
            "Action": action,
            "Actor": {"ID": identity, "Attributes": dict(attributes)},
            "scope": "local",
            "time": int(at),
            "timeNano": int(at * 1e9),
        }
        self._count += 1
        self._kept.append((self._count, event))
        self._bell.ring()

    def stream(self, since: float | None, until: float | None, filters: Filters) -> AsyncGenerator[Event, None]:
        """Yield the events from ``since``, or from now on, up to ``until``, in seconds since 1970."""
        return self._stream(self._count if since is None else 0, since or 0.0, until, filters)

    async def _stream(
        self, seen: int, since: float, until: float | None, filters: Filters
    ) -> AsyncGenerator[Event, None]:
        while True:
            for number, event in tuple(self._kept):
                at = event["timeNano"] / 1e9
                if number > seen:
                    seen = number
                    if at >= since and (until is None or at <= until) and _passes(event, filters):
                        yield event
            if self._count > seen:
                continue
            left = None if until is None else until - self._now()
            if left is not None and left <= 0:
                return
            await _wait(self._bell, left)


async def _wait(bell: Bell, seconds: float | None) -> None:
    try:
        async with timeout(seconds):
            await bell.wait()
    except (asyncio.TimeoutError, TimeoutError):
        return


def _passes(event: Event, filters: Filters) -> bool:
    attributes = event["Actor"]["Attributes"]
    action = event["Action"]
    names = {event["id"], event["id"][:12], attributes.get("name", ""), attributes.get("image", "")}
    return (
        filters.allows("type", lambda value: value == event["Type"])
        and filters.allows("scope", lambda value: value == "local")
        and all(filters.allows(key, lambda value: _is_action(value, action)) for key in ("action", "event"))
        and filters.allows("container", lambda value: event["Type"] == "container" and value in names)
        and filters.allows("image", lambda value: value in names)
        and all(filters.allows(key, lambda value: value in names) for key in ("id", "name"))
        and all(label_matches(value, attributes) for value in filters.get("label"))
    )


def _is_action(wanted: str, action: str) -> bool:
    return wanted in {action, action.partition(":")[0]}
