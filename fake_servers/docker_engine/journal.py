"""What a container or a command has printed, kept with its instants, for those who read it then or later."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from fake_servers.docker_engine.frames import STDOUT, frame, on_terminal

__all__ = ["Bell", "Journal", "Record", "View"]

_MOST_KEPT: Final = 16 * 1024 * 1024


class Bell:
    """Wakes all who wait for something to change."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Wake those who wait now."""
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self) -> None:
        """Wait until it rings."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)


class Record(NamedTuple):
    """Some bytes that were printed together: on which stream, and when, in seconds since 1970."""

    stream: int
    at: float
    data: bytes


class Journal:
    """Everything that was printed, up to 16 MiB; what is more is dropped."""

    def __init__(self, now: Callable[[], float], *, tty: bool) -> None:
        self.records: list[Record] = []
        self.tty = tty
        self.bell = Bell()
        self._now = now
        self._size = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"records": self.records, "tty": self.tty, "_size": self._size}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy has what was printed so far; nobody waits for more."""
        self.__dict__.update(state, bell=Bell(), _now=time.time)

    def add(self, stream: int, data: bytes) -> None:
        """Keep what was printed; on a terminal it is all one stream."""
        if data and self._size < _MOST_KEPT:
            self._size += len(data)
            stream, data = (STDOUT, on_terminal(data)) if self.tty else (stream, data)
            self.records.append(Record(stream, self._now(), data))
            self.bell.ring()

    async def follow(self, position: int, is_over: Callable[[], bool]) -> AsyncGenerator[Record, None]:
        """Yield the records from a position on, as they are made, until nothing more is to come."""
        while True:
            while position < len(self.records):
                yield self.records[position]
                position += 1
            if is_over():
                return
            await self.bell.wait()


@dataclass(slots=True)
class Output:
    """Where a command prints to: one stream of a journal."""

    journal: Journal
    stream: int

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.journal.add(self.stream, data)


@dataclass(frozen=True, slots=True)
class View:
    """What a client wants to see of a journal, and how it is sent."""

    streams: frozenset[int]
    tty: bool
    since: float | None = None
    until: float | None = None
    timestamps: Callable[[float], str] | None = None

    def shows(self, record: Record) -> bool:
        """Whether a record is wanted."""
        if self.since is not None and record.at < self.since:
            return False
        return record.stream in self.streams and (self.until is None or record.at <= self.until)

    def lines(self, records: Iterable[Record]) -> list[Record]:
        """The wanted records, each cut into lines, as a log keeps them."""
        return [
            record._replace(data=line)
            for record in records
            if self.shows(record)
            for line in record.data.splitlines(keepends=True)
        ]

    def encode(self, record: Record) -> bytes:
        """One record as it is sent."""
        data = record.data
        if self.timestamps is not None:
            data = f"{self.timestamps(record.at)} ".encode() + data
        return data if self.tty else frame(record.stream, data)
