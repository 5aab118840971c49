"""What handlers answered, kept for the ledger; and closing what an answer's body comes from.

A plain response costs a reference, as this is done for every request. A stream is kept part by part while it is sent,
and of all bodies together no more than 4 MiB.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Final

from fake_servers.entries import ExchangeEntry
from fake_servers.http import Response, Stream
from fake_servers.recorder import Recorder
from fake_servers.records import Answered

__all__ = ["close", "keep", "keep_at_once"]

MOST_KEPT: Final = 4 * 1024 * 1024


def keep_at_once(recorder: Recorder, entry: ExchangeEntry, response: Response) -> None:
    """Note what a handler answered without waiting."""
    size = recorder.kept_answers + len(response.body)
    if size <= MOST_KEPT:
        recorder.kept_answers = size
        entry.answer = response
    else:
        entry.answer = _Plain(recorder, entry, response)


def keep(recorder: Recorder, entry: ExchangeEntry, answer: object) -> None:
    """Note what a handler answered in the end; what it does to a connection beyond HTTP is not kept."""
    if isinstance(answer, Response):
        entry.answer = _Plain(recorder, entry, answer)
    elif isinstance(answer, Stream):
        entry.answer = answer.chunks = _Streamed(recorder, entry, answer)


def _takes(recorder: Recorder, size: int) -> bool:
    """Whether there is room for so many bytes more."""
    fits = recorder.kept_answers + size <= MOST_KEPT
    if fits:
        recorder.kept_answers += size
    return fits


class _Plain:
    """A response that was answered at once."""

    __slots__ = ("_at", "_response", "_whole")

    def __init__(self, recorder: Recorder, entry: ExchangeEntry, response: Response) -> None:
        self._at = recorder.clock() - entry.begun_at
        self._whole = _takes(recorder, len(response.body))
        self._response = response if self._whole else Response(status=response.status, headers=response.headers)

    def freeze(self) -> Answered:
        response = self._response
        parts = ((self._at, response.body),)
        return Answered(status=response.status, headers=response.headers, parts=parts, is_whole=self._whole)


class _Streamed(AsyncIterator[bytes]):
    """A stream's source that keeps what is taken from it."""

    __slots__ = ("_entry", "_iterator", "_parts", "_recorder", "_source", "_stream", "_whole")

    def __init__(self, recorder: Recorder, entry: ExchangeEntry, stream: Stream) -> None:
        self._recorder = recorder
        self._entry = entry
        self._stream = stream
        self._source = stream.chunks
        self._iterator: AsyncIterator[bytes] | None = None
        self._parts: list[tuple[float, bytes]] = []
        self._whole = True

    async def __anext__(self) -> bytes:
        if self._iterator is None:
            self._iterator = aiter(self._source)
        part = await anext(self._iterator)
        self._whole = self._whole and _takes(self._recorder, len(part))
        if self._whole:
            self._parts.append((self._recorder.clock() - self._entry.begun_at, bytes(part)))
        return part

    async def aclose(self) -> None:
        await close(self._source)

    def freeze(self) -> Answered:
        return Answered(
            status=self._stream.status,
            headers=self._stream.headers,
            parts=tuple(self._parts),
            is_stream=True,
            is_whole=self._whole,
            length=self._stream.length,
        )


async def close(parts: AsyncIterable[bytes]) -> None:
    """Close a source that can be closed, as a generator can."""
    aclose = getattr(parts, "aclose", None)
    if aclose is not None:
        await aclose()
