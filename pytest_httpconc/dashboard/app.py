"""The page as an aiohttp application: it shows servers, and lets whoever has opened it change what goes wrong.

Nobody else may: a page of another site can ask a server on this machine for things, but it can neither read the answer,
nor send the token that stands in the page; and a name that such a site has pointed at this machine is not answered.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from aiohttp import web

from fake_servers import FakeServer, FakeServerError, ScenarioError
from fake_servers.authorities import is_of_this_machine
from fake_servers.deadlines import timeout
from pytest_httpconc.dashboard.controls import Controls
from pytest_httpconc.dashboard.feed import Feed, Judge
from pytest_httpconc.dashboard.page import render

__all__ = ["TOKEN_HEADER", "make_app"]

TOKEN_HEADER: Final = "X-Httpconc-Token"

_PAUSE: Final = 0.2  # seconds between two looks
_NUMBER: Final = r"[0-9]{1,9}"
_SILENCE: Final = 75  # looks without news, after which a sign of life is sent
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(servers: Sequence[FakeServer]) -> web.Application:
    """An application that shows servers, which must run for as long as it does.

    Args:
        servers: those that are shown, in this order. What it is asked itself is in no ledger of theirs.
    """
    shown = _Shown(servers)
    app = web.Application(middlewares=[shown.guard], client_max_size=64 * 1024)
    app.on_shutdown.append(shown.close)
    app.add_routes(
        [
            web.get("/", shown.page),
            web.get("/events", shown.events),
            web.post(rf"/servers/{{place:{_NUMBER}}}/reset", shown.reset),
            web.post(rf"/servers/{{place:{_NUMBER}}}/injections", shown.inject),
            web.delete(rf"/servers/{{place:{_NUMBER}}}/injections/{{number:{_NUMBER}}}", shown.take_back),
        ]
    )
    return app


class _Shown:
    """The handlers, and what they have in common."""

    def __init__(self, servers: Sequence[FakeServer]) -> None:
        self._servers = servers
        self._names = [f"{type(server).__name__} at {server.url}" for server in servers]
        self._controls = [Controls(server) for server in servers]
        self._judges = [Judge(server.ledger) for server in servers]
        self._token = secrets.token_urlsafe()
        self._closing = asyncio.Event()
        known = [
            {"name": name, "may_inject": controls.may_inject}
            for name, controls in zip(self._names, self._controls, strict=True)
        ]
        self._page, self._policy = render(known, token=self._token)

    async def close(self, app: web.Application) -> None:
        """End what would go on for ever."""
        self._closing.set()

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer those alone that may ask."""
        if not is_of_this_machine(request.host):
            raise web.HTTPForbidden(text=f"{request.host} is no name of this machine; use its address\n")
        given = request.headers.get(TOKEN_HEADER, "").encode("utf-8", "surrogateescape")
        if request.method not in {"GET", "HEAD"} and not hmac.compare_digest(given, self._token.encode()):
            raise web.HTTPForbidden(text="this takes the token of a page that was opened here; load the page again\n")
        return await handler(request)

    async def page(self, request: web.Request) -> web.Response:
        """The page."""
        headers = {**_HEADERS, "Content-Security-Policy": self._policy}
        return web.Response(text=self._page, content_type="text/html", headers=headers)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """The news of every server, as server-sent events, until the page is closed."""
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        feeds = dict(enumerate(map(Feed, self._servers, self._names, self._controls, self._judges)))
        silent = 0
        with suppress(ConnectionResetError):  # the page was closed
            while not self._closing.is_set() and request.transport is not None:
                told = [await self._tell(response, place, feeds) for place in tuple(feeds)]
                silent = 0 if any(told) else silent + 1
                if silent == _SILENCE:
                    await response.write(b": still here\n\n")
                    silent = 0
                await self._rest()
        return response

    async def _tell(self, response: web.StreamResponse, place: int, feeds: dict[int, Feed]) -> bool:
        try:
            news = await asyncio.to_thread(feeds[place].look)
        except FakeServerError as error:
            news = {"ended": str(error)}
            del feeds[place]
        if news is None:
            return False
        await response.write(f"data: {json.dumps({'place': place, **news})}\n\n".encode())
        return True

    async def _rest(self) -> None:
        with suppress(asyncio.TimeoutError, TimeoutError):
            async with timeout(_PAUSE):
                await self._closing.wait()

    async def reset(self, request: web.Request) -> web.Response:
        """Forget the ledger and what was injected."""
        return await self._change(request, lambda controls: controls.reset())

    async def inject(self, request: web.Request) -> web.Response:
        """Inject what the body says, in JSON."""
        try:
            given = json.loads(await request.text())
        except (ValueError, LookupError, RecursionError):  # no JSON, in no encoding, or deeper than Python reads
            given = None
        if not isinstance(given, dict):
            raise web.HTTPBadRequest(text="the body is no JSON object\n")
        return await self._change(request, lambda controls: controls.inject(given))

    async def take_back(self, request: web.Request) -> web.Response:
        """Take an injection back."""
        number = int(request.match_info["number"])
        return await self._change(request, lambda controls: controls.take_back(number))

    async def _change(self, request: web.Request, change: Callable[[Controls], None]) -> web.Response:
        """Change a server; what speaks against it is an answer like any other, as browsers log statuses as errors."""
        place = int(request.match_info["place"])
        if place >= len(self._controls):
            raise web.HTTPNotFound
        try:
            await asyncio.to_thread(change, self._controls[place])
        except (ScenarioError, FakeServerError) as error:
            return web.json_response({"problem": str(error)})
        return web.json_response({"problem": ""})
