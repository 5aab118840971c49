"""A response as bytes: its parts, and where it is to be cut."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

__all__ = ["Shape"]

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_LAST_CHUNK: Final = b"0\r\n\r\n"
_LARGEST_WHOLE_BODY: Final = 4096
_BLOCK: Final = 4096
_MOST_BLOCKS: Final = 16
_SEEDED_POINTS: Final = 32


@dataclass(frozen=True, slots=True)
class Shape:
    """The parts of a response, in bytes (RFC 9112, sections 2.1 and 6.3).

    Args:
        status_line: size of the status line.
        head: size of status line and headers, with the empty line.
        size: size of the whole.
        is_chunked: whether the body is chunked.
        has_length: whether the body's length is declared.
    """

    status_line: int
    head: int
    size: int
    is_chunked: bool
    has_length: bool

    @classmethod
    def of(cls, sent: bytes) -> Shape:
        """The shape of what a server has sent in answer to one request."""
        sent = sent.removeprefix(_CONTINUE)
        line, _, rest = sent.partition(b"\r\n")
        fields, _, body = rest.partition(b"\r\n\r\n") if not rest.startswith(b"\r\n") else (b"", b"", rest[2:])
        names = [field.partition(b":")[0].strip().lower() for field in fields.split(b"\r\n")]
        chunked = b"transfer-encoding" in names
        return cls(len(line) + 2, len(sent) - len(body), len(sent), chunked, b"content-length" in names)

    @property
    def body(self) -> int:
        """Size of the body, with what frames it."""
        return self.size - self.head

    @property
    def complete_at(self) -> int:
        """After how many bytes it is complete, if the connection ends there.

        A chunked body is complete with its last chunk (RFC 9112, section 8), the empty line behind it missing. The
        line's own end may be missing too: no data is lost, and no client built on http.client can tell.
        """
        if self.is_chunked and self.body:
            return self.size - len(_LAST_CHUNK) + 1
        return self.size if self.has_length or not self.body else self.head

    def part(self, at: int) -> str:
        """What is cut after so many bytes."""
        if at == 0:
            return "before the status line"
        if at < self.status_line:
            return "in the status line"
        if at < self.head:
            return "in the headers"
        return "before the body" if at == self.head else "in the body"

    @property
    def is_sampled(self) -> bool:
        """Whether the body is too large to be cut after each of its bytes."""
        return self.body > _LARGEST_WHOLE_BODY

    def points(self, seed: int, at_most: int | None = None) -> list[int]:
        """After how many bytes to cut: each of the head, and each of the body or boundaries and seeded points.

        Args:
            seed: of the drawn points.
            at_most: how many there are to be, of the head too, boundaries first; all when omitted.
        """
        every = self._points(seed)
        if at_most is None or len(every) <= at_most:
            return every
        ends = [at for at in (self.head, self.complete_at - 1, 0, self.head + 1, self.status_line) if at in every]
        rest = [at for at in every if at not in ends]
        drawn = Random(f"{seed}/truncations/{at_most}").sample(rest, max(0, at_most - len(ends)))
        return sorted([*ends[:at_most], *drawn])

    def _points(self, seed: int) -> list[int]:
        if not self.is_sampled:
            return list(range(self.size))
        ends = {self.head, self.head + 1, self.size - 2, self.size - 1, self.complete_at - 1}
        blocks = range(_BLOCK, self.size, max(_BLOCK, self.size // _MOST_BLOCKS // _BLOCK * _BLOCK))
        around = {block + delta for block in blocks for delta in (-1, 0, 1)}
        drawn = Random(f"{seed}/truncations").sample(range(self.head, self.size), _SEEDED_POINTS)
        chosen = {at for at in ends | around | set(drawn) if self.head <= at < self.size}
        return [*range(self.head), *sorted(chosen)]
