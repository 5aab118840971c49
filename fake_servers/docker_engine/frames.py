"""How output travels: in frames (Docker Engine API, "Attach to a container"), or as a terminal passes it on."""

from __future__ import annotations

import re
import struct
from typing import Final

__all__ = ["MULTIPLEXED", "RAW", "STDERR", "STDOUT", "content_type", "frame", "on_terminal"]

STDOUT: Final = 1
STDERR: Final = 2
RAW: Final = "application/vnd.docker.raw-stream"
MULTIPLEXED: Final = "application/vnd.docker.multiplexed-stream"


def content_type(*, tty: bool) -> str:
    """What a stream of output is called: raw from a terminal, else multiplexed."""
    return RAW if tty else MULTIPLEXED


def frame(stream: int, data: bytes) -> bytes:
    """One frame: which stream, three zeros, the size as a big-endian 32-bit number, the data."""
    return struct.pack(">BxxxL", stream, len(data)) + data


def on_terminal(data: bytes) -> bytes:
    """Output as a terminal passes it on: each line feed behind a carriage return."""
    return re.sub(rb"(?<!\r)\n", b"\r\n", data)
