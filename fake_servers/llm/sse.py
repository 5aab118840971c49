"""Server-sent events: one event is one part of a stream (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import json
from typing import Any, Final

__all__ = ["CONTENT_TYPE", "DONE", "data", "event"]

CONTENT_TYPE: Final = "text/event-stream; charset=utf-8"
DONE: Final = b"data: [DONE]\n\n"


def data(value: Any) -> bytes:
    """An event without a name."""
    return f"data: {json.dumps(value)}\n\n".encode()


def event(value: dict[str, Any]) -> bytes:
    """An event that has its value's ``type`` as its name."""
    return f"event: {value['type']}\n".encode() + data(value)
