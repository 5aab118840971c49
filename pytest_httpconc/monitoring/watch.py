"""A target, looked at again and again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pytest_httpconc.monitoring.snapshots import Snapshot, snapshot
from pytest_httpconc.monitoring.sockets import Socket, name_of, sockets_for
from pytest_httpconc.monitoring.targets import Target
from pytest_httpconc.monitoring.trend import History, Verdict

__all__ = ["Seen", "Watch"]

_RECENT: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of a target by now.

    Args:
        target: the port or process.
        now: its connections at this instant.
        recent: how many were held at the last instants, up to 60, oldest first.
        peak: how many were held together at the most.
        looks: how often it was looked at.
        verdict: the trend.
    """

    target: Target
    now: Snapshot
    recent: tuple[int, ...]
    peak: int
    looks: int
    verdict: Verdict


class Watch:
    """Looks at a target, and remembers.

    Args:
        target: the port or process.
        clock: tells the time, in seconds.
    """

    def __init__(self, target: Target, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.target = target
        self._clock = clock
        self._history = History()
        self._recent: deque[int] = deque(maxlen=_RECENT)
        self._peak = 0
        self._looks = 0

    def look(self, sockets: Callable[[Target], list[Socket]] = sockets_for) -> Seen:
        """Look at it.

        Args:
            sockets: lists those among which the target's are.

        Raises:
            ScenarioError: its sockets may not be seen, or the process has ended.
        """
        now = snapshot(self.target, sockets(self.target), name_of=name_of)
        self._history.add(now.held, at=self._clock())
        self._recent.append(now.held)
        self._peak = max(self._peak, now.held)
        self._looks += 1
        return Seen(
            target=self.target,
            now=now,
            recent=tuple(self._recent),
            peak=self._peak,
            looks=self._looks,
            verdict=self._history.verdict(),
        )
