"""Requests handed on to the upstream, and its answers handed back (RFC 9110, section 7.6)."""

from __future__ import annotations

import functools
import ssl
from asyncio import CancelledError, StreamReader
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Final

from fake_servers.authorities import is_of_this_machine
from fake_servers.entries import ConnectionEntry, ExchangeEntry
from fake_servers.garbling import is_about_events
from fake_servers.http import Request, Response, Stream, Tunnel, has_body
from fake_servers.proxy.conversation import Conversation, Garbled, Unsendable
from fake_servers.proxy.events import end_of_event, in_events
from fake_servers.proxy.fields import offers_upgrade, other_codings, relayed, requested, target_of
from fake_servers.proxy.heads import SWITCHING, Head
from fake_servers.proxy.link import End, Link, Unreachable, pump
from fake_servers.proxy.upstream import Upstream
from fake_servers.service import Answer, Service

__all__ = ["Forwarder"]

_MOST_AT_ONCE: Final = 64 * 1024


class Forwarder:
    """What the connections of a proxy share: the upstream, and the link of each of them to it.

    Args:
        service: the proxy's.
        upstream: the upstream.
        context: how its certificate is judged.
        connect_timeout: seconds that connecting may take.
        keep_host: whether the ``Host`` that the client has sent goes on to the upstream.
        secure: whether clients speak TLS with the proxy.
        own: the host and port at which clients reach the proxy.
    """

    def __init__(
        self,
        service: Service,
        upstream: Upstream,
        *,
        context: ssl.SSLContext | None,
        connect_timeout: float,
        keep_host: bool,
        secure: bool,
        own: Callable[[], str],
    ) -> None:
        self.upstream = upstream
        self.links: set[Link] = set()
        self._service = service
        self._context = context
        self._connect_timeout = connect_timeout
        self._keep_host = keep_host
        self._secure = secure
        self._own = own
        self._conversations: dict[ConnectionEntry, Conversation] = {}

    @property
    def is_in_use(self) -> bool:
        """Whether requests are handed on, and not all answered by a route of the user's."""
        route = self._service.router.registered("*")
        return route is not None and route.handler == self.forward

    def accompany(self, entry: ConnectionEntry, link: Link) -> None:
        """What comes on a client's connection is to go on by this link."""
        self._conversations[entry] = Conversation(link, most_head=self._service.limits.head)

    def leave(self, entry: ConnectionEntry) -> None:
        """A client's connection is gone."""
        self._conversations.pop(entry, None)

    async def keep(self, link: Link) -> None:
        """Open a link, and see that it is closed at the end."""
        self.links.add(link)
        try:
            if await link.open(self.upstream, self._context, within=self._connect_timeout):
                await link.lost.wait()
        finally:
            link.abort()
            self.links.discard(link)

    async def forward(self, request: Request) -> Answer:
        """Answer as the upstream answers."""
        conversation = self._conversations[_entry(request).connection]
        try:
            return await self._forwarded(request, conversation)
        except Unreachable as problem:
            return self._refusal(request, 502, f"the upstream {self.upstream.url} can't be reached: {problem}")
        except Unsendable as problem:
            return self._refusal(request, 400, f"this request can't be handed on: {problem}")
        except Garbled as problem:
            return self._refusal(request, 502, f"the upstream {self.upstream.url} does not speak HTTP/1.1: {problem}")

    async def _forwarded(self, request: Request, conversation: Conversation) -> Answer:
        if request.method == "CONNECT":
            return self._refusal(request, 501, f"CONNECT is not served; {self._advice}")
        if codings := other_codings(request):
            return self._refusal(request, 501, f"Transfer-Encoding: {codings} is not served; what is served is chunked")
        if self._guards and (stranger := self._stranger(request)):
            problem = f"{stranger} is no name of this machine, and not behind this proxy; use its address"
            return self._refusal(request, 421, problem)
        target = target_of(request, self.upstream, self._own())
        if target is None:
            return self._refusal(request, 421, f"{request.target} is not behind this proxy; {self._advice}")
        await conversation.link.ready()
        fields = requested(request, self.upstream, keep_host=self._keep_host)
        question = await conversation.encode(request.method, target, fields, request.body)
        if conversation.link.end is not None:
            conversation.link.raise_end()
        self._service.begins(request)
        return self._answer(request, conversation, await conversation.ask(question))

    @property
    def _guards(self) -> bool:
        """Whether its upstream is reached by none but users of this machine, and perhaps not by all of them."""
        return self.upstream.scheme == "unix"

    def _stranger(self, request: Request) -> str | None:
        """A name that a web page may have, and a client of this machine has not."""
        if _entry(request).connection.peer[0] == "unix":  # no page gets there
            return None
        host = request.headers.get("Host")
        if host is not None and host != self._own() and not is_of_this_machine(host):
            return host
        origin = request.headers.get("Origin")
        return None if origin is None or is_of_this_machine(origin.partition("://")[2]) else origin

    @property
    def _advice(self) -> str:
        return f"it stands before {self.upstream.url} alone: use its own URL as the server's"

    def _refusal(self, request: Request, status: int, problem: str) -> Response:
        request.keep_alive = False
        return self._service.describe(request, status, problem)

    def _answer(self, request: Request, conversation: Conversation, head: Head) -> Answer:
        status = head.status
        if not (200 <= status <= 599 or status == SWITCHING):
            raise Garbled(f"its status is {status}")
        fields = relayed(request, status, head.fields, self.upstream, secure=self._secure)
        ends_with_connection = has_body(request.method, status) and not head.is_framed
        if status == SWITCHING or (offers_upgrade(request) and ends_with_connection):
            return Tunnel(functools.partial(self._tunnelled, conversation), status=status, headers=fields)
        if ends_with_connection or not conversation.goes_on:
            request.keep_alive = False
        if has_body(request.method, status) and head.length is not None and head.length <= _MOST_AT_ONCE:
            whole = conversation.whole_body()
            if whole is not None:
                return Response(whole, status=status, headers=fields)
        end = end_of_event(head.content_type, head.content_encoding)
        parts = conversation.parts()
        if end is not None and is_about_events(_entry(request).fault):  # else nothing is held back up to their ends
            parts = in_events(parts, end)
        return Stream(parts, status=status, headers=fields, length=head.length, has_events=end is not None)

    async def _tunnelled(self, conversation: Conversation, reader: StreamReader) -> AsyncGenerator[bytes, None]:
        """What the upstream sends once the connection speaks something else; what the client sends goes to it."""
        link = conversation.link
        sending = self._service.work(pump(reader, link))
        try:
            if rest := conversation.rest:
                yield rest
            while data := await link.read():
                yield data
            if link.end is End.RST:
                link.raise_end()
        finally:
            sending.cancel()
            with suppress(CancelledError):
                await sending


def _entry(request: Request) -> ExchangeEntry:
    assert isinstance(request.exchange, ExchangeEntry), "every request that is served has its entry"
    return request.exchange
