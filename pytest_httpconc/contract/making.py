"""The user's ``client`` fixture, entered by the contract itself: as often as it likes, and in a loop of its own.

pytest would make one client for a test, and an async one only by a further plugin, in that plugin's loop. A sweep
needs a new client for each of its steps, and an async client the loop in which it is called. So the contract takes
the fixture's function, and enters it as a context manager.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import pytest

from fake_servers.errors import ScenarioError

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
    """Makes what a fixture of the user's makes, each time anew.

    Args:
        function: the fixture's, bound to its instance.
        arguments: what it asks for, by name.
        makers: of the async fixtures that it asks for: they are made anew with it, in the same loop.
    """

    def __init__(
        self, function: Callable[..., Any], arguments: Mapping[str, Any], makers: Mapping[str, Maker] | None = None
    ) -> None:
        self._function = function
        self._arguments = dict(arguments)
        self._makers = dict(makers or {})
        itself = inspect.iscoroutinefunction(self._function) or inspect.isasyncgenfunction(self._function)
        self.is_async = itself or bool(self._makers)
        self.is_generator = inspect.isgeneratorfunction(self._function)

    @classmethod
    def of_test(cls, request: pytest.FixtureRequest, name: str = _CLIENT) -> Maker:
        """Of the fixture that this name means in a test; what it asks for is taken from pytest, once for the test."""
        defined = _definition(request.node, name)
        assert defined is not None, "the class was looked at when it was collected"
        arguments: dict[str, Any] = {}
        makers: dict[str, Maker] = {}
        for argument in defined.argnames:
            if _is_async(request.node, argument):
                makers[argument] = cls.of_test(request, argument)
            else:
                arguments[argument] = request.getfixturevalue(argument)
        return cls(_bound(_unwrapped(defined.func), request.instance), arguments, makers)

    @classmethod
    def without_pytest(cls, contract: object, given: Mapping[str, Any], name: str = _CLIENT) -> Maker:
        """Of a fixture in a contract's class, where no pytest runs.

        Args:
            contract: an instance of the class.
            given: what fixtures may ask for here, by name.
            name: of the fixture.

        Raises:
            ScenarioError: the class has no such fixture, or it asks for something else.
        """
        kind = type(contract).__name__
        defined = inspect.getattr_static(contract, name, None)
        function = inspect.unwrap(defined) if callable(defined) else None
        if function is None:
            raise ScenarioError(f"{kind} has no fixture {name!r} in its class, where it is looked for without pytest")
        _, *asked = inspect.signature(function).parameters
        unknown = [argument for argument in asked if argument not in given]
        if unknown:
            raise ScenarioError(
                f"the fixture {name!r} of {kind} asks for {', '.join(unknown)}, which pytest alone can make; without "
                f"pytest it may ask for {', '.join(given) or 'nothing'}"
            )
        return cls(function.__get__(contract), {argument: given[argument] for argument in asked})

    @property
    def yields(self) -> bool:
        """Whether the fixture goes on when its client is no longer needed; one that returns it leaves it to Python."""
        return self.is_generator or inspect.isasyncgenfunction(self._function)

    @contextmanager
    def entered(self) -> Iterator[Any]:
        """A new client, of a fixture that is not async."""
        made = self._function(**self._arguments)
        if not self.is_generator:
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
            elif self.is_generator:
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
