"""The client's end of a connection through a proxy, and the link to the upstream that is paired with it.

Its first bytes decide: what begins like a request of HTTP/1.1 is read as such; anything else, and whatever the
upstream says first, is passed on as it is.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from fake_servers.delivery import PlainOutflow
from fake_servers.engine import ServerConnection
from fake_servers.errors import FakeServerError
from fake_servers.proxy.forwarding import Forwarder
from fake_servers.proxy.link import End, Link, Unreachable, pump
from fake_servers.records import Closer, Outcome
from fake_servers.tls import TlsConnection

__all__ = ["ProxyConnection", "SealedProxyConnection", "begins_http"]

#: Methods of HTTP/1.1 that the parser knows, as they begin a request.
_METHODS: Final = tuple(
    name + b" "
    for name in (
        b"GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK "
        b"BIND REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PURGE "
        b"MKCALENDAR LINK UNLINK"
    ).split()
)
_MOST_LINE_ENDS: Final = 4  #: bytes of empty lines before a request (RFC 9112, section 2.2: at least one line)
_HTTP_ANSWER: Final = b"HTTP/1."


def begins_http(data: bytes) -> bool | None:
    """Whether a client that begins like this speaks HTTP/1.1; None while that can't be told."""
    first = data.lstrip(b"\r\n")
    if len(data) - len(first) > _MOST_LINE_ENDS:
        return False
    if first.startswith(_METHODS):
        return True
    return None if any(method.startswith(first) for method in _METHODS) else False


class ProxyConnection(ServerConnection):
    """The server's end of one accepted connection, paired with one link to the upstream.

    The link is opened when the client's connection is accepted: a server that speaks first is heard, and its limits
    on idle connections count from the same moment. When one of the two ends, so does the other.
    """

    def __init__(self, *arguments: Any, forwarder: Forwarder, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._forwarder = forwarder
        self._link = Link(self._upstream_changed)
        self._keeping: asyncio.Task[None] | None = None
        self._first = b""
        self._is_decided = False
        self._is_half_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._forwarder.accompany(self.entry, self._link)
        if not self._stalled:
            self._open_link()

    def eof_received(self) -> bool | None:
        if self._first and not (self._is_decided or self._over):  # it says no more, and waits to be told something
            self._speak_plainly(self._first)
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forwarder.leave(self.entry)

    def _go_on(self) -> None:
        super()._go_on()
        self._open_link()

    def _open_link(self) -> None:
        if self._over or self._keeping is not None:
            return
        if not self._forwarder.is_in_use:
            self._link.refuse("every request is answered by a route")
            return
        self._keeping = self.service.start(self._forwarder.keep(self._link))
        if self._forwarder.upstream.is_plain and not self._is_decided:
            self._speak_plainly(b"")

    # -- what the client speaks ---------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        if self._is_decided:
            super()._feed(data)
            return
        self._first += data
        speaks_http = False if self._forwarder.upstream.is_plain else begins_http(self._first)
        if speaks_http is None:
            return
        first, self._first = self._first, b""
        if speaks_http:
            self._is_decided = True
            super()._feed(first)
        else:
            self._speak_plainly(first)

    def _speak_plainly(self, first: bytes) -> None:
        self._is_decided = True
        self._task = self.service.start(self._relay(self._read_plainly(first)))

    async def _relay(self, reader: asyncio.StreamReader) -> None:
        try:
            await self._link.ready()
            await self._can_send()
            await self._relay_both_ways(reader)
        except Unreachable:
            self.end_with_upstream(reset=False)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is kept and raised in the test
            problem = FakeServerError(f"the proxy failed on connection {self.entry.number}: {error!r}")
            problem.__cause__ = error
            self.service.errors.append(problem)
            self.abort(Outcome.HANDLER_FAILED)

    async def _can_send(self) -> None:
        """Wait until the client can be sent to: at once without TLS."""

    async def _relay_both_ways(self, reader: asyncio.StreamReader) -> None:
        """Pass on what comes, both ways, and how either side ends it."""
        sending = self.service.start(pump(reader, self._link))
        try:
            if not await self._pass_back():
                return
            if self._link.end is End.RST:
                self.end_with_upstream(reset=True)
                return
            self._mute = self._is_half_closed = True
            self._end_sending()
            self.service.recorder.connection_closed(self.entry, Closer.UPSTREAM_FIN)
            if not self._link.lost.is_set():
                await sending
            self.end_with_upstream(reset=self._link.was_broken)
        finally:
            sending.cancel()

    async def _pass_back(self) -> bool:
        """Pass on what the upstream sends, up to its end; return whether no fault has ended it before."""
        block = await self._link.read()
        if not block:
            return True
        plan = self.service.run.plan_plain()
        self.entry.fault = plan.fault or self.entry.fault
        await self.service.sleep(plan.latency)
        outflow = PlainOutflow(self, plan.fault)
        while block:
            if not await outflow.send(block):
                return False
            block = await self._link.read()
        return True

    @property
    def is_idle(self) -> bool:
        """Whether it is open with no exchange in progress; of what is no HTTP, that can't be told."""
        return super().is_idle and self._tunnel is None

    # -- how either side ends -----------------------------------------------------------------------------

    def _upstream_changed(self) -> None:
        if self._over:
            return
        if not self._is_decided and self._hears_no_http:
            self._speak_plainly(self._first)
        elif self._is_half_closed and self._link.lost.is_set():  # nobody takes any more what the client sends
            self.end_with_upstream(reset=self._link.was_broken)
        elif self._link.end is not None:
            self._end_if_idle()

    @property
    def _hears_no_http(self) -> bool:
        """Whether the upstream has spoken first, and has not just answered that it has waited for too long."""
        received = self._link.received
        return bool(received) and not (self._stalled or received.startswith(_HTTP_ANSWER))

    def _advance(self) -> None:
        super()._advance()
        if self._link.end is not None:
            self._end_if_idle()

    def _end_if_idle(self) -> None:
        """Nothing is in progress, and the upstream has closed its connection: so is this one, in the same way."""
        if self.is_idle:
            self.end_with_upstream(reset=self._link.end is End.RST)

    def _left(self, by: Closer) -> None:
        if by is Closer.CLIENT_RST:
            self._link.reset()
        super()._left(by)

    def abort(self, outcome: Outcome) -> None:
        self._link.abort()
        super().abort(outcome)

    def _end(self) -> None:
        super()._end()
        if self._link.is_open:
            self._link.close()
        elif self._keeping is not None:
            self._keeping.cancel()


class SealedProxyConnection(ProxyConnection, TlsConnection):
    """The same over TLS."""

    async def _can_send(self) -> None:
        await self._shaken.wait()
