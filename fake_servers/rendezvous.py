"""A place where answers wait for each other: concurrency proved by order, not by a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from fake_servers.errors import ScenarioError
from fake_servers.routing import Pattern

__all__ = ["Rendezvous"]


class Rendezvous:
    """Keeps every matching answer back until ``until_in_flight`` of them wait together.

    It opens once and stays open: when enough wait, or ``give_up`` seconds after the first one came. A
    client that is serial never gets there.

    Args:
        until_in_flight: how many requests are to be in flight together, 1 or more.
        give_up: seconds after which everything is let go all the same, above 0.
        on: which requests, as ``"METHOD /path"``.

    Raises:
        ScenarioError: a value is out of range.
    """

    def __init__(self, *, until_in_flight: int, give_up: float, on: str = "*") -> None:
        if isinstance(until_in_flight, bool) or not isinstance(until_in_flight, int) or until_in_flight < 1:
            raise ScenarioError(
                f"until_in_flight={until_in_flight!r} is no count; allowed are whole numbers from 1 up, as in 10"
            )
        if isinstance(give_up, bool) or not isinstance(give_up, (int, float)) or not 0 < give_up < float("inf"):
            raise ScenarioError(f"give_up={give_up!r} is out of range; allowed are seconds above 0, as in give_up=2.0")
        self.until_in_flight = until_in_flight
        self.give_up = give_up
        self.pattern = Pattern.parse(on)
        self._most_together = 0
        self._gave_up = False
        self._waiting = 0
        self._look: Callable[[], object] | None = None
        self._open: asyncio.Event | None = None
        self._clock: asyncio.Future[None] | None = None

    @property
    def most_together(self) -> int:
        """How many requests waited together at the most."""
        self._bring_up_to_date()
        return self._most_together

    @property
    def gave_up(self) -> bool:
        """Whether everything was let go because ``give_up`` seconds were over."""
        self._bring_up_to_date()
        return self._gave_up

    @property
    def reached(self) -> bool:
        """Whether enough requests were in flight together."""
        return self.most_together >= self.until_in_flight

    def is_elsewhere(self, look: Callable[[], object]) -> None:
        """Answers wait at its like in another process; ``look`` has what is known there noted here."""
        self._look = look

    def note(self, most_together: int, *, gave_up: bool) -> None:
        """Note what is known where answers wait."""
        self._most_together, self._gave_up = most_together, gave_up

    def _bring_up_to_date(self) -> None:
        if self._look is not None:
            self._look()

    async def wait(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Hold one answer back; ``sleep`` is the server's, so that its time scale holds here too."""
        if self._open is None:
            self._open = asyncio.Event()
            self._clock = asyncio.ensure_future(self._give_up(sleep))
        if self._open.is_set():
            return
        self._waiting += 1
        self._most_together = max(self._most_together, self._waiting)
        try:
            if self._most_together >= self.until_in_flight:
                self.release()
            await self._open.wait()
        finally:
            self._waiting -= 1

    def release(self) -> None:
        """Let everything go, now and from now on."""
        if self._open is not None:
            self._open.set()
        if self._clock is not None:
            self._clock.cancel()

    async def _give_up(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        await sleep(self.give_up)
        self._gave_up = True
        self.release()

    def __repr__(self) -> str:
        return f"<Rendezvous {self.pattern.text!r}: {self.most_together} of {self.until_in_flight}>"
