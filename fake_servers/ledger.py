"""The ledger: the append-only record of what really happened at a server, and its queries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Event, get_ident
from time import monotonic
from typing import Protocol

from fake_servers.deadlines import timeout as deadline
from fake_servers.entries import Totals
from fake_servers.recorder import Recorder
from fake_servers.records import Closer, Connection, Exchange, Outcome, Progress
from fake_servers.rewriting import rewrite
from fake_servers.routing import Pattern

__all__ = ["Closer", "Connection", "Exchange", "Ledger", "Outcome", "Progress", "Source", "most_together"]


class Source(Protocol):
    """What writes a ledger's recorder with what another process has recorded."""

    def bring_up_to_date(self, *, details: bool = False, peaks: bool = False) -> None:
        """Write what is new, and call the recorder's ``watched`` at the next change if there are some.

        Args:
            details: of connections and exchanges, and not the counts alone.
            peaks: those of several processes together.
        """
        ...


class Ledger:
    """A view of what a `Recorder` has written. Safe to read from any thread, at any time.

    Details are kept of the last 100,000 exchanges and connections; counts, for ever. Wherever ``on`` is
    taken, it is a pattern such as ``"POST /execute"`` and means all exchanges when omitted.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._source: Source | None = None
        self._loop_thread: int | None = None

    def _read(self, *, details: bool = False, peaks: bool = False) -> Recorder:
        if self._source is not None:
            self._source.bring_up_to_date(details=details, peaks=peaks)
        return self._recorder

    @property
    def connections(self) -> tuple[Connection, ...]:
        """The connections, oldest first."""
        recorder = self._read(details=True)
        with recorder.lock:
            return tuple(entry.freeze() for entry in recorder.connections)

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """The exchanges, oldest first."""
        return self.matching("*")

    def matching(self, on: str) -> tuple[Exchange, ...]:
        """The exchanges that ``on`` means, oldest first."""
        pattern = Pattern.parse(on)
        recorder = self._read(details=True)
        with recorder.lock:
            entries = [e for e in recorder.exchanges if pattern.matches(e.method, e.path)]
            live = [entry.freeze() if entry.ended_at is None else entry for entry in entries]
        return tuple(e if isinstance(e, Exchange) else e.freeze() for e in live)

    @property
    def now(self) -> float:
        """The present instant on the server's clock, whose instants the records have."""
        return self._recorder.clock()

    @property
    def open_connections(self) -> int:
        """How many connections are open."""
        return self._read().open

    @property
    def held_connections(self) -> int:
        """How many connections their clients hold, those that the server has closed included."""
        return self._read().held

    @property
    def total_connections(self) -> int:
        """How many connections were ever accepted."""
        return self._read().opened

    @property
    def peak_connections(self) -> int:
        """How many connections were open together at the most."""
        return self._read(peaks=True).peak_connections

    @property
    def in_flight(self) -> int:
        """How many exchanges are in flight: request fully received, response not finished."""
        return self._read().in_flight

    @property
    def peak_in_flight(self) -> int:
        """How many exchanges were in flight together at the most."""
        return self._read(peaks=True).peak_in_flight

    def peak(self, on: str = "*") -> int:
        """How many of the exchanges that ``on`` means were in flight together at the most."""
        if on == "*":
            return self.peak_in_flight
        totals = self._totals(on, peaks=True)
        if len(totals) == 1:
            return totals[0].peak_in_flight
        return most_together((e.received_at, e.ended_at) for e in self.matching(on))

    def count(self, on: str = "*") -> int:
        """How many requests arrived, be it in part."""
        if on == "*":
            return self._read().begun_exchanges
        return sum(totals.count for totals in self._totals(on))

    def executions(self, on: str = "*") -> int:
        """How many requests were executed."""
        return sum(totals.executions for totals in self._totals(on))

    def service_time(self, on: str = "*") -> float:
        """The sum of all service times in seconds."""
        return sum(totals.service_time for totals in self._totals(on))

    def makespan(self, on: str = "*") -> float:
        """Seconds from the first request received to the last response finished; 0 before there is one."""
        totals = self._totals(on)
        begins = [t.first_received_at for t in totals if t.first_received_at is not None]
        ends = [t.last_finished_at for t in totals if t.last_finished_at is not None]
        return max(ends) - min(begins) if begins and ends else 0.0

    def speedup(self, on: str = "*") -> float:
        """Sum of service times divided by makespan: 1 for a serial client, n for n calls side by side.

        Meaningful while the injected latency dwarfs the overhead. 0 before a response is finished.
        """
        makespan = self.makespan(on)
        if makespan > 0:
            return self.service_time(on) / makespan
        return 1.0 if any(totals.finished for totals in self._totals(on)) else 0.0

    def wait_until(self, predicate: Callable[[Ledger], object], timeout: float = 5.0) -> bool:
        """Block until ``predicate(ledger)`` holds; it is asked again whenever something is recorded.

        Args:
            predicate: takes this ledger.
            timeout: seconds of real time.

        Raises:
            TimeoutError: it did not hold in time; the message shows the ledger.
            RuntimeError: called in the server's own loop, which it would block; use ``await ledger.until(...)``.
        """
        if self._loop_thread == get_ident():
            raise RuntimeError(
                "wait_until would block the loop that this server runs in; use 'await ledger.until(...)' here"
            )
        deadline = monotonic() + timeout
        changed = Event()
        with self._watched_by(changed.set):
            while not self._holds(predicate, changed):
                if not changed.wait(deadline - monotonic()):
                    raise TimeoutError(f"it did not hold within {timeout:g} s: {self!r}")
        return True

    async def until(self, predicate: Callable[[Ledger], object], timeout: float = 5.0) -> bool:
        """As `wait_until`, for a coroutine: the loop goes on meanwhile, and ``timeout`` is in its seconds.

        Raises:
            TimeoutError: it did not hold in time; the message shows the ledger.
        """
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()

        def notice() -> None:
            loop.call_soon_threadsafe(changed.set)

        with self._watched_by(notice):
            try:
                async with deadline(timeout):
                    return await self._until(predicate, changed)
            except (asyncio.TimeoutError, TimeoutError):
                raise TimeoutError(f"it did not hold within {timeout:g} s: {self!r}") from None

    async def _until(self, predicate: Callable[[Ledger], object], changed: asyncio.Event) -> bool:
        while not self._holds(predicate, changed):
            await changed.wait()
        return True

    @contextmanager
    def _watched_by(self, notice: Callable[[], None]) -> Iterator[None]:
        self._recorder.watched.append(notice)
        try:
            yield
        finally:
            self._recorder.watched.remove(notice)

    def _holds(self, predicate: Callable[[Ledger], object], changed: Event | asyncio.Event) -> bool:
        """Whether it holds now, at one instant; ``changed`` is set by whatever is recorded from then on."""
        changed.clear()
        with self._read().lock:
            return bool(predicate(self))

    def _totals(self, on: str, *, peaks: bool = False) -> list[Totals]:
        pattern = Pattern.parse(on)
        recorder = self._read(peaks=peaks)
        with recorder.lock:
            if pattern.is_exact:
                totals = recorder.routes.get((pattern.method or "", pattern.path or ""))
                return [] if totals is None else [totals]
            return [totals for route, totals in recorder.routes.items() if pattern.matches(*route)]

    def __repr__(self) -> str:
        return (
            f"<Ledger: {self.total_connections} connections ({self.open_connections} open), "
            f"{self.count()} exchanges ({self.in_flight} in flight), {self.executions()} executions>"
        )

    @classmethod
    def of(cls, connections: Iterable[Connection] = (), exchanges: Iterable[Exchange] = ()) -> Ledger:
        """A ledger that holds just these records, as if they had been recorded; for trying checks by hand."""
        return cls(rewrite(connections, exchanges))


def most_together(spans: Iterable[tuple[float | None, float | None]]) -> int:
    """How many spans of time, each from its begin to its end, or for ever, overlap at the most."""
    # At one instant, what ends goes first, then what begins, then one by one what begins and ends.
    steps: list[tuple[float, int, int]] = []
    for begin, end in spans:
        if begin is not None:
            steps.append((begin, 2 if begin == end else 1, 1))
            steps.append((float("inf") if end is None else end, 2 if begin == end else 0, -1))
    together = most = 0
    for *_, step in sorted(steps, key=lambda step: step[:2]):
        together += step
        most = max(most, together)
    return most
