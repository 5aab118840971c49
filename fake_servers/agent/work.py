"""What an agent does for one request, whatever its protocol: it waits for its turn, calls its tools, and thinks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from fake_servers.agent.models import Agent, ConcurrencyModel, Turn
from fake_servers.agent.tools import ToolResult
from fake_servers.http import Request
from fake_servers.latency import Latency
from fake_servers.slots import NoSlot

__all__ = ["NoTurn", "Notice", "Work", "Workload"]


class Notice(Protocol):
    """Is told of a request that has waited for its turn."""

    def __call__(self, request: Request, *, waited: float) -> None: ...


class NoTurn(Exception):
    """There was no turn in time; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """How long requests wait and take on one server.

    Args:
        duration: how long an agent thinks.
        tools: how long each of the tools takes that every request calls, by name.
        wait_limit: seconds to wait for a turn; None for as long as it takes.
        sleep: takes time; the server's, so that its time scale holds.
        time_scale: the server's.
        begins: told when a request has its turn.
        gives_up: told when a request has waited in vain.
    """

    duration: Latency
    tools: Mapping[str, Latency]
    wait_limit: float | None
    sleep: Callable[[float], Awaitable[None]]
    time_scale: float
    begins: Notice
    gives_up: Notice

    @property
    def real_wait_limit(self) -> float | None:
        """The wait limit on the server's clock."""
        return None if self.wait_limit is None else self.wait_limit * self.time_scale


class Work:
    """One request's way through the server; `end` gives back what it holds, wherever it has come to.

    Args:
        request: the request.
        model: gives it its turn.
        load: how long it takes.
        random: draws the durations.
    """

    def __init__(self, request: Request, model: ConcurrencyModel, load: Workload, random: Random) -> None:
        self._request = request
        self._model = model
        self._load = load
        self._random = random
        self._turn: Turn | None = None

    @property
    def agent(self) -> Agent:
        """The agent that works at it, which in the shared model works at others' too."""
        assert self._turn is not None, "it is asked for when the work has begun"
        return self._turn.agent

    @property
    def has_begun(self) -> bool:
        """Whether it has had its turn."""
        return self._turn is not None

    async def begin(self, task: str, question: str, config: Mapping[str, Any]) -> None:
        """Wait for a turn, and set the agent to work.

        Raises:
            NoTurn: there was none in time.
        """
        load, clock = self._load, asyncio.get_running_loop().time
        begun_at = clock()
        try:
            self._turn = await self._model.take(task, load.real_wait_limit)
        except NoSlot:
            load.gives_up(self._request, waited=clock() - begun_at)
            raise NoTurn(f"no slot was free within {load.wait_limit:g} s; {self._model.active} requests run") from None
        self._turn.agent.configure(question, config)
        load.begins(self._request, waited=self._turn.waited)

    async def call_tools(self) -> list[ToolResult]:
        """Call every tool, all together."""
        seconds = {name: latency.sample(self._random) for name, latency in self._load.tools.items()}
        return await self.agent.tools.run({name: self._tool(name, takes) for name, takes in seconds.items()})

    def _tool(self, name: str, seconds: float) -> Callable[[], Awaitable[str]]:
        async def call() -> str:
            await self._load.sleep(seconds)
            return f"{name} took {seconds:g} s"

        return call

    async def think(self) -> None:
        """Take the time that an answer takes."""
        await self._load.sleep(self._load.duration.sample(self._random))

    def end(self) -> None:
        """Give the turn back; again is no harm."""
        if self._turn is not None:
            self._turn.end()
