"""Records back into a recorder: every count and peak follows from them as if they had just happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from fake_servers.entries import ConnectionEntry, ExchangeEntry
from fake_servers.errors import ScenarioError
from fake_servers.recorder import Recorder
from fake_servers.records import Closer, Connection, Exchange, Outcome

__all__ = ["rewrite"]

_Step = tuple[float, int, Callable[[], object]]


def rewrite(connections: Iterable[Connection], exchanges: Iterable[Exchange]) -> Recorder:
    """Write records through a new recorder, event by event in order of time.

    An exchange on a connection that is not given gets one that opened with it and is still open.
    """
    connections, exchanges = list(connections), list(exchanges)
    known = {connection.number for connection in connections}
    for exchange in exchanges:
        if exchange.connection not in known:
            known.add(exchange.connection)
            connections.append(Connection(number=exchange.connection, opened_at=exchange.begun_at))
    _check_order(connections, exchanges)
    now = 0.0
    recorder = Recorder(lambda: now)
    entries: dict[int, ConnectionEntry] = {}
    steps: list[_Step] = []
    for connection in connections:
        steps.extend(_connection_steps(recorder, connection, entries))
    for exchange in exchanges:
        steps.extend(_exchange_steps(recorder, exchange, entries))
    for now, _, step in sorted(steps, key=lambda step: step[:2]):  # noqa: B007 -- the recorder's clock reads it
        step()
    return recorder


def _check_order(connections: list[Connection], exchanges: list[Exchange]) -> None:
    opened_at = {connection.number: connection.opened_at for connection in connections}
    for exchange in exchanges:
        if exchange.begun_at < opened_at[exchange.connection]:
            raise ScenarioError(
                f"exchange {exchange.number} begins at {exchange.begun_at:g}, before its connection "
                f"{exchange.connection} is opened, at {opened_at[exchange.connection]:g}"
            )


def _connection_steps(recorder: Recorder, record: Connection, entries: dict[int, ConnectionEntry]) -> Iterator[_Step]:
    def open_() -> None:
        entry = entries[record.number] = recorder.connection_opened(record.peer)
        entry.number, entry.input_ended = record.number, record.input_ended
        entry.bytes_in, entry.bytes_out, entry.fault = record.bytes_in, record.bytes_out, record.fault

    yield record.opened_at, 0, open_
    if record.closed_at is not None:
        by = record.closed_by or Closer.CLIENT_FIN
        yield record.closed_at, 7, lambda: recorder.connection_closed(entries[record.number], by)
        if not record.is_abandoned:
            yield record.closed_at, 8, lambda: recorder.connection_left(entries[record.number])


def _exchange_steps(recorder: Recorder, record: Exchange, entries: dict[int, ConnectionEntry]) -> Iterator[_Step]:
    entry: ExchangeEntry

    def begin() -> None:
        nonlocal entry
        connection = entries[record.connection]
        entry = ExchangeEntry(connection, record.method, record.target, record.path, record.raw_headers)
        recorder.begun(entry)
        entry.number, entry.sequence = record.number, record.sequence
        entry.fault, entry.waited, entry.latency = record.fault, record.waited, record.latency
        entry.body, entry.body_size, entry.body_digest = record.body, record.body_size, record.body_digest
        entry.body_complete, entry.answer, entry.rest = record.body_complete, record.answer, record.rest

    def end() -> None:
        if record.outcome is Outcome.ANSWERED:
            recorder.answered(entry, record.status or 200, record.response_fields)
        else:
            recorder.ended(entry, record.outcome)
        entry.finished_at = record.finished_at

    def first_byte() -> None:
        recorder.first_byte(entry, record.status or 200, record.response_fields)

    # An exchange that ends at the instant another begins is not in flight with it, and those that begin and
    # end at one instant come one by one.
    instant = record.ended_at is not None and record.ended_at in {record.begun_at, record.received_at}
    yield record.begun_at, 2, begin
    if record.received_at is not None:
        yield record.received_at, 6 if instant else 3, lambda: recorder.received(entry)
    if record.executed_at is not None:
        yield record.executed_at, 6 if instant else 4, lambda: recorder.executed(entry)
    if record.first_byte_at is not None:
        yield record.first_byte_at, 6 if instant else 5, first_byte
    if record.ended_at is not None:
        yield record.ended_at, 6 if instant else 1, end
