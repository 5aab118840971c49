"""What a service has only so many of, such as GPUs: a number of slots, and a queue in order of arrival."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from heapq import heappop, heappush
from typing import NamedTuple

from fake_servers.errors import ScenarioError

__all__ = ["HoldingEvents", "Lease", "NoSlot", "Slot", "Slots"]


class Slot(NamedTuple):
    """A slot that was taken: its number from 0, and the seconds that were spent waiting for it."""

    number: int
    waited: float


class NoSlot(Exception):
    """The wait for a slot was over before there was one."""


class Slots:
    """Slots that are taken and given back in one loop; who waits longest is served first.

    Args:
        count: how many there are, 1 or more; None for as many as are wanted.

    Raises:
        ScenarioError: the count is out of range.
    """

    def __init__(self, count: int | None = None, *, name: str = "count") -> None:
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise ScenarioError(f"{name}={count!r} is no count; allowed are None or whole numbers from 1 up, as in 8")
        self.count = count
        self.taken = 0
        self.waiting = 0
        self._given_back: list[int] = []
        self._never_taken = 0
        self._queue: deque[asyncio.Future[int]] = deque()

    async def take(self, limit: float | None = None) -> Slot:
        """Take a slot, the lowest number that is free, waiting in the queue for at most ``limit`` seconds.

        Raises:
            NoSlot: there was none in time.
        """
        if self.count is None or self.taken < self.count:
            return Slot(self._number(), 0.0)
        loop = asyncio.get_running_loop()
        begun_at = loop.time()
        place: asyncio.Future[int] = loop.create_future()
        clock = None if limit is None else loop.call_later(limit, _give_up, place)
        self._queue.append(place)
        self.waiting += 1
        try:
            number = await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self._pass_on(place.result())  # it was cancelled with the slot in its hand
            raise
        finally:
            self.waiting -= 1
            if clock is not None:
                clock.cancel()
        return Slot(number, loop.time() - begun_at)

    def give_back(self, slot: Slot) -> None:
        """Give a slot back, to whoever waits longest."""
        self._pass_on(slot.number)

    def _pass_on(self, number: int) -> None:
        while self._queue:
            place = self._queue.popleft()
            if not place.done():
                place.set_result(number)
                return
        self.taken -= 1
        heappush(self._given_back, number)

    def _number(self) -> int:
        self.taken += 1
        if self._given_back:
            return heappop(self._given_back)
        self._never_taken += 1
        return self._never_taken - 1

    def __repr__(self) -> str:
        return f"<Slots: {self.taken} of {self.count or 'any number'} taken, {self.waiting} waiting>"


class Lease:
    """A slot that one request holds, until `end`; ending it again changes nothing."""

    def __init__(self, slots: Slots, slot: Slot) -> None:
        self._slots = slots
        self.slot = slot
        self._ended = False

    def end(self) -> None:
        """Give the slot back."""
        if not self._ended:
            self._ended = True
            self._slots.give_back(self.slot)


class HoldingEvents:
    """The events of a stream that holds something until it has ended, failed or been closed, begun or not.

    Args:
        events: what is sent.
        release: gives back what is held; called once or more.
    """

    def __init__(self, events: AsyncGenerator[bytes, None], release: Callable[[], None]) -> None:
        self._events = events
        self._release = release

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self._events.__anext__()
        except BaseException:
            self._release()
            raise

    async def aclose(self) -> None:
        """Give back what is held, wherever the stream has come to."""
        self._release()
        await self._events.aclose()


def _give_up(place: asyncio.Future[int]) -> None:
    if not place.done():
        place.set_exception(NoSlot("no slot came free in time"))
