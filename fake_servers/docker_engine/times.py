"""Instants as the Engine API writes them: seconds since 1970, or RFC 3339 with nanoseconds."""

from __future__ import annotations

import math
import re
from datetime import datetime, timezone
from typing import Final

__all__ = ["NEVER", "ago", "read_instant", "stamp"]

NEVER: Final = "0001-01-01T00:00:00Z"
_SECONDS: Final = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{0,9})?")
_UNITS: Final = ((86400 * 365, "years"), (86400 * 30, "months"), (86400 * 7, "weeks"), (86400, "days"))


def stamp(seconds: float | None) -> str:
    """Seconds since 1970 in RFC 3339, in UTC, with nanoseconds; None is the year 1."""
    if seconds is None:
        return NEVER
    whole = math.floor(seconds)
    nanoseconds = min(int((seconds - whole) * 1e9), 999_999_999)
    return f"{datetime.fromtimestamp(whole, timezone.utc):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def read_instant(text: str) -> float | None:
    """Seconds since 1970 of a parameter such as ``since``: a number of them, or RFC 3339; None for "" and 0.

    Raises:
        ValueError: it is neither.
    """
    if text in {"", "0"}:
        return None
    if _SECONDS.fullmatch(text):
        return float(text)
    shortened = re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", text).replace("Z", "+00:00")
    try:
        instant = datetime.fromisoformat(shortened)
        return instant.replace(tzinfo=instant.tzinfo or timezone.utc).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"invalid value {text!r}: neither seconds since 1970 nor RFC 3339") from None


def ago(seconds: float) -> str:
    """A duration in the words of `docker ps`."""
    if seconds < 1:
        return "Less than a second"
    for limit, unit, name in ((60, 1, "second"), (3600, 60, "minute"), (172800, 3600, "hour")):
        if seconds < limit:
            count = int(seconds // unit)
            return f"{count} {name}{'s' * (count != 1)}" if name == "second" else _about(count, name)
    size, name = next((size, name) for size, name in _UNITS if seconds >= 2 * size)
    return f"{int(seconds // size)} {name}"


def _about(count: int, name: str) -> str:
    if count == 1:
        return f"About {'an' if name == 'hour' else 'a'} {name}"
    return f"{count} {name}s"
