"""A recorder that is written from reports: what the servers' processes have recorded, merged into one.

Counts, and with one process peaks as well, are taken over as they are. With several, connections and exchanges are
numbered in the order in which they began, and peaks are found from their instants, as far as details are kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from fake_servers.entries import ConnectionEntry, ExchangeEntry, Totals
from fake_servers.errors import FakeServerError
from fake_servers.ledger import most_together
from fake_servers.processes.reports import CONNECTION, COUNTS, EXCHANGE, TOTALS, Report, Row, is_final
from fake_servers.recorder import KEPT_DETAILS, Recorder
from fake_servers.records import Closer, Outcome
from fake_servers.service import Service

__all__ = ["Mirror"]

Route = tuple[str, str]

#: How a count of several processes, or of several runs, follows from those of each; the others are sums.
_MERGED: Final[dict[str, Callable[[Iterable[float]], float]]] = {
    "peak_connections": max,
    "peak_in_flight": max,
    "first_received_at": min,
    "last_finished_at": max,
}
#: Which parts of a row change: those behind what a new entry is made of.
_CHANGING_OF_CONNECTION: Final = tuple(enumerate(CONNECTION))[3:]
_CHANGING_OF_EXCHANGE: Final = tuple(enumerate(EXCHANGE))[7:]


class _Side:
    """One process: its latest counts, and its entries by the numbers that it has given them."""

    def __init__(self) -> None:
        self.epoch: int | None = None
        self.counts: Row = ()
        self.totals: dict[Route, Row] = {}
        self.connections: dict[int, ConnectionEntry] = {}
        self.exchanges: dict[int, ExchangeEntry] = {}

    def forget_settled(self) -> None:
        """Let go of exchanges that are over, and of connections that no exchange can come on any more."""
        self.exchanges = {n: e for n, e in self.exchanges.items() if not is_final(e)}
        if len(self.connections) > 2 * KEPT_DETAILS:
            oldest = max(self.connections) - KEPT_DETAILS
            self.connections = {n: e for n, e in self.connections.items() if n > oldest or not e.left}


class Mirror:
    """Writes the recorder of a server on this side; to be used under the recorder's lock.

    What was recorded before, in an earlier run, stays and counts.
    """

    def __init__(self, service: Service, processes: int) -> None:
        self._service = service
        self._recorder = service.recorder
        self._begin(processes)

    def _begin(self, processes: int) -> None:
        recorder = self._recorder
        self._sides = [_Side() for _ in range(processes)]
        self._counts_before: Row = tuple(getattr(recorder, name) for name in COUNTS)
        self._totals_before = {route: _row(totals) for route, totals in recorder.routes.items()}
        self._connections, self._exchanges = recorder.opened, recorder.begun_exchanges

    def write(self, reports: Sequence[Sequence[Report]]) -> None:
        """Take over the reports of each process, in order."""
        if any(side.epoch not in {None, of[-1].epoch} for side, of in zip(self._sides, reports, strict=True)):
            self._recorder.clear()
            self._begin(len(reports))
        news: list[tuple[_Side, Report]] = []
        for side, of_side in zip(self._sides, reports, strict=True):
            side.epoch = of_side[-1].epoch
            news += [(side, report) for report in of_side if report.epoch == side.epoch]
        for row, side in sorted(((row, side) for side, report in news for row in report.connections), key=_begun_at):
            self._take_connection(side, row)
        for row, side in sorted(((row, side) for side, report in news for row in report.exchanges), key=_begun_at):
            self._take_exchange(side, row)
        for side, report in news:
            self._take_the_rest(side, report)
        self._add_up({route for _, report in news for route, _ in report.totals})

    def find_peaks(self) -> None:
        """Find the peaks of all processes together, which no one of them knows."""
        recorder = self._recorder
        opened = most_together((c.opened_at, c.closed_at) for c in recorder.connections)
        recorder.peak_connections = max(recorder.peak_connections, opened)
        recorder.peak_in_flight = max(recorder.peak_in_flight, _most_in_flight(recorder.exchanges))
        by_route: defaultdict[Route, list[ExchangeEntry]] = defaultdict(list)
        for exchange in recorder.exchanges:
            by_route[exchange.method, exchange.path].append(exchange)
        for route, exchanges in by_route.items():
            totals = recorder.routes.get(route)
            if totals is not None:
                totals.peak_in_flight = max(totals.peak_in_flight, _most_in_flight(exchanges))

    def lost(self, failure: FakeServerError) -> None:
        """The processes have ended without a word: whatever went on in them is over."""
        recorder, now = self._recorder, self._recorder.clock()
        self._service.errors.append(failure)
        for side in self._sides:
            for exchange in side.exchanges.values():
                if exchange.ended_at is None:
                    exchange.ended_at, exchange.outcome = now, Outcome.SERVER_STOPPED
            for connection in side.connections.values():
                if connection.closed_at is None:
                    connection.closed_at, connection.closed_by = now, Closer.SERVER
                connection.left = True
        recorder.open = recorder.held = recorder.in_flight = 0
        for totals in recorder.routes.values():
            totals.in_flight = 0

    def numbers(self, process: int) -> dict[int, int]:
        """The numbers of connections on this side, by those that one process has given them."""
        return {number: entry.number for number, entry in self._sides[process].connections.items()}

    def _take_connection(self, side: _Side, row: Row) -> None:
        entry = side.connections.get(row[0])
        is_new = entry is None
        if entry is None:
            self._connections += 1
            entry = side.connections[row[0]] = ConnectionEntry(self._connections, row[1], row[2])
            self._recorder.connections.append(entry)
        for index, name in _CHANGING_OF_CONNECTION:
            setattr(entry, name, row[index])
        for observe in self._recorder.observers if is_new else ():
            observe(entry)

    def _take_exchange(self, side: _Side, row: Row) -> None:
        entry = side.exchanges.get(row[0])
        if entry is None:
            self._exchanges += 1
            entry = side.exchanges[row[0]] = ExchangeEntry(self._connection_of(side, row), *row[3:7])
            entry.number, entry.begun_at = self._exchanges, row[2]
            self._recorder.exchanges.append(entry)
        for index, name in _CHANGING_OF_EXCHANGE:
            setattr(entry, name, row[index])
        entry.record = None

    def _connection_of(self, side: _Side, row: Row) -> ConnectionEntry:
        """Of so many connections that it had been let go before anybody asked, nothing but this is known."""
        known = side.connections.get(row[1])
        if known is None:
            known = side.connections[row[1]] = ConnectionEntry(0, ("", 0), row[2])
        return known

    def _take_the_rest(self, side: _Side, report: Report) -> None:
        side.counts = report.counts
        side.totals.update(report.totals)
        side.forget_settled()
        self._service.errors += [failure.error() for failure in report.errors]
        for rendezvous, (most, gave_up) in zip(self._service.run.rendezvous, report.holds, strict=False):
            rendezvous.note(most, gave_up=gave_up)

    def _add_up(self, routes: Iterable[Route]) -> None:
        rows = [self._counts_before, *(side.counts for side in self._sides)]
        _write(self._recorder, COUNTS, rows)
        for route in routes:
            rows = [side.totals[route] for side in self._sides if route in side.totals]
            if route in self._totals_before:
                rows.append(self._totals_before[route])
            _write(self._recorder.routes.setdefault(route, Totals()), TOTALS, rows)


def _begun_at(found: tuple[Row, _Side]) -> float:
    row, _ = found
    return float(row[2])


def _most_in_flight(exchanges: Iterable[ExchangeEntry]) -> int:
    return most_together((e.received_at, e.ended_at) for e in exchanges)


def _row(totals: Totals) -> Row:
    return tuple(getattr(totals, name) for name in TOTALS)


def _write(target: Recorder | Totals, names: Sequence[str], rows: Sequence[Row]) -> None:
    for name, values in zip(names, zip(*rows, strict=True), strict=True):
        known = [value for value in values if value is not None]
        setattr(target, name, _MERGED.get(name, sum)(known) if known else None)
