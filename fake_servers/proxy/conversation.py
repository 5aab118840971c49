"""Requests to the upstream on one link, and its answers, one after the other, through h11."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator

import h11

from fake_servers.proxy.heads import SWITCHING, Head
from fake_servers.proxy.link import End, Link

__all__ = ["Conversation", "Garbled", "Unsendable"]


class Unsendable(Exception):
    """A request that HTTP/1.1 has no form for; the message says what is wrong with it."""


class Garbled(Exception):
    """What the upstream has answered is no HTTP/1.1; the message says why."""


class Conversation:
    """What is asked of the upstream, and answered, on one link.

    Args:
        link: the connection.
        most_head: the size in bytes beyond which the head of an answer is refused.
    """

    def __init__(self, link: Link, *, most_head: int) -> None:
        self.link = link
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=most_head)
        self._pulled: deque[bytes] = deque()

    async def encode(self, method: str, target: bytes, fields: list[tuple[bytes, bytes]], body: bytes) -> bytes:
        """A request as bytes, when the answer before is over.

        Raises:
            Unsendable: it has no form.
        """
        if self._h11.our_state is not h11.IDLE:
            async for _ in self.parts():  # of a body that was not wanted to its end, or of none
                pass
            self._h11.start_next_cycle()
        try:
            head = h11.Request(method=method, target=target, headers=fields)
            events = [head, h11.Data(data=body), h11.EndOfMessage()] if body else [head, h11.EndOfMessage()]
            return b"".join(self._h11.send(event) or b"" for event in events)
        except h11.LocalProtocolError as error:
            raise Unsendable(str(error)) from None

    async def ask(self, question: bytes) -> Head:
        """Send a request, and wait for the head of its answer: a final one, or the one that switches protocols.

        Raises:
            Garbled: it is no HTTP.
            UpstreamEnded: it does not come.
        """
        self._pulled.clear()
        self.link.write(question)
        while True:
            event = await self._next()
            if isinstance(event, h11.Response):
                return Head.of(event)
            if isinstance(event, h11.InformationalResponse) and event.status_code == SWITCHING:
                return Head.of(event)

    def whole_body(self) -> bytes | None:
        """The body of the answer, if all of it has come."""
        while isinstance(event := self._poll(), h11.Data):
            self._pulled.append(bytes(event.data))
        if not isinstance(event, h11.EndOfMessage):
            return None
        body = b"".join(self._pulled)
        self._pulled.clear()
        return body

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """The body of the answer, as it comes.

        Raises:
            UpstreamEnded: it ends before its end, or is no body.
        """
        while self._pulled:
            yield self._pulled.popleft()
        while self._h11.their_state is h11.SEND_BODY:
            try:
                event = await self._next()
            except Garbled:
                self.link.raise_end()
            if isinstance(event, h11.Data) and event.data:
                yield bytes(event.data)

    @property
    def goes_on(self) -> bool:
        """Whether the upstream keeps the connection when its answer is over."""
        return self._h11.our_state is h11.DONE

    @property
    def rest(self) -> bytes:
        """What has come behind the last head, where it was no HTTP any more."""
        return self._h11.trailing_data[0]

    def _poll(self) -> object:
        return self._h11.next_event()

    async def _next(self) -> object:
        in_head = self._h11.their_state is h11.SEND_RESPONSE
        has_ended = False
        try:
            while (event := self._poll()) is h11.NEED_DATA:
                data = await self.link.read()
                has_ended = not data
                if has_ended and self.link.end is End.RST:
                    self.link.raise_end(self.rest if in_head else b"")
                self._h11.receive_data(data)
        except h11.RemoteProtocolError as error:
            if has_ended:  # of a body without a length, its end would have been that of the connection
                self.link.raise_end(self.rest if in_head else b"")
            raise Garbled(str(error)) from None
        return event
