"""The ledger's one writer: the server's loop reports here what happens, as it happens.

Everything that readers see is changed under one lock. Entries are changed in place and frozen into records
when someone reads them; the record of an exchange that is over is kept.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from hashlib import blake2b
from threading import RLock

from fake_servers.entries import ConnectionEntry, ExchangeEntry, Totals
from fake_servers.http import Fields
from fake_servers.records import Closer, Outcome

__all__ = ["KEPT_DETAILS", "Recorder"]

KEPT_BODY = 64 * 1024
KEPT_DETAILS = 100_000
_MOST_ROUTES = 100_000
_OTHER_PATHS = "/(other paths)"


class Recorder:
    """Writes what happens; instants come from ``clock``, in seconds."""

    def __init__(self, clock: Callable[[], float], *, keep: int = KEPT_DETAILS) -> None:
        self.clock = clock
        self.lock = RLock()
        self.watched: list[Callable[[], None]] = []
        self.observers: list[Callable[[ConnectionEntry], None]] = []
        self.arrival_observers: list[Callable[[ExchangeEntry], None]] = []
        self.tap: defaultdict[int, bytearray] | None = None
        self.epoch = 0  #: how often everything was forgotten
        self.connections: deque[ConnectionEntry] = deque(maxlen=keep)
        self.exchanges: deque[ExchangeEntry] = deque(maxlen=keep)
        self.clear()

    def clear(self, survivors: Iterable[ConnectionEntry] = ()) -> None:
        """Forget everything, and count the ``survivors``, which are open and idle, as connections 1, 2, ..."""
        with self.lock:
            self.epoch += 1
            self.connections.clear()
            self.exchanges.clear()
            self.routes: dict[tuple[str, str], Totals] = {}
            self.begun_exchanges = self.in_flight = self.peak_in_flight = 0
            self.kept_answers = 0  # bytes
            self.opened = self.open = self.held = self.peak_connections = 0
            for entry in survivors:
                self._count_in(entry)
                entry.exchanges = entry.bytes_in = entry.bytes_out = 0
            if self.watched:
                self._notify()

    def connection_opened(self, peer: tuple[str, int], at: float | None = None) -> ConnectionEntry:
        """A connection was accepted."""
        entry = ConnectionEntry(0, peer, self.clock() if at is None else at)
        with self.lock:
            self._count_in(entry)
            if self.watched:
                self._notify()
        for observe in self.observers:
            observe(entry)
        return entry

    def sent(self, entry: ConnectionEntry, data: bytes) -> None:
        """Bytes were sent on a connection; kept only while someone has tapped it."""
        if self.tap is not None:
            self.tap[entry.number] += data

    def connection_closed(self, entry: ConnectionEntry, by: Closer, at: float | None = None) -> None:
        """One side closed a connection; the first report counts."""
        with self.lock:
            if entry.closed_at is None:
                entry.closed_at = self.clock() if at is None else at
                entry.closed_by = by
                self.open -= 1
                if self.watched:
                    self._notify()

    def connection_left(self, entry: ConnectionEntry) -> None:
        """Nothing is left of a connection: its client has closed it too, or it was aborted."""
        with self.lock:
            if not entry.left:
                entry.left = True
                self.held -= 1
                if self.watched:
                    self._notify()

    def begun(self, entry: ExchangeEntry) -> None:
        """A request's head was read, or as much of it as ever came, and the rest is yet to come."""
        with self.lock:
            self._begin(entry, self.clock())
            if self.watched:
                self._notify()

    def body_read(self, entry: ExchangeEntry, body: bytes, *, complete: bool) -> None:
        """A request's body was read, or as much of it as ever came."""
        with self.lock:
            entry.record = None
            entry.body_size = len(body)
            entry.body_complete = complete
            entry.body = body
            if len(body) > KEPT_BODY:
                entry.body = body[:KEPT_BODY]
                entry.body_digest = blake2b(body).digest()
            if self.watched:
                self._notify()

    def received(self, entry: ExchangeEntry, *, executed: bool = False) -> None:
        """A request was read to its end: it is in flight from now on, and perhaps executed at once."""
        with self.lock:
            now = self.clock()
            if not entry.number:
                self._begin(entry, now)
            entry.received_at = now
            self.in_flight += 1
            if self.in_flight > self.peak_in_flight:
                self.peak_in_flight = self.in_flight
            totals = entry.totals
            totals.in_flight += 1
            if totals.in_flight > totals.peak_in_flight:
                totals.peak_in_flight = totals.in_flight
            if totals.first_received_at is None:
                totals.first_received_at = now
            if executed:
                entry.executed_at = now
                totals.executions += 1
            if self.watched:
                self._notify()
        for observe in self.arrival_observers:
            observe(entry)

    def executed(self, entry: ExchangeEntry) -> None:
        """The handler was entered, or, after a wait for a slot, began its work."""
        with self.lock:
            entry.executed_at = self.clock()
            entry.totals.executions += 1
            if self.watched:
                self._notify()

    def first_byte(self, entry: ExchangeEntry, status: int, fields: Fields = ()) -> None:
        """The response's first byte was sent; ``fields`` are its header fields."""
        with self.lock:
            entry.first_byte_at = self.clock()
            entry.status = status
            entry.response_fields = fields
            if self.watched:
                self._notify()

    def answered(self, entry: ExchangeEntry, status: int, fields: Fields = ()) -> None:
        """The response was sent to its end; ``fields`` are its header fields, unless its first byte told them."""
        with self.lock:
            now = self.clock()
            if entry.first_byte_at is None:
                entry.first_byte_at = now
                entry.response_fields = fields
            entry.finished_at = now
            entry.status = status
            self._ended(entry, Outcome.ANSWERED, now)
            totals = entry.totals
            totals.finished += 1
            totals.last_finished_at = now
            if entry.received_at is not None:
                totals.service_time += now - entry.received_at - entry.waited
            if self.watched:
                self._notify()

    def ended(self, entry: ExchangeEntry, outcome: Outcome) -> None:
        """The exchange was over before the response was sent to its end; the first report counts."""
        with self.lock:
            if entry.ended_at is None:
                self._ended(entry, outcome, self.clock())
                if self.watched:
                    self._notify()

    def _ended(self, entry: ExchangeEntry, outcome: Outcome, now: float) -> None:
        entry.outcome = outcome
        entry.ended_at = now
        if entry.received_at is not None:
            self.in_flight -= 1
            entry.totals.in_flight -= 1

    def _begin(self, entry: ExchangeEntry, now: float) -> None:
        key = (entry.method, entry.path)
        totals = entry.totals = self.routes.get(key) or self._new_route(*key)
        connection = entry.connection
        self.begun_exchanges += 1
        totals.count += 1
        connection.exchanges += 1
        entry.number = self.begun_exchanges
        entry.sequence = connection.exchanges
        entry.begun_at = now
        self.exchanges.append(entry)

    def _count_in(self, entry: ConnectionEntry) -> None:
        self.opened += 1
        self.open += 1
        self.held += 1
        self.peak_connections = max(self.peak_connections, self.open)
        entry.number = self.opened
        self.connections.append(entry)

    def _new_route(self, method: str, path: str) -> Totals:
        key = (method, path if len(self.routes) < _MOST_ROUTES else _OTHER_PATHS)
        return self.routes.setdefault(key, Totals())

    def _notify(self) -> None:
        for watcher in tuple(self.watched):
            watcher()
