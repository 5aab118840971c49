"""The clients of users under gevent: one that blocks gives way by itself, an async one lives in a loop.

The loop runs in a greenlet. Everything stays in one thread, as gevent has replaced what a loop waits by.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import Any, Protocol

import gevent
from gevent.event import AsyncResult

from pytest_httpconc.contract.making import Maker

__all__ = ["Client", "opened"]


class Client(Protocol):
    """A client that has been made."""

    def call(self, start: Callable[[Any], Any]) -> Any:
        """What ``start(client)`` returns, or its coroutine."""

    def close(self) -> None:
        """Close it, as its fixture does."""


def opened(maker: Maker, *, in_loop: bool) -> Client:
    """Make a client.

    Args:
        maker: of it.
        in_loop: whether it, or its call, is async.
    """
    return _InLoop(maker) if in_loop else _Blocking(maker)


class _Blocking:
    def __init__(self, maker: Maker) -> None:
        self._stack = ExitStack()
        self._client = self._stack.enter_context(maker.entered())

    def call(self, start: Callable[[Any], Any]) -> Any:
        return start(self._client)

    def close(self) -> None:
        self._client = None
        self._stack.close()


class _InLoop:
    """One task makes and closes the client: what it enters, it must leave itself."""

    def __init__(self, maker: Maker) -> None:
        self._entered = AsyncResult()
        self._over = asyncio.Event()
        self._life = _loop().start(self._live(maker))
        gevent.wait([self._entered, self._life], count=1)
        if self._life.ready():
            self._life.get()
        self._client = self._entered.get()

    async def _live(self, maker: Maker) -> None:
        async with maker.entered_in_loop() as client:
            self._entered.set(client)
            del client
            await self._over.wait()

    def call(self, start: Callable[[Any], Any]) -> Any:
        return _loop().start(_awaited(start, self._client)).get()

    def close(self) -> None:
        self._client = None
        _loop().soon(self._over.set)
        self._life.get()


async def _awaited(start: Callable[[Any], Any], client: Any) -> Any:
    answer = start(client)
    return await answer if hasattr(answer, "__await__") else answer


class _Loop:
    """A loop that runs in a greenlet, for as long as the process lives."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._greenlet = gevent.spawn(self._loop.run_forever)

    def soon(self, action: Callable[[], object]) -> None:
        """Do something in the loop."""
        self._loop.call_soon_threadsafe(action)  # wakes it where it waits

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> AsyncResult:
        """Run a coroutine; its result is for greenlets to wait for."""
        result = AsyncResult()

        def finish(task: asyncio.Task[Any]) -> None:
            if task.cancelled():
                result.set_exception(asyncio.CancelledError())
            elif (error := task.exception()) is not None:
                result.set_exception(error)
            else:
                result.set(task.result())

        self.soon(lambda: self._loop.create_task(coroutine).add_done_callback(finish))
        return result


@functools.cache
def _loop() -> _Loop:
    return _Loop()
