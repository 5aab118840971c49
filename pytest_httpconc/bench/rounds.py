"""The calls of one round: by threads, one after the other, or side by side in a loop."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AsyncExitStack, ExitStack
from itertools import repeat
from typing import Any, Final

from fake_servers.errors import ScenarioError
from pytest_httpconc.calls import ClientCall, refuse_awaitable

__all__ = ["BenchmarkCall", "BlockingCalls", "CallsInLoop"]

_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class BenchmarkCall(ClientCall):
    """A call that takes what it asks for: what its client's factory gave, and then the server's URL.

    Args:
        call: makes one call: ``call()``, ``call(url)``, ``call(client)`` or ``call(client, url)``; only parameters
            without a default count.
        client: a factory of (async) context managers, entered once; None where calls bring their own.

    Raises:
        ScenarioError: one of them can't be called, or the call takes more.
    """

    def __init__(self, call: Callable[..., Any], client: Callable[[], Any] | None = None) -> None:
        super().__init__(call, client)
        offered = 1 if client is None else 2
        required = _required(call)
        self._takes = offered if required is None else required
        if self._takes > offered:
            raise ScenarioError(
                f"call={call!r} takes {self._takes} arguments; allowed are call(), call(url), and with client=... "
                "call(client) and call(client, url)"
            )

    def start(self, client: object, url: str) -> Any:
        """Call it: its result, or its coroutine."""
        given = (url,) if self._client is None else (client, url)
        return self._call(*given[: self._takes])


class BlockingCalls:
    """Calls that block, made by threads that live as long as their client; by the caller's own where one is enough.

    Args:
        call: makes one call.
        concurrency: how many go on together.
    """

    def __init__(self, call: BenchmarkCall, concurrency: int) -> None:
        self._call = call
        self._concurrency = concurrency
        self._stack = ExitStack()
        self._client: object = None
        self._threads: ThreadPoolExecutor | None = None

    def open(self) -> None:
        """Enter the client, and have the threads."""
        if self._concurrency > 1:
            self._threads = ThreadPoolExecutor(self._concurrency, thread_name_prefix="benchmark")
            self._stack.callback(self._threads.shutdown, cancel_futures=True)
        self._client = self._stack.enter_context(self._call.entered())

    def run(self, count: int, url: str) -> list[float]:
        """Make so many calls; return the duration of each in seconds. What a call raises is raised."""
        if self._threads is None:
            return self._timed(count, url)
        return [duration for (duration,) in self._threads.map(self._timed, repeat(1, count), repeat(url))]

    def run_in_a_row(self, count: int, url: str) -> list[float]:
        """As `run`, one call after the other, all by the same thread."""
        if self._threads is None:
            return self._timed(count, url)
        return self._threads.submit(self._timed, count, url).result()

    def run_alone(self, url: str, *, patience: float, others: int) -> bool:
        """Make one call, and say whether it was over without others.

        Args:
            url: of the server.
            patience: seconds after which others are made beside it: it may wait for them.
            others: how many.
        """
        if self._threads is None:
            self._timed(1, url)
            return True
        first = self._threads.submit(self._timed, 1, url)
        is_over = not wait([first], patience).not_done
        if not is_over:
            self.run(others, url)
        first.result()
        return is_over

    def _timed(self, count: int, url: str) -> list[float]:
        durations = []
        for _ in range(count):
            begun_at = time.perf_counter()
            refuse_awaitable(self._call.start(self._client, url))
            durations.append(time.perf_counter() - begun_at)
        return durations

    def close(self) -> None:
        """Leave the client, and end the threads."""
        self._stack.close()


class CallsInLoop:
    """Calls that are coroutines, side by side in the running loop.

    Args:
        call: makes one call.
        concurrency: how many go on together.
    """

    def __init__(self, call: BenchmarkCall, concurrency: int) -> None:
        if not call.is_async:
            raise ScenarioError(
                "a call in a loop is an 'async def'; what blocks is measured by a test that is not async"
            )
        self._call = call
        self._concurrency = concurrency
        self._stack = AsyncExitStack()
        self._client: object = None

    async def open(self) -> None:
        """Enter the client."""
        self._client = await self._stack.enter_async_context(self._call.entered_in_loop())

    async def run(self, count: int, url: str) -> list[float]:
        """Make so many calls; return the duration of each in seconds. What a call raises is raised."""
        numbers = iter(range(count))
        durations: list[float] = []
        callers = [self._make_calls(numbers, url, durations) for _ in range(min(count, self._concurrency))]
        await _all_or_none(callers)
        return durations

    async def run_in_a_row(self, count: int, url: str) -> list[float]:
        """As `run`, one call after the other."""
        durations: list[float] = []
        await self._make_calls(iter(range(count)), url, durations)
        return durations

    async def run_alone(self, url: str, *, patience: float, others: int) -> bool:
        """As `BlockingCalls.run_alone` has it."""
        first = asyncio.ensure_future(self.run_in_a_row(1, url))
        waits = [first, asyncio.ensure_future(asyncio.sleep(patience))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            is_over = first.done()
            if not is_over:
                await self.run(others, url)
            await first
            return is_over
        finally:
            for one in waits:
                one.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _make_calls(self, numbers: Iterator[int], url: str, durations: list[float]) -> None:
        clock = asyncio.get_running_loop().time
        for _ in numbers:
            begun_at = clock()
            await self._call.start(self._client, url)
            durations.append(clock() - begun_at)

    async def close(self) -> None:
        """Leave the client."""
        await self._stack.aclose()


async def _all_or_none(coroutines: list[Any]) -> None:
    """Run all of them; what one raises is raised once the others have been cancelled and are over."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _required(call: Callable[..., Any]) -> int | None:
    """How many positional arguments a call insists on; None if it takes any, or does not tell."""
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):  # something built in, that does not tell
        return None
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
        return None
    return sum(p.kind in _POSITIONAL and p.default is inspect.Parameter.empty for p in parameters)
