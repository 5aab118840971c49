"""Server-sent events, as the HTML standard has them (section 9.2.6), as far as a client of a model needs."""

from __future__ import annotations

import codecs
import re

__all__ = ["EventDecoder"]

_LINE_END = re.compile(r"\r\n|\n|\r")


class EventDecoder:
    """Bytes in, in whatever blocks they come; the data of each complete event out. Comments are passed over."""

    def __init__(self) -> None:
        self._text = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest = ""
        self._data: list[str] = []

    def feed(self, block: bytes) -> list[str]:
        """Take a block, and return the data of the events that it completes."""
        self._rest += self._text.decode(block)
        events: list[str] = []
        while (end := _LINE_END.search(self._rest)) and not self._may_go_on(end):
            line, self._rest = self._rest[: end.start()], self._rest[end.end() :]
            self._take(line, events)
        return events

    def _may_go_on(self, end: re.Match[str]) -> bool:
        """Whether a line feed may follow that belongs to this line end."""
        return end.group() == "\r" and end.end() == len(self._rest)

    def _take(self, line: str, events: list[str]) -> None:
        if not line:
            if self._data:
                events.append("\n".join(self._data))
            self._data = []
            return
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
