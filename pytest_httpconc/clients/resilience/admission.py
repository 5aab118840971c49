"""Admission by load: at a low one calls go through, at a high one they queue, at an overload they are rejected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum

from pytest_httpconc.clients.numbers import check_count, check_limit
from pytest_httpconc.clients.resilience.kinds import Rejected

__all__ = ["Admission", "Load", "Overloaded"]


class Load(Enum):
    """What the next call would meet."""

    LOW = "low"  #: it goes through
    HIGH = "high"  #: it queues
    OVERLOAD = "overload"  #: it is rejected


class Overloaded(Rejected):
    """There are as many calls, running and waiting, as there may be."""


class Admission:
    """Lets so many calls run, so many more wait in order of arrival, and rejects the others. Of one loop.

    Args:
        running: calls that run together, 1 or more.
        waiting: calls that wait together, 0 or more; None for any number.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(self, *, running: int = 10, waiting: int | None = 100) -> None:
        check_count("running", running)
        check_limit("waiting", waiting, least=0, example=100)
        self._most_running = running
        self._most_waiting = waiting
        self._slots = asyncio.Semaphore(running)
        self.running = 0
        self.waiting = 0

    @property
    def load(self) -> Load:
        """The load now."""
        if not self._slots.locked():
            return Load.LOW
        if self._most_waiting is None or self.waiting < self._most_waiting:
            return Load.HIGH
        return Load.OVERLOAD

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """An ``async with`` block that is one call.

        Raises:
            Overloaded: there are as many as there may be.
        """
        if self.load is Load.OVERLOAD:
            raise Overloaded(f"{self.running} calls run and {self.waiting} wait; no more may")
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._slots.release()

    def __repr__(self) -> str:
        return f"<Admission: {self.running} of {self._most_running} running, {self.waiting} waiting>"
