"""The concurrency models: how many requests are worked at together, and whether each has an agent to itself."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, NamedTuple, Protocol

from fake_servers.agent.limiter import ConcurrencyLimiter
from fake_servers.agent.pool import PipelinePool
from fake_servers.agent.tools import ToolManager
from fake_servers.words import Word

__all__ = ["Agent", "ConcurrencyModel", "Kind", "Turn", "model_of"]


class Kind(Word):
    """The names of the models."""

    SHARED = "shared"
    LOCK = "lock"
    SEMAPHORE = "semaphore"
    POOL = "pool"


class Agent:
    """What works at a question: told the question and its configuration first, it answers what it was told last."""

    def __init__(self, tools: ToolManager) -> None:
        self.tools = tools
        self.question = ""
        self.config: Mapping[str, Any] = {}

    def configure(self, question: str, config: Mapping[str, Any]) -> None:
        """Have it work at this question from now on."""
        self.question = question
        self.config = config


class Turn(NamedTuple):
    """One request's turn: the agent that it has until `end`, and the seconds it waited; ending it again is no harm."""

    agent: Agent
    waited: float
    end: Callable[[], None]


class ConcurrencyModel(Protocol):
    """Gives requests their turns."""

    @property
    def is_free(self) -> bool:
        """Whether a turn would be given without a wait."""
        ...

    @property
    def active(self) -> int:
        """How many requests were let in."""
        ...

    @property
    def usage(self) -> float:
        """Which part of the pool is in use, 0 to 1."""
        ...

    async def take(self, task: str, wait_limit: float | None) -> Turn:
        """Wait for a turn.

        Raises:
            NoSlot: there was none within ``wait_limit`` seconds.
        """
        ...


class _Shared:
    """The bug: one agent for all, configured anew by each request while it works at another's."""

    usage = 0.0
    is_free = True

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.active = 0

    async def take(self, task: str, wait_limit: float | None) -> Turn:
        self.active += 1
        with ExitStack() as stack:
            stack.callback(self._leave)
            return Turn(self._agent, 0.0, stack.pop_all().close)

    def _leave(self) -> None:
        self.active -= 1


class _Limited:
    """So many requests at a time, each with what ``agent`` gives it."""

    usage = 0.0

    def __init__(self, limiter: ConcurrencyLimiter, agent: Callable[[], Agent]) -> None:
        self._limiter = limiter
        self._agent = agent

    @property
    def is_free(self) -> bool:
        return self.active < self._limiter.max_concurrent

    @property
    def active(self) -> int:
        return self._limiter.active

    async def take(self, task: str, wait_limit: float | None) -> Turn:
        waited = _stopwatch(self)
        with ExitStack() as stack:
            await self._limiter.acquire(wait_limit=wait_limit)
            stack.callback(self._limiter.release)
            agent = self._agent()
            return Turn(agent, waited(), stack.pop_all().close)


class _Pooled:
    """So many requests are let in, and each of them waits for an instance of the pool."""

    def __init__(self, limiter: ConcurrencyLimiter, pool: PipelinePool[Agent]) -> None:
        self._limiter = limiter
        self._pool = pool

    @property
    def is_free(self) -> bool:
        return self.active < self._limiter.max_concurrent and self._pool.active < self._pool.size

    @property
    def active(self) -> int:
        return self._limiter.active

    @property
    def usage(self) -> float:
        return self._pool.active / self._pool.size

    async def take(self, task: str, wait_limit: float | None) -> Turn:
        waited = _stopwatch(self)
        with ExitStack() as stack:
            await self._limiter.acquire(wait_limit=wait_limit)
            stack.callback(self._limiter.release)
            left = None if wait_limit is None else max(0.0, wait_limit - waited())
            agent = await self._pool.acquire(task, wait_limit=left)
            stack.callback(self._pool.release, agent)
            return Turn(agent, waited(), stack.pop_all().close)


def _stopwatch(model: ConcurrencyModel) -> Callable[[], float]:
    """Tells how long a turn has been waited for; exactly 0 where it need not be, however coarse the clock."""
    if model.is_free:
        return lambda: 0.0
    clock = asyncio.get_running_loop().time
    begun_at = clock()
    return lambda: clock() - begun_at


def model_of(kind: Kind, new_agent: Callable[[], Agent], *, max_concurrent: int, pool_size: int) -> ConcurrencyModel:
    """The model of this name; each takes those of the sizes that it has."""
    if kind is Kind.SHARED:
        return _Shared(new_agent())
    if kind is Kind.POOL:
        limiter = ConcurrencyLimiter(max_concurrent=max_concurrent)
        return _Pooled(limiter, PipelinePool(new_agent, pool_size=pool_size))
    agent = new_agent()
    if kind is Kind.LOCK:
        return _Limited(ConcurrencyLimiter(max_concurrent=1), lambda: agent)
    return _Limited(ConcurrencyLimiter(max_concurrent=max_concurrent), lambda: copy.deepcopy(agent))
