"""What was seen, in lines: for people and logs, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from pytest_httpconc.monitoring.snapshots import Holder
from pytest_httpconc.monitoring.trend import FEWEST, Trend
from pytest_httpconc.monitoring.watch import Seen

__all__ = ["JsonLines", "Lines", "counted", "in_words", "remarks"]

_MOST_HOLDERS: Final = 4
_MANY_CLOSED: Final = 20  #: in TIME_WAIT for each that was held: from here on they are worth a remark


class Lines:
    """A line for each target and instant.

    Args:
        say: prints one.
        clock: tells the time of day, as the line begins.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], str]) -> None:
        self._say = say
        self._clock = clock

    def show(self, seen: Sequence[Seen]) -> None:
        """Tell of an instant."""
        for one in seen:
            holders = "; ".join(_holder(holder) for holder in one.now.holders[:_MOST_HOLDERS])
            more = len(one.now.holders) - _MOST_HOLDERS
            parts = [f"{one.target}: {one.now.held} held", f"peak {one.peak}", in_words(one)]
            by_whom = f" | {holders}{f'; and {more} more' if more > 0 else ''}" if holders else ""
            self._say(f"{self._clock()} {', '.join(parts)}{by_whom}")

    def end(self, seen: Sequence[Seen]) -> None:
        """Tell what came of it."""
        for one in seen:
            self._say(f"{one.target}: {one.now.held} held at the end, at most {one.peak}; {in_words(one)}")
            for remark in remarks(one):
                self._say(f"  {remark}")


class JsonLines:
    """An object for each target and instant, and at the end one for each target.

    Args:
        say: prints one.
        clock: tells the time, in seconds since the epoch.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._say = say
        self._clock = clock

    def show(self, seen: Sequence[Seen]) -> None:
        """Tell of an instant."""
        self._tell("sample", seen)

    def end(self, seen: Sequence[Seen]) -> None:
        """Tell what came of it."""
        self._tell("end", seen)

    def _tell(self, event: str, seen: Sequence[Seen]) -> None:
        for one in seen:
            told = {
                "event": event,
                "at": round(self._clock(), 3),
                one.target.kind: one.target.number,
                "held": one.now.held,
                "peak": one.peak,
                "states": one.now.states,
                "abandoned": one.now.abandoned,
                "listening": one.now.is_listening,
                "holders": [asdict(holder) for holder in one.now.holders],
                "trend": one.verdict.trend,
                "per_minute": round(one.verdict.rate * 60, 3),
            }
            self._say(json.dumps(told))


def in_words(seen: Seen) -> str:
    """The trend, and how far it is until there is one."""
    if seen.verdict.trend is not Trend.UNKNOWN:
        return str(seen.verdict)
    return f"{seen.verdict} ({seen.looks} of {FEWEST} samples)"


def counted(states: Mapping[str, int]) -> str:
    """States with their numbers, as in ``"ESTABLISHED 10, TIME_WAIT 2"``."""
    return ", ".join(f"{state} {number}" for state, number in states.items())


def remarks(seen: Seen) -> list[str]:
    """What is worth knowing beside the trend."""
    now = seen.now
    found: list[str] = []
    if seen.verdict.trend is Trend.LEAK and now.holders:
        found.append(f"most are held by {_holder(now.holders[0])} (HC101)")
    if now.abandoned:
        found.append(f"{now.abandoned} in CLOSE_WAIT: the server has closed them, and their client has not (HC102)")
    if now.states.get("TIME_WAIT", 0) > _MANY_CLOSED * max(seen.peak, 1):
        found.append(f"{now.states['TIME_WAIT']} in TIME_WAIT, closed of late: a new one for each request? (HC103)")
    if any(holder.name == "not visible" for holder in now.holders):
        found.append("not visible: another user's process, which root alone may see, or a connection just being made")
    if seen.target.kind == "port" and not seen.peak:
        found.append("nobody was connected to it")
    return found


def _holder(holder: Holder) -> str:
    return f"{holder.name} ({holder.side}, port {holder.port}): {counted(holder.states)}"
