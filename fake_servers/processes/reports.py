"""What a server's process tells of its ledger: what is new since it was last asked, as plain rows.

Nothing is prepared while it serves: what has changed is found out when somebody asks.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import Any, Final

from fake_servers.entries import ExchangeEntry
from fake_servers.errors import FakeServerError
from fake_servers.service import Service

__all__ = ["CONNECTION", "COUNTS", "EXCHANGE", "TOTALS", "Failure", "Question", "Report", "Reporter", "Row", "is_final"]

Row = tuple[Any, ...]

COUNTS: Final = (
    "opened",
    "open",
    "held",
    "peak_connections",
    "begun_exchanges",
    "in_flight",
    "peak_in_flight",
)
TOTALS: Final = (
    "count",
    "executions",
    "finished",
    "in_flight",
    "service_time",
    "peak_in_flight",
    "first_received_at",
    "last_finished_at",
)
CONNECTION: Final = (
    "number",
    "peer",
    "opened_at",
    "closed_at",
    "closed_by",
    "left",
    "input_ended",
    "exchanges",
    "bytes_in",
    "bytes_out",
    "fault",
)
EXCHANGE: Final = (
    "number",
    "connection.number",
    "begun_at",
    "method",
    "target",
    "path",
    "raw_headers",
    "sequence",
    "body",
    "body_size",
    "body_digest",
    "body_complete",
    "received_at",
    "executed_at",
    "first_byte_at",
    "finished_at",
    "ended_at",
    "waited",
    "status",
    "response_fields",
    "fault",
    "latency",
    "answer",
    "rest",
    "outcome",
)
#: What is told of an entry in place of what it holds.
_TOLD: Final = {"answer": "answered"}
_AT_ONCE: Final = 5_000  # rows, so that the server is not kept from serving for long


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for: counts, and ``details`` of what began ``until`` an instant; ``ring`` at the next change."""

    details: bool
    until: float
    ring: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as text, and where it was raised."""

    message: str
    trace: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """An error of this process; that of a handler is told by its cause."""
        cause = error.__cause__ or error
        return cls(str(error), "".join(traceback.format_exception(type(cause), cause, cause.__traceback__)))

    def error(self) -> FakeServerError:
        """The error, to be raised in another process."""
        error = FakeServerError(self.message)
        error.__cause__ = _Raised(self.trace)
        return error


class _Raised(Exception):
    """What was raised in the server's process: its traceback, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


@dataclass(frozen=True, slots=True)
class Report:
    """What is new: ``epoch`` counts the times that everything was forgotten; ``more`` is there to be asked for."""

    epoch: int
    counts: Row
    totals: list[tuple[tuple[str, str], Row]]
    connections: list[Row]
    exchanges: list[Row]
    holds: list[tuple[int, bool]]
    errors: list[Failure]
    more: bool


def is_final(entry: ExchangeEntry) -> bool:
    """Whether nothing about an exchange will change any more."""
    return entry.ended_at is not None and (entry.body_complete or entry.connection.left)


class Reporter:
    """Knows what it has told, and so what is new."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._recorder = service.recorder
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._epoch = self._recorder.epoch
        self._totals: dict[tuple[str, str], Row] = {}
        self._connections = _News(CONNECTION, attrgetter("opened_at"), lambda entry: entry.left)
        self._exchanges = _News(EXCHANGE, attrgetter("begun_at"), is_final)
        self._errors = 0

    def report(self, question: Question) -> Report:
        """Everything that is new, or as much of it as may be told at once."""
        recorder, service = self._recorder, self._service
        if self._epoch != recorder.epoch:
            self._begin_anew()
        connections: list[Row] = []
        exchanges: list[Row] = []
        if question.details:
            connections = self._connections.news(recorder.connections, question.until)
            exchanges = self._exchanges.news(recorder.exchanges, question.until)
        errors, self._errors = service.errors[self._errors :], len(service.errors)
        return Report(
            epoch=self._epoch,
            counts=tuple(getattr(recorder, name) for name in COUNTS),
            totals=list(self._new_totals()),
            connections=connections,
            exchanges=exchanges,
            holds=[(hold.most_together, hold.gave_up) for hold in service.run.rendezvous],
            errors=[Failure.of(error) for error in errors],
            more=self._connections.more or self._exchanges.more,
        )

    def _new_totals(self) -> Iterator[tuple[tuple[str, str], Row]]:
        for route, totals in self._recorder.routes.items():
            row = _TOTALS(totals)
            if self._totals.get(route) != row:
                self._totals[route] = row
                yield route, row


_TOTALS: Final = attrgetter(*TOTALS)
Entry = Any  # a ConnectionEntry or an ExchangeEntry


class _News:
    """Of one kind of entries: up to which number they were told, and which of those may still change."""

    def __init__(self, names: tuple[str, ...], begins: Callable[[Entry], float], ends: Callable[[Entry], bool]) -> None:
        self._row = attrgetter(*(_TOLD.get(name, name) for name in names))
        self._begins = begins
        self._ends = ends
        self._last = 0
        self._unsettled: dict[int, tuple[Entry, Row]] = {}
        self.more = False

    def news(self, entries: Any, until: float) -> list[Row]:
        """The rows that are new or have changed, in order of their numbers; entries are numbered without a gap."""
        changed = list(self._changes())
        skipped = max(0, self._last + 1 - entries[0].number) if entries else 0
        fresh: list[Row] = []
        for entry in islice(entries, skipped, skipped + _AT_ONCE):
            if self._begins(entry) > until:
                break
            fresh.append(self._row(entry))
            self._last = entry.number
            if not self._ends(entry):
                self._unsettled[entry.number] = entry, fresh[-1]
        self.more = len(fresh) == _AT_ONCE
        return changed + fresh

    def _changes(self) -> Iterator[Row]:
        for number, (entry, before) in list(self._unsettled.items()):
            row = self._row(entry)
            if row != before:
                self._unsettled[number] = entry, row
                yield row
            if self._ends(entry):
                del self._unsettled[number]
