"""`PipelinePool`: instances that serve one request at a time each."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Generic, NamedTuple, TypeVar

from fake_servers.agent.loops import LOG, Counted, LoopSlots
from fake_servers.errors import ScenarioError
from fake_servers.slots import Lease

__all__ = ["PipelinePool"]

Pipeline = TypeVar("Pipeline")


class _Use(NamedTuple):
    """An instance in use, and by which task."""

    lease: Lease
    task: str


class PipelinePool(Counted, Generic[Pipeline]):
    """Independent instances of a pipeline, each given to one request at a time, first come, first served.

    It belongs to the loop in which it is first used and, when that is over, to the next.

    Args:
        factory: makes one instance; called ``pool_size`` times, at once.
        pool_size: how many instances there are, 1 or more.

    Raises:
        ScenarioError: the size is out of range, or the factory makes no instances that are independent.
    """

    def __init__(self, factory: Callable[[], Pipeline], *, pool_size: int = 5) -> None:
        if not callable(factory):
            raise ScenarioError(f"factory={factory!r} can't be called; give what makes an instance, as in Pipeline")
        self._uses: dict[int, _Use] = {}
        self._slots = LoopSlots(pool_size, name="pool_size", renewed=self._uses.clear)
        self._instances: list[Pipeline] = []
        for _ in range(pool_size):
            self._instances.append(self._checked(factory()))

    def _checked(self, instance: Pipeline) -> Pipeline:
        if inspect.iscoroutine(instance):
            instance.close()
            raise ScenarioError("factory is a coroutine function; give one that returns the instance itself")
        if any(instance is other for other in self._instances):
            raise ScenarioError(
                f"factory made {instance!r} twice: requests would share it, and mix their answers; make a new one in "
                "each call, as in lambda: Pipeline(config)"
            )
        return instance

    @property
    def size(self) -> int:
        """How many instances there are."""
        return self._slots.count

    async def acquire(self, task: str = "", *, wait_limit: float | None = None) -> Pipeline:
        """Wait for an instance that is free; `release` has to follow, in ``finally``.

        Args:
            task: what it is for, in the log's words.
            wait_limit: seconds to wait at the most, from 0 up; None for as long as it takes.

        Raises:
            NoSlot: there was none in time.
            ScenarioError: ``wait_limit`` is out of range.
        """
        lease = await self._slots.take(wait_limit)
        number = lease.slot.number
        self._uses[number] = _Use(lease, task)
        LOG.info("Acquired pipeline instance %d for task %s", number + 1, task)
        return self._instances[number]

    def release(self, pipeline: Pipeline) -> None:
        """Give an instance back, to whoever waits longest.

        Raises:
            ScenarioError: it is not in use.
        """
        number = next((n for n in self._uses if self._instances[n] is pipeline), None)
        if number is None:
            raise ScenarioError(f"{pipeline!r} is no instance of this pool that is in use; release each one once")
        use = self._uses.pop(number)
        LOG.info("Released pipeline instance %d for task %s", number + 1, use.task)
        use.lease.end()

    @asynccontextmanager
    async def instance(self, task: str = "", *, wait_limit: float | None = None) -> AsyncIterator[Pipeline]:
        """Run a block with an instance, as `acquire` and `release` around it."""
        pipeline = await self.acquire(task, wait_limit=wait_limit)
        try:
            yield pipeline
        finally:
            self.release(pipeline)

    def __repr__(self) -> str:
        return f"<PipelinePool: {self.active} of {self.size} in use, {self.waiting} waiting>"
