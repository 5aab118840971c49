"""Slots for a service that may run in one loop after another, as under `asyncio.run` in each of several tests."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Final

from fake_servers.agent.settings import check_count
from fake_servers.errors import ScenarioError
from fake_servers.slots import Lease, Slots

__all__ = ["LOG", "Counted", "LoopSlots", "check_wait_limit"]

LOG: Final = logging.getLogger("fake_servers.agent")


class LoopSlots:
    """Slots of the running loop, made anew for the next one when that loop is over.

    What a loop that is closed still held is free again: nobody is left who could give it back.

    Args:
        count: how many there are, 1 or more.
        name: of the argument, for its error.
        renewed: called when the slots are made anew.

    Raises:
        ScenarioError: the count is out of range.
    """

    def __init__(self, count: int, *, name: str, renewed: Callable[[], None]) -> None:
        check_count(name, count)
        self._slots = Slots(count)
        self.count = count
        self._renewed = renewed
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def taken(self) -> int:
        """How many are in use."""
        return self._slots.taken

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return self._slots.waiting

    async def take(self, wait_limit: float | None) -> Lease:
        """Take a slot, in order of arrival.

        Raises:
            NoSlot: there was none within ``wait_limit`` seconds.
            RuntimeError: the slots are in use in another loop.
        """
        check_wait_limit(wait_limit)
        self._bind(asyncio.get_running_loop())
        slots = self._slots
        return Lease(slots, await slots.take(wait_limit))

    def _bind(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is loop:
            return
        if self._loop is not None:
            if not self._loop.is_closed() and (self.taken or self.waiting):
                raise RuntimeError(f"{self._slots!r} are in use in another event loop; make one for each loop")
            self._slots = Slots(self.count)
            self._renewed()
        self._loop = loop


class Counted:
    """What hands out slots, and tells how many."""

    _slots: LoopSlots

    @property
    def active(self) -> int:
        """How many requests have been let in, or have an instance."""
        return self._slots.taken

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return self._slots.waiting


def check_wait_limit(wait_limit: float | None) -> None:
    """Refuse what is no time to wait.

    Raises:
        ScenarioError: it is none.
    """
    if wait_limit is None:
        return
    number = isinstance(wait_limit, (int, float)) and not isinstance(wait_limit, bool)
    if not (number and 0 <= wait_limit < math.inf):
        raise ScenarioError(
            f"wait_limit={wait_limit!r} is out of range; allowed are None (no limit) and seconds from 0 up, as in 300"
        )
