"""What a server recorded, as lanes and bars: frozen values, made from a ledger, that JSON can carry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from fake_servers.ledger import Ledger
from fake_servers.records import Connection, Exchange

__all__ = ["DIGITS", "Bar", "Lane", "ServerSeen", "columns_of", "counts_of", "row_of"]

DIGITS: Final = 7  #: of a second: finer than any clock here


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A connection, as `Connection` has it; instants are seconds from the server's first record.

    ``opened`` says which line opened it, in words; empty where that was not seen.
    """

    number: int
    opened_at: float
    closed_at: float | None
    closed_by: str | None
    is_abandoned: bool
    input_ended: bool
    exchanges: int
    bytes_in: int
    bytes_out: int
    opened: str = ""

    @classmethod
    def of(cls, connection: Connection, begin: float, opened: str = "") -> Lane:
        """A connection, with its instants as seconds from ``begin``."""
        return cls(
            number=connection.number,
            opened_at=round(connection.opened_at - begin, DIGITS),
            closed_at=_since(begin, connection.closed_at),
            closed_by=None if connection.closed_by is None else str(connection.closed_by),
            is_abandoned=connection.is_abandoned,
            input_ended=connection.input_ended,
            exchanges=connection.exchanges,
            bytes_in=connection.bytes_in,
            bytes_out=connection.bytes_out,
            opened=opened,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """An exchange, as `Exchange` has it, without bodies and headers; instants as in `Lane`."""

    number: int
    connection: int
    sequence: int
    method: str
    target: str
    begun_at: float
    received_at: float | None
    executed_at: float | None
    first_byte_at: float | None
    ended_at: float | None
    waited: float
    status: int | None
    fault: str
    outcome: str
    progress: str
    fingerprint: str

    @classmethod
    def of(cls, exchange: Exchange, begin: float) -> Bar:
        """An exchange, with its instants as seconds from ``begin``."""
        return cls(
            number=exchange.number,
            connection=exchange.connection,
            sequence=exchange.sequence,
            method=exchange.method,
            target=exchange.target,
            begun_at=round(exchange.begun_at - begin, DIGITS),
            received_at=_since(begin, exchange.received_at),
            executed_at=_since(begin, exchange.executed_at),
            first_byte_at=_since(begin, exchange.first_byte_at),
            ended_at=_since(begin, exchange.ended_at),
            waited=round(exchange.waited, DIGITS),
            status=exchange.status,
            fault="" if exchange.fault is None else str(exchange.fault),
            outcome=str(exchange.outcome),
            progress=str(exchange.progress),
            fingerprint=exchange.fingerprint,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSeen:
    """What one server recorded during a test.

    Args:
        name: its kind and address.
        span: seconds from its first record to the last; what is open at the end is drawn up to there.
        counts: by name, in the order in which they are read.
        lanes: its connections.
        bars: its exchanges.
    """

    name: str
    span: float
    counts: dict[str, float]
    lanes: Sequence[Lane]
    bars: Sequence[Bar]

    @classmethod
    def of(
        cls, ledger: Ledger, *, name: str = "", opened: Callable[[Connection], str] = lambda connection: ""
    ) -> ServerSeen:
        """What a ledger holds now.

        Args:
            ledger: of the server.
            name: of the server.
            opened: which line opened a connection, in words.
        """
        connections, exchanges = ledger.connections, ledger.exchanges
        begin, end = _span(connections, exchanges)
        return cls(
            name=name,
            span=round(end - begin, DIGITS),
            counts=counts_of(ledger),
            lanes=[Lane.of(c, begin, opened(c)) for c in connections],
            bars=[Bar.of(e, begin) for e in exchanges],
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON: lanes and bars as tables, each a list of columns and a list of rows."""
        return {
            "name": self.name,
            "span": self.span,
            "counts": self.counts,
            "lanes": _table(Lane, self.lanes),
            "bars": _table(Bar, self.bars),
        }


def _span(connections: Iterable[Connection], exchanges: Iterable[Exchange]) -> tuple[float, float]:
    instants = [at for c in connections for at in (c.opened_at, c.closed_at) if at is not None]
    instants += [at for e in exchanges for at in (e.begun_at, e.ended_at) if at is not None]
    return (min(instants), max(instants)) if instants else (0.0, 0.0)


def counts_of(ledger: Ledger) -> dict[str, float]:
    """What a ledger has counted, by name, in the order in which it is read."""
    return {
        "connections": ledger.total_connections,
        "open at the end": ledger.open_connections,
        "open together": ledger.peak_connections,
        "exchanges": ledger.count(),
        "executions": ledger.executions(),
        "in flight together": ledger.peak_in_flight,
        "speedup": round(ledger.speedup(), 2),
        "makespan": round(ledger.makespan(), DIGITS),
    }


def _since(begin: float, instant: float | None) -> float | None:
    return None if instant is None else round(instant - begin, DIGITS)


def _table(kind: type[Lane] | type[Bar], rows: Iterable[Lane | Bar]) -> dict[str, Any]:
    """Rows without their names: at 10,000 of them, the names would be most of the file."""
    return {"columns": columns_of(kind), "rows": [row_of(row) for row in rows]}


def columns_of(kind: type[Lane] | type[Bar]) -> list[str]:
    """The names of what `row_of` has."""
    return [field.name for field in fields(kind)]


def row_of(row: Lane | Bar) -> list[Any]:
    """A lane or a bar as a row of its table."""
    return [getattr(row, field.name) for field in fields(row)]
