"""What is recorded, while it goes on: connections and exchanges as they are now, and what is counted for ever.

The `recorder` alone changes them, and freezes them into `records` for whoever reads.
"""

from __future__ import annotations

from typing import Protocol

from fake_servers.faults import Fault
from fake_servers.http import Fields, RawHeaders, Response
from fake_servers.records import Answered, Closer, Connection, Exchange, Outcome

__all__ = ["NO_TOTALS", "ConnectionEntry", "ExchangeEntry", "Totals"]


class Totals:
    """What is counted for ever, for one method and path."""

    __slots__ = (
        "count",
        "executions",
        "finished",
        "first_received_at",
        "in_flight",
        "last_finished_at",
        "peak_in_flight",
        "service_time",
    )

    def __init__(self) -> None:
        self.count = 0
        self.executions = 0
        self.finished = 0
        self.in_flight = 0
        self.peak_in_flight = 0
        self.service_time = 0.0
        self.first_received_at: float | None = None
        self.last_finished_at: float | None = None


#: Of an exchange that is not counted yet.
NO_TOTALS = Totals()


class Kept(Protocol):
    """What a handler answered, as far as it was kept."""

    def freeze(self) -> Answered: ...


class ConnectionEntry:
    """A connection as it is now."""

    __slots__ = (
        "bytes_in",
        "bytes_out",
        "closed_at",
        "closed_by",
        "exchanges",
        "fault",
        "input_ended",
        "left",
        "number",
        "opened_at",
        "peer",
    )

    def __init__(self, number: int, peer: tuple[str, int], opened_at: float) -> None:
        self.number = number
        self.peer = peer
        self.opened_at = opened_at
        self.closed_at: float | None = None
        self.closed_by: Closer | None = None
        self.left = False
        self.input_ended = False
        self.exchanges = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.fault: Fault | None = None

    def freeze(self) -> Connection:
        return Connection(
            number=self.number,
            peer=self.peer,
            opened_at=self.opened_at,
            closed_at=self.closed_at,
            closed_by=self.closed_by,
            is_abandoned=self.closed_at is not None and not self.left,
            input_ended=self.input_ended,
            exchanges=self.exchanges,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            fault=self.fault,
        )


class ExchangeEntry:
    """An exchange as it is now."""

    __slots__ = (
        "answer",
        "begun_at",
        "body",
        "body_complete",
        "body_digest",
        "body_size",
        "connection",
        "ended_at",
        "executed_at",
        "fault",
        "finished_at",
        "first_byte_at",
        "latency",
        "method",
        "number",
        "outcome",
        "path",
        "raw_headers",
        "received_at",
        "record",
        "response_fields",
        "rest",
        "sequence",
        "status",
        "target",
        "totals",
        "waited",
    )

    def __init__(
        self, connection: ConnectionEntry, method: str, target: str, path: str, raw_headers: RawHeaders
    ) -> None:
        self.connection = connection
        self.method = method
        self.target = target
        self.path = path
        self.raw_headers = raw_headers
        self.totals = NO_TOTALS
        self.number = 0
        self.sequence = 0
        self.body = b""
        self.body_size = 0
        self.body_digest: bytes | None = None
        self.body_complete = False
        self.begun_at = 0.0
        self.received_at: float | None = None
        self.executed_at: float | None = None
        self.first_byte_at: float | None = None
        self.finished_at: float | None = None
        self.ended_at: float | None = None
        self.waited = 0.0
        self.status: int | None = None
        self.response_fields: Fields = ()
        self.fault: Fault | None = None
        self.latency = 0.0
        self.answer: Response | Kept | None = None
        self.rest = b""
        self.outcome = Outcome.IN_PROGRESS
        self.record: Exchange | None = None

    def freeze(self) -> Exchange:
        if self.record is not None:
            return self.record
        record = Exchange(
            number=self.number,
            connection=self.connection.number,
            sequence=self.sequence,
            method=self.method,
            target=self.target,
            raw_headers=self.raw_headers,
            body=self.body,
            body_size=self.body_size,
            body_digest=self.body_digest,
            body_complete=self.body_complete,
            begun_at=self.begun_at,
            received_at=self.received_at,
            executed_at=self.executed_at,
            first_byte_at=self.first_byte_at,
            finished_at=self.finished_at,
            ended_at=self.ended_at,
            waited=self.waited,
            status=self.status,
            response_fields=self.response_fields,
            fault=self.fault,
            latency=self.latency,
            answer=self.answered,
            rest=self.rest,
            outcome=self.outcome,
        )
        if self.ended_at is not None:
            self.record = record
        return record

    @property
    def answered(self) -> Answered | None:
        """What the handler answered, as a record."""
        kept = self.answer
        if isinstance(kept, Response):  # answered at once
            at = (self.executed_at or self.begun_at) - self.begun_at
            return Answered(status=kept.status, headers=kept.headers, parts=((at, kept.body),))
        return None if kept is None else kept.freeze()
