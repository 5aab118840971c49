"""A queue that gathers requests into batches, by priority, and gives each caller its own result.

async with BatchQueue(concurrently(ask), batch_size=20, max_wait=0.05) as queue:
    answers = await asyncio.gather(*(queue.submit(question) for question in questions))
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Final, Generic, TypeVar

from pytest_httpconc.clients.batches import BatchError, QueueClosed, QueueStatistics, concurrently, split
from pytest_httpconc.clients.numbers import check_count, check_limit, check_number

__all__ = ["MOST_IN_BATCH", "BatchError", "BatchQueue", "QueueClosed", "QueueStatistics", "concurrently", "split"]

MOST_IN_BATCH: Final = 50

_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    """A place in the queue: who goes first is smaller."""

    rank: int
    number: int


class _Request(Generic[_T, _R]):
    """A request, and where its caller waits for the result."""

    __slots__ = ("arrived_at", "item", "place", "result")

    def __init__(self, item: _T, place: _Place, result: asyncio.Future[_R], arrived_at: float) -> None:
        self.item = item
        self.place = place
        self.result = result
        self.arrived_at = arrived_at


class BatchQueue(Generic[_T, _R]):
    """Gathers requests until there are enough for a batch, or the first has waited long enough. Of one loop.

    Those of a higher priority go first; of those alike, the one that came first. Batches are executed side by side.
    A caller that is cancelled takes its request with it as long as that waits; one that is being executed goes on
    with its batch.

    Args:
        execute: takes the requests of a batch and returns as many results in the same order, where an exception goes
            to its caller alone. One that it raises goes to all callers of that batch. `concurrently` makes one from
            a call for each request.
        batch_size: requests in a batch, 1 to 50; 10 and more are worth it.
        max_wait: seconds that a request waits for others, 0 or more.
        limit: how many requests ``execute`` takes at a time, which a batch over it is split by and its results
            merged; any number when omitted.
        max_batches: batches that are executed together; any number when omitted. Those beyond wait, and so do
            requests of a lower priority as long as higher ones come.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        execute: Callable[[Sequence[_T]], Awaitable[Sequence[_R | BaseException]]],
        *,
        batch_size: int = 20,
        max_wait: float = 0.05,
        limit: int | None = None,
        max_batches: int | None = None,
    ) -> None:
        check_count("batch_size", batch_size, most=MOST_IN_BATCH, example=20)
        check_limit("limit", limit, example=20)
        check_limit("max_batches", max_batches, example=4)
        check_number("max_wait", max_wait, example=0.05)
        self._execute = execute
        self._batch_size = batch_size
        self._max_wait = max_wait
        self._limit = limit
        self._max_batches = max_batches
        self._waiting: list[_Request[_T, _R]] = []
        self._batches: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._count = 0
        self._begun_at: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._executing: set[_Request[_T, _R]] = set()
        self._succeeded = self._failed = self._cancelled = self._begun = 0
        self._longest_wait = 0.0

    async def __aenter__(self) -> BatchQueue[_T, _R]:
        """Use the queue in an ``async with`` block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it; what waits is executed first, unless the block was left by an exception."""
        await self.close(drain=error is None)

    def __len__(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    @property
    def statistics(self) -> QueueStatistics:
        """What it has done so far."""
        elapsed = 0.0 if self._begun_at is None or self._loop is None else self._loop.time() - self._begun_at
        return QueueStatistics(
            waiting=len(self._waiting),
            executing=len(self._executing),
            succeeded=self._succeeded,
            failed=self._failed,
            cancelled=self._cancelled,
            batches=self._begun,
            elapsed=elapsed,
            longest_wait=self._longest_wait,
        )

    async def submit(self, item: _T, *, priority: int = 0) -> _R:
        """Have a request executed in a batch, and return its result or raise its exception.

        Args:
            item: the request.
            priority: a whole number; the higher, the sooner.

        Raises:
            QueueClosed: the queue is closed, or was before it came to this request.
            BatchError: the batch gave no result for it.
        """
        check_count("priority", priority, least=-(2**31), example=1)
        if self._closed:
            raise QueueClosed("the queue is closed and takes no more requests")
        request = self._enter(item, priority)
        try:
            return await request.result
        except asyncio.CancelledError:
            self._withdraw(request)
            raise

    async def close(self, *, drain: bool = True) -> None:
        """Take no more requests, and return when no batch is executed any more. Calling it again does no harm.

        Args:
            drain: whether what waits is executed first; if not, it is given a `QueueClosed`, and so is what is being
                executed.
        """
        self._closed = True
        if not drain:
            waiting, self._waiting = self._waiting, []
            for request in waiting:
                self._settle(request, QueueClosed("the queue was closed before it came to this request"))
            for batch in self._batches:
                batch.cancel()
        self._advance()
        while self._batches:
            await asyncio.wait(self._batches)

    def _enter(self, item: _T, priority: int) -> _Request[_T, _R]:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._begun_at is None:
            self._begun_at, self._loop = now, loop
        self._count += 1
        request: _Request[_T, _R] = _Request(item, _Place(-priority, self._count), loop.create_future(), now)
        insort(self._waiting, request, key=_place)
        self._advance()
        return request

    def _withdraw(self, request: _Request[_T, _R]) -> None:
        """Forget a request whose caller was cancelled."""
        index = bisect_left(self._waiting, request.place, key=_place)
        if index < len(self._waiting) and self._waiting[index] is request:
            del self._waiting[index]
            self._cancelled += 1
            self._advance()

    def _advance(self) -> None:
        """Begin the batches that are due, and see to it that the next is begun in time."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting and (self._max_batches is None or len(self._batches) < self._max_batches):
            due_at = min(request.arrived_at for request in self._waiting) + self._max_wait
            if not (self._closed or len(self._waiting) >= self._batch_size or loop.time() >= due_at):
                self._timer = loop.call_at(due_at, self._begin_due)
                return
            self._begin_batch()

    def _begin_due(self) -> None:
        # Without another look at the clock: a timer may fire a little before its time.
        self._begin_batch()
        self._advance()

    def _begin_batch(self) -> None:
        loop = asyncio.get_running_loop()
        batch, self._waiting = self._waiting[: self._batch_size], self._waiting[self._batch_size :]
        longest = loop.time() - min(request.arrived_at for request in batch)
        self._longest_wait = max(self._longest_wait, longest)
        self._begun += 1
        self._executing.update(batch)
        task = loop.create_task(self._run(batch))
        self._batches.add(task)
        task.add_done_callback(partial(self._ended, batch))

    def _ended(self, batch: Sequence[_Request[_T, _R]], task: asyncio.Task[None]) -> None:
        # Here and not in the task: one that is cancelled before its first step runs none of its code.
        for request in self._executing.intersection(batch):
            self._settle(request, QueueClosed("the batch was cancelled"))
        self._batches.discard(task)
        self._advance()

    async def _run(self, batch: Sequence[_Request[_T, _R]]) -> None:
        parts = (self._run_part(part) for part in split(batch, self._limit))
        await asyncio.gather(*parts, return_exceptions=True)  # each has told its callers

    async def _run_part(self, part: Sequence[_Request[_T, _R]]) -> None:
        results: Sequence[_R | BaseException]
        try:
            results = await self._execute([request.item for request in part])
            if len(results) != len(part):
                raise BatchError(f"a batch of {len(part)} requests was given {len(results)} results")
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is its callers' to handle
            results = [error] * len(part)
        for request, result in zip(part, results, strict=True):
            self._settle(request, result)

    def _settle(self, request: _Request[_T, _R], result: _R | BaseException) -> None:
        """Give a caller its result, if it is still there to take it."""
        self._executing.discard(request)
        if request.result.done():
            self._cancelled += 1
        elif isinstance(result, BaseException):
            self._failed += 1
            request.result.set_exception(_raisable(result))
        else:
            self._succeeded += 1
            request.result.set_result(result)

    def __repr__(self) -> str:
        closed = ", closed" if self._closed else ""
        return f"<BatchQueue: {len(self._waiting)} waiting, {len(self._executing)} executing{closed}>"


def _raisable(error: BaseException) -> BaseException:
    """What a future can hold, and does not look to its caller as if it were cancelled itself."""
    if isinstance(error, (asyncio.CancelledError, StopIteration)):
        return BatchError(f"the call was ended by {error!r}")
    return error


def _place(request: _Request[_T, _R]) -> _Place:
    return request.place
