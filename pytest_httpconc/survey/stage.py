"""The stage of a trial: a server that the client speaks, in the loop and on the clock that suit it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from fake_servers import FakeDockerServer, FakeLLMServer, FakeServer, Request, Response
from fake_servers.errors import ScenarioError
from fake_servers.server import HostKind
from pytest_httpconc.survey.adapters import Adapter, Answer, Settings
from pytest_httpconc.survey.plan import Call

__all__ = ["entered", "make_call", "new_server", "restart", "run_on_stage", "served"]

Result = TypeVar("Result")

_TEXT: Final = "Good morning, and welcome to " + "the long and winding road of " * 8


def new_server(adapter: Adapter, host: HostKind) -> FakeServer:
    """A server that a client can speak to, not started."""
    if adapter.service == "llm":
        return FakeLLMServer(host=host)
    if adapter.service == "docker":
        return FakeDockerServer(images=["debian:12"], host=host)
    server = FakeServer(host=host)
    server.route("POST /echo")(_echo)
    server.route("GET /item")(_item)
    return server


def _echo(request: Request) -> Response:
    return Response(request.body, headers={"Content-Type": "application/json"})


def _item(request: Request) -> Response:
    return Response.json({"text": _TEXT})


@asynccontextmanager
async def served(adapter: Adapter) -> AsyncIterator[FakeServer]:
    """A running server: for an async client in its loop, so that both have one clock, else in a thread."""
    async with new_server(adapter, "loop" if adapter.is_async else "thread") as server:
        yield server


async def restart(server: FakeServer) -> None:
    """Stop a server and start it on the same port: what its listener suffered is over."""
    in_thread = not server.blocks()
    await server.stop_in_loop()
    if in_thread:
        server.start()
    else:
        await server.start_in_loop()


@asynccontextmanager
async def entered(adapter: Adapter, settings: Settings) -> AsyncIterator[Any]:
    """A new client, closed at the end."""
    manager = adapter.make(settings)
    if adapter.is_async:
        async with manager as client:
            yield client
    else:
        with manager as client:
            yield client


async def make_call(client: Any, call: Call) -> Answer:
    """Make one call, and read its whole answer; a blocking client blocks the loop meanwhile."""
    result = client.get() if call == "GET" else getattr(client, call.lower())(_TEXT)
    answer: Answer = await result if inspect.isawaitable(result) else result
    return answer


def run_on_stage(adapter: Adapter, main: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine in a loop of its own: with a virtual clock for an async client.

    Raises:
        ScenarioError: looptime is not installed.
    """
    loop = _virtual_loop() if adapter.is_async else asyncio.new_event_loop()
    try:
        return loop.run_until_complete(main())
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def _virtual_loop() -> asyncio.AbstractEventLoop:
    try:
        import looptime
    except ImportError as error:
        raise ScenarioError(
            "async clients are surveyed on a virtual clock; install looptime by pip install 'pytest-httpconc[survey]'"
        ) from error
    return looptime.new_event_loop()
