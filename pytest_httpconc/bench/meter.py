"""What one round did, from the ledger, and what it took, from the clocks of the process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, Protocol

import psutil

from fake_servers import FakeServer, Ledger
from pytest_httpconc.bench.figures import Round, Seen
from pytest_httpconc.checks.retries import count_resends

__all__ = ["LedgerTally", "Meter", "Tally"]

_REFERENCES: Final = Path("/proc/self/clear_refs")
_STATUS: Final = Path("/proc/self/status")
_FORGET_PEAK: Final = "5"  # proc(5): resets the peak resident set size


class Tally(Protocol):
    """Counts what a server sees from its making on."""

    @property
    def served(self) -> float:
        """Seconds of this process's CPU that serving has taken."""

    def read(self, calls: int) -> Seen:
        """What was seen of so many calls, once they are over."""


class LedgerTally:
    """A tally of a server of this process.

    Args:
        server: whose ledger is read.
    """

    def __init__(self, server: FakeServer) -> None:
        self._server = server
        self._count = server.ledger.count()
        self._opened = server.ledger.total_connections
        self._served = server.cpu_time

    @property
    def served(self) -> float:
        return self._server.cpu_time - self._served

    def read(self, calls: int) -> Seen:
        ledger = self._server.ledger
        exchanges = [e for e in ledger.exchanges if e.number > self._count]
        used = {e.connection for e in exchanges}
        ours = Ledger.of([c for c in ledger.connections if c.number in used], exchanges)
        return Seen(
            requests=len(exchanges),
            executions=ours.executions(),
            resends=max(0, min(count_resends(exchanges), len(exchanges) - calls)),
            connections=len(used),
            opened=ledger.total_connections - self._opened,
            peak_in_flight=ours.peak_in_flight,
            service_time=ours.service_time(),
            makespan=ours.makespan(),
        )


class Meter:
    """Begun before a round's calls, read after them.

    Args:
        tally: of what the calls go to.
        clock: seconds, of the loop that the calls run in.
    """

    def __init__(self, tally: Tally, clock: Callable[[], float] = time.perf_counter) -> None:
        self._tally = tally
        self._clock = clock
        _forget_peak_memory()
        self._served = tally.served
        self._cpu = time.process_time()
        self._begun_at = clock()

    def read(self, durations: Sequence[float]) -> Round:
        """The round, once its calls are over.

        Args:
            durations: of each call, in seconds.
        """
        seconds = self._clock() - self._begun_at
        cpu = time.process_time() - self._cpu
        served = self._tally.served - self._served
        memory = _peak_memory()
        return Round(
            seconds=seconds,
            durations=tuple(durations),
            cpu=max(0.0, cpu - served),
            memory=memory,
            **asdict(self._tally.read(len(durations))),
        )


def _forget_peak_memory() -> None:
    try:
        _REFERENCES.write_text(_FORGET_PEAK)
    except OSError:  # no Linux, or not allowed: what is held after the round stands for its peak
        return


def _peak_memory() -> int:
    """The most bytes held since `_forget_peak_memory`, where the system tells; else what is held now."""
    if _REFERENCES.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return int(psutil.Process().memory_info().rss)
