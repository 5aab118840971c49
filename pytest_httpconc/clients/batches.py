"""What batches are made of: splitting, merging, and what a queue of them tells of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pytest_httpconc.clients.numbers import check_limit

__all__ = ["BatchError", "QueueClosed", "QueueStatistics", "concurrently", "split"]

_T = TypeVar("_T")
_R = TypeVar("_R")


class BatchError(Exception):
    """A batch gave no result for a request."""


class QueueClosed(BatchError):
    """The queue takes no more requests, or was closed before this one was executed."""


def split(items: Sequence[_T], limit: int | None) -> list[Sequence[_T]]:
    """Parts of ``limit`` items at most, in order; None is no limit.

    Raises:
        ValueError: the limit is out of range.
    """
    check_limit("limit", limit, example=20)
    size = limit or max(1, len(items))
    return [items[start : start + size] for start in range(0, len(items), size)]


def concurrently(
    call: Callable[[_T], Awaitable[_R]],
) -> Callable[[Sequence[_T]], Awaitable[list[_R | BaseException]]]:
    """Execute a batch by one call for each of its requests, all at once; what one raises stands in its place."""

    async def execute(batch: Sequence[_T]) -> list[_R | BaseException]:
        return await asyncio.gather(*(call(item) for item in batch), return_exceptions=True)

    return execute


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatistics:
    """What a queue has done so far.

    Args:
        waiting: requests that wait for their batch.
        executing: requests in batches that are being executed.
        succeeded: requests that have their result.
        failed: requests that have an exception.
        cancelled: requests whose callers were cancelled before.
        batches: batches that were begun.
        elapsed: seconds from the first request until now.
        longest_wait: seconds that a request waited for its batch, at the most.
    """

    waiting: int
    executing: int
    succeeded: int
    failed: int
    cancelled: int
    batches: int
    elapsed: float
    longest_wait: float

    @property
    def rate(self) -> float:
        """Requests that were done with a second; 0 before any time has passed."""
        return (self.succeeded + self.failed) / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def error_rate(self) -> float:
        """The part that failed of those that were done with, from 0 to 1."""
        done = self.succeeded + self.failed
        return self.failed / done if done else 0.0
