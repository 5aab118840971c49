"""A check that runs at once where no event loop runs, and is awaited where one does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any

__all__ = ["Deferred"]


class Deferred:
    """A check by its coroutine function: run to its end at once in a sync test, and when awaited in an async one."""

    def __init__(self, name: str, start: Callable[[], Coroutine[Any, Any, None]]) -> None:
        __tracebackhide__ = True
        self.name = name
        self._start = start
        self.is_over = False
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self.is_over = True
        if self.is_over:
            asyncio.run(start())

    def __await__(self) -> Generator[Any, None, None]:
        __tracebackhide__ = True
        if not self.is_over:
            self.is_over = True
            yield from self._start().__await__()
