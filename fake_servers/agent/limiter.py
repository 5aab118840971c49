"""`ConcurrencyLimiter`: so many requests at a time, the others in a queue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType

from fake_servers.agent.loops import LOG, Counted, LoopSlots
from fake_servers.errors import ScenarioError
from fake_servers.slots import Lease

__all__ = ["ConcurrencyLimiter"]


class ConcurrencyLimiter(Counted):
    """Lets so many requests run at a time and has the others wait, first come, first served.

    It belongs to the loop in which it is first used and, when that is over, to the next.

    Args:
        max_concurrent: how many run at a time, 1 or more.

    Raises:
        ScenarioError: it is out of range.
    """

    def __init__(self, *, max_concurrent: int = 10) -> None:
        self._leases: list[Lease] = []
        self._slots = LoopSlots(max_concurrent, name="max_concurrent", renewed=self._leases.clear)

    @property
    def max_concurrent(self) -> int:
        """How many requests run at a time."""
        return self._slots.count

    async def acquire(self, *, wait_limit: float | None = None) -> None:
        """Wait for leave to run; `release` has to follow, in ``finally``.

        Args:
            wait_limit: seconds to wait at the most, from 0 up; None for as long as it takes.

        Raises:
            NoSlot: there was none in time.
            ScenarioError: ``wait_limit`` is out of range.
        """
        self._leases.append(await self._slots.take(wait_limit))
        LOG.info("Concurrency: %d/%d active requests", self.active, self.max_concurrent)

    def release(self) -> None:
        """Let the next one run.

        Raises:
            ScenarioError: nothing was acquired that is not released yet.
        """
        if not self._leases:
            raise ScenarioError("release() without acquire(): nothing is left to release")
        self._leases.pop().end()
        LOG.info("Concurrency: %d/%d active requests", self.active, self.max_concurrent)

    @asynccontextmanager
    async def slot(self, *, wait_limit: float | None = None) -> AsyncIterator[None]:
        """Run a block when it may run, as `acquire` and `release` around it."""
        await self.acquire(wait_limit=wait_limit)
        try:
            yield
        finally:
            self.release()

    async def __aenter__(self) -> ConcurrencyLimiter:
        await self.acquire()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<ConcurrencyLimiter: {self.active} of {self.max_concurrent} run, {self.waiting} waiting>"
