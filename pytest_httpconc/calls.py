"""A user's call and the factory of its client, checked: what sweeps and benchmarks run."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from fake_servers.errors import ScenarioError

__all__ = ["ClientCall", "refuse_awaitable"]


class ClientCall:
    """A call and the factory of its client, checked.

    Args:
        call: makes one call; it blocks, or is a coroutine function.
        client: a factory of context managers; None where calls bring their own.

    Raises:
        ScenarioError: one of them can't be called.
    """

    def __init__(self, call: Callable[..., Any], client: Callable[[], Any] | None) -> None:
        if not callable(call):
            raise ScenarioError(f"call={call!r} can't be called; give a function of one call, as in lambda: get(url)")
        if client is not None and not callable(client):
            raise ScenarioError(
                f"client={client!r} is no factory; give what makes a client anew for each step, as in requests.Session"
            )
        self._call = call
        self._client = client
        self.is_async = inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(type(call).__call__)

    @contextmanager
    def entered(self) -> Iterator[object]:
        """A new client."""
        if self._client is None:
            yield None
            return
        manager = self._client()
        if not hasattr(manager, "__exit__"):
            raise _no_manager(manager, "with")
        with manager as client:
            yield client

    @asynccontextmanager
    async def entered_in_loop(self) -> AsyncIterator[object]:
        """A new client, in the running loop."""
        if self._client is None:
            yield None
            return
        manager = self._client()
        if hasattr(manager, "__aexit__"):
            async with manager as client:
                yield client
        elif hasattr(manager, "__exit__"):
            with manager as client:
                yield client
        else:
            raise _no_manager(manager, "async with")


def refuse_awaitable(returned: Any) -> None:
    """Take no coroutine for the result of a call that blocks.

    Raises:
        ScenarioError: it is one.
    """
    if not inspect.isawaitable(returned):
        return
    close = getattr(returned, "close", None)
    if close is not None:
        close()
    raise ScenarioError(
        "call() returned an awaitable but is no coroutine function; write 'async def call(...)' around it"
    )


def _no_manager(manager: object, statement: str) -> ScenarioError:
    return ScenarioError(
        f"client() gave {manager!r}, which can't be used in '{statement}'; give a factory of context managers"
    )
