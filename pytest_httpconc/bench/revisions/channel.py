"""What two processes say to each other: JSON, a line a message, each with a kind."""

from __future__ import annotations

import json
from typing import Any, TextIO

__all__ = ["Channel", "Message"]

Message = dict[str, Any]


class Channel:
    """One end of two pipes.

    Args:
        incoming: what the other says.
        outgoing: what it is told.
    """

    def __init__(self, incoming: TextIO, outgoing: TextIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    @classmethod
    def of(cls, incoming: int, outgoing: int) -> Channel:
        """The end that has these two file descriptors."""
        return cls(open(incoming, encoding="utf-8"), open(outgoing, "w", encoding="utf-8"))

    def tell(self, kind: str, **values: Any) -> None:
        """Send a message.

        Raises:
            BrokenPipeError: the other process is gone.
        """
        self._outgoing.write(json.dumps({"kind": kind, **values}) + "\n")
        self._outgoing.flush()

    def hear(self) -> Message:
        """Wait for the next message.

        Raises:
            EOFError: the other process is gone.
        """
        line = self._incoming.readline()
        if not line.endswith("\n"):
            raise EOFError("the other process is gone")
        message: Message = json.loads(line)
        return message

    def ask(self, kind: str, **values: Any) -> Message:
        """Send a message, and wait for the next one."""
        self.tell(kind, **values)
        return self.hear()

    def close(self) -> None:
        """Close both pipes."""
        self._incoming.close()
        try:
            self._outgoing.close()
        except BrokenPipeError:  # what was not sent has nobody to read it
            return
