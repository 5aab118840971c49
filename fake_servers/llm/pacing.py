"""How long the model takes: time to first token, inter-token latency, and what each request beside costs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from random import Random
from typing import Final, NamedTuple

from fake_servers.latency import Fixed, Latency
from fake_servers.llm.dialect import Part
from fake_servers.llm.tokens import seeded
from fake_servers.slots import Slots

__all__ = ["Pace", "Speed"]

_NO_TIME: Final = Fixed(0.0)


class Speed(NamedTuple):
    """A model's speed: latencies of the first token and of each further one, and what each request beside costs."""

    ttft: Latency
    itl: Latency
    slowdown: float

    @property
    def is_instant(self) -> bool:
        """Whether no token ever takes time."""
        return self.ttft == _NO_TIME and self.itl == _NO_TIME


class Pace:
    """Takes the steps of one request, slower the more requests run when a step is taken."""

    def __init__(self, speed: Speed, slots: Slots, key: str, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._speed = speed
        self._slots = slots
        self._key = key
        self._random: Random | None = None
        self._sleep = sleep
        self._next = speed.ttft

    async def steps(self, count: int) -> None:
        """Take the time for so many tokens."""
        if self._speed.is_instant:
            return
        for _ in range(count):
            await self.step()

    async def step(self) -> None:
        """Take the time for the next token."""
        latency, self._next = self._next, self._speed.itl
        beside = self._slots.taken - 1
        seconds = self._sample(latency) * (1 + self._speed.slowdown * beside)
        if seconds:
            await self._sleep(seconds)

    def _sample(self, latency: Latency) -> float:
        if isinstance(latency, Fixed):
            return latency.seconds
        if self._random is None:  # a generator costs more than an answer without delay
            self._random = seeded(self._key, "pace")
        return latency.sample(self._random)

    async def events(self, parts: Iterable[Part]) -> AsyncGenerator[bytes, None]:
        """Yield a stream's events, each when its time has come."""
        for part in parts:
            if part is None:
                await self.step()
            else:
                yield part
