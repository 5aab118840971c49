"""What a check can be pointed at: a fake server, a URL, or an application, which is then served on a free port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from aiohttp import web

from fake_servers import FakeServer, ScenarioError

__all__ = ["check_target", "reachable"]


def check_target(target: object) -> None:
    """Refuse what can't be asked anything.

    Raises:
        ScenarioError: it can't.
    """
    if isinstance(target, FakeServer):
        if not target.is_running:
            raise ScenarioError(f"{target!r} is not running: start it by 'with' or 'async with' first")
    elif isinstance(target, str):
        if not target.startswith(("http://", "https://")):
            raise ScenarioError(f"{target!r} is no URL; give one such as 'http://127.0.0.1:8000'")
    elif not isinstance(target, web.Application) and not callable(target):
        raise ScenarioError(
            f"{target!r} can't be asked; allowed are a fake server, a URL, an aiohttp web.Application and an ASGI app"
        )


@asynccontextmanager
async def reachable(target: Any) -> AsyncIterator[str]:
    """The target's URL; an application is served in the running loop for the length of the block."""
    if isinstance(target, FakeServer):
        yield target.url
    elif isinstance(target, str):
        yield target.rstrip("/")
    elif isinstance(target, web.Application):
        async with _aiohttp(target) as url:
            yield url
    else:
        async with _asgi(target) as url:
            yield url


@asynccontextmanager
async def _aiohttp(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _asgi(app: Any) -> AsyncIterator[str]:
    try:
        import uvicorn
    except ImportError:
        raise ScenarioError("an ASGI app needs uvicorn; install it by pip install 'pytest-httpconc[asgi]'") from None

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # signals are the test run's business

        async def serve(self, sockets: list[socket.socket] | None = None) -> None:
            with suppress(SystemExit):  # by which uvicorn tells that it can't start
                await super().serve(sockets)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            while not server.started and not serving.done():  # noqa: ASYNC110 -- uvicorn tells by a flag alone
                await asyncio.sleep(0.001)
            if serving.done():
                raise ScenarioError(f"uvicorn could not start {app!r}: its lifespan failed")
            yield "http://{}:{}".format(*listening.getsockname())
        finally:
            server.should_exit = True
            await serving
