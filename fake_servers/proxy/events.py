"""Bodies that are streams of events: the same bytes, in parts of one event each, so that faults can count them."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from fake_servers.errors import UpstreamEnded

__all__ = ["end_of_event", "in_events"]

_MOST_OF_AN_EVENT: Final = 1024 * 1024  #: of what does not end, this much is passed on as it is
_LONGEST_END: Final = 4
_LINE_END: Final = rb"(?:\r\n|\n|\r(?=[^\n]))"
_ENDS: Final = {
    "text/event-stream": re.compile(_LINE_END * 2),  # an empty line (HTML Standard, section 9.2.6)
    "application/x-ndjson": re.compile(rb"\n"),
}


def end_of_event(content_type: str, content_encoding: str | None) -> re.Pattern[bytes] | None:
    """What ends an event in a body of this kind; None where there are none, or none that can be seen."""
    return None if content_encoding else _ENDS.get(content_type.partition(";")[0].strip().lower())


async def in_events(parts: AsyncGenerator[bytes, None], end: re.Pattern[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of a body event by event; what is left at its end, however it ends, is a part as well."""
    held = bytearray()
    looked_at = 0
    try:
        async with aclosing(parts):
            async for part in parts:
                held += part
                while match := end.search(held, max(0, looked_at - _LONGEST_END)):
                    yield bytes(held[: match.end()])
                    del held[: match.end()]
                    looked_at = 0
                looked_at = len(held)
                if looked_at > _MOST_OF_AN_EVENT:
                    yield bytes(held)
                    held.clear()
                    looked_at = 0
    except UpstreamEnded:
        if held:
            yield bytes(held)
        raise
    if held:
        yield bytes(held)
