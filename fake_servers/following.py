"""What is new in a ledger since one looked last, for whoever shows a server while it serves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Generic, Protocol, TypeVar

from fake_servers.ledger import Ledger
from fake_servers.records import Connection, Exchange

__all__ = ["Follower", "News"]

Record = TypeVar("Record")
Record_co = TypeVar("Record_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What one look has found.

    Args:
        connections: those that came or changed since the look before, as they are now.
        exchanges: likewise.
        has_begun_anew: whether everything before was forgotten, as by a reset.
    """

    connections: Sequence[Connection] = ()
    exchanges: Sequence[Exchange] = ()
    has_begun_anew: bool = False

    def __bool__(self) -> bool:
        return bool(self.connections or self.exchanges or self.has_begun_anew)


class Follower:
    """Looks at a ledger again and again; what a look costs goes by what is new and what is not over.

    Args:
        ledger: the ledger; the first look finds all that it keeps.
        at_most: how many new connections, and new exchanges, one look finds; of more, it passes over the oldest.
            None for all.
    """

    def __init__(self, ledger: Ledger, *, at_most: int | None = None) -> None:
        self._ledger = ledger
        self._at_most = at_most
        self._epoch: int | None = None
        self._begin_anew()

    def look(self) -> News:
        """What has come or changed since the last look.

        Raises:
            FakeServerError: the server's process has ended.
        """
        recorder = self._ledger._read(details=True)
        with recorder.lock:
            has_begun_anew = self._epoch not in {None, recorder.epoch}
            if has_begun_anew:
                self._begin_anew()
            self._epoch = recorder.epoch
            return News(
                connections=self._connections.look(reversed(recorder.connections)),
                exchanges=self._exchanges.look(reversed(recorder.exchanges)),
                has_begun_anew=has_begun_anew,
            )

    def _begin_anew(self) -> None:
        self._connections: _Trail[Connection] = _Trail(
            lambda connection: not (connection.is_open or connection.is_abandoned), self._at_most
        )
        self._exchanges: _Trail[Exchange] = _Trail(lambda exchange: exchange.ended_at is not None, self._at_most)


class _Entry(Protocol[Record_co]):
    number: int

    def freeze(self) -> Record_co: ...


class _Trail(Generic[Record]):
    """The entries of one kind: how far they were seen, and those that may still change, as they were."""

    def __init__(self, is_final: Callable[[Record], bool], at_most: int | None) -> None:
        self._is_final = is_final
        self._at_most = at_most
        self._last = 0
        self._changing: list[tuple[_Entry[Record], Record | None]] = []

    def look(self, newest_first: Iterable[_Entry[Record]]) -> list[Record]:
        """What is new or has changed, oldest first."""
        unseen = takewhile(lambda entry: entry.number > self._last, newest_first)
        new = [*islice(unseen, self._at_most)]
        self._last = new[0].number if new else self._last
        known, self._changing = [*self._changing, *((entry, None) for entry in reversed(new))], []
        changed: list[Record] = []
        for entry, before in known:
            record = entry.freeze()
            if record != before:
                changed.append(record)
            if not self._is_final(record):
                self._changing.append((entry, record))
        return changed
