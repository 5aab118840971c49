"""The user's ``client`` fixture, entered by the contract itself: as often as it likes, and in a loop of its own.

pytest would make one client for a test, and an async one only by a further plugin, in that plugin's loop. A sweep
needs a new client for each of its steps, and an async client the loop in which it is called. So the contract takes
the fixture's function, and enters it as a context manager.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import pytest

__all__ = ["Maker", "missing_fixture"]

_CLIENT = "client"


def missing_fixture(contract: type, node: pytest.Collector) -> str | None:
    """What to tell a user whose contract has no usable ``client`` fixture; None if it has one."""
    defined = _definition(node, _CLIENT)
    if defined is None:
        return (
            f"{contract.__name__} has no fixture 'client'; write '@pytest.fixture', and under it "
            "'def client(self):' or 'async def client(self):', which yields the client and then closes it"
        )
    if defined.params is not None:
        return f"the fixture 'client' of {contract.__name__} has params; write a class for each kind of client"
    return None


class Maker:
    """Makes a client as the user's fixture does, each time anew.

    What the fixture asks for is taken from pytest, once for a test; an async fixture among it is made anew with the
    client, in the same loop.

    Args:
        request: of the test.
        name: of the fixture.
    """

    def __init__(self, request: pytest.FixtureRequest, name: str = _CLIENT) -> None:
        defined = _definition(request.node, name)
        assert defined is not None, "the class was looked at when it was collected"
        self._function = _bound(_unwrapped(defined.func), request.instance)
        self._arguments: dict[str, Any] = {}
        self._makers: dict[str, Maker] = {}
        for argument in defined.argnames:
            if _is_async(request.node, argument):
                self._makers[argument] = Maker(request, argument)
            else:
                self._arguments[argument] = request.getfixturevalue(argument)
        itself = inspect.iscoroutinefunction(self._function) or inspect.isasyncgenfunction(self._function)
        self.is_async = itself or bool(self._makers)

    @contextmanager
    def entered(self) -> Iterator[Any]:
        """A new client, of a fixture that is not async."""
        made = self._function(**self._arguments)
        if not inspect.isgeneratorfunction(self._function):
            yield made
            return
        with contextmanager(lambda: made)() as client:
            yield client

    @asynccontextmanager
    async def entered_in_loop(self) -> AsyncIterator[Any]:
        """A new client, made in the running loop."""
        async with AsyncExitStack() as stack:
            made_too = {name: await stack.enter_async_context(m.entered_in_loop()) for name, m in self._makers.items()}
            made = self._function(**self._arguments, **made_too)
            if inspect.isasyncgenfunction(self._function):
                made = await stack.enter_async_context(asynccontextmanager(lambda: made)())
            elif inspect.iscoroutinefunction(self._function):
                made = await made
            elif inspect.isgeneratorfunction(self._function):
                made = stack.enter_context(contextmanager(lambda: made)())
            yield made


def _definition(node: pytest.Collector | pytest.Item, name: str) -> Any:
    """pytest's definition of the fixture that this name means here."""
    found = node.session._fixturemanager.getfixturedefs(name, node)
    return found[-1] if found else None


def _is_async(node: pytest.Item, name: str) -> bool:
    """Whether a fixture, or one that it asks for, is a coroutine function or an async generator."""
    defined = None if name == "request" else _definition(node, name)
    if defined is None:
        return False
    function = _unwrapped(defined.func)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return True
    return any(argument != name and _is_async(node, argument) for argument in defined.argnames)


def _unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """The user's function, where pytest-asyncio has put one around it that runs it in its own loop."""
    while getattr(function, "__globals__", {}).get("__name__", "").startswith("pytest_asyncio"):
        function = function.__wrapped__  # type: ignore[attr-defined]  # made by functools.wraps
    return function


def _bound(function: Callable[..., Any], instance: object) -> Callable[..., Any]:
    """A method of the test's own instance, and not of the one with which pytest has looked for fixtures."""
    owner = getattr(function, "__self__", None)
    if owner is not None and isinstance(instance, type(owner)):
        bound: Callable[..., Any] = function.__func__.__get__(instance)  # type: ignore[attr-defined]  # it is a method
        return bound
    return function
