"""Requests for tokens, whatever their protocol: read, answered, limited, queued and paced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import NamedTuple

from fake_servers.http import Request, Response, Stream
from fake_servers.llm.access import Access
from fake_servers.llm.answers import compose
from fake_servers.llm.dialect import Dialect
from fake_servers.llm.errors import Refused, id_header, invalid, refusal
from fake_servers.llm.limits import RateLimits
from fake_servers.llm.models import Models
from fake_servers.llm.orders import Order, Reply
from fake_servers.llm.pacing import Pace, Speed
from fake_servers.llm.reading import decode
from fake_servers.llm.scripts import Script
from fake_servers.llm.sse import CONTENT_TYPE
from fake_servers.slots import HoldingEvents, Lease, Slot, Slots
from fake_servers.validation import Invalid

__all__ = ["Generation", "Rules"]


class Rules(NamedTuple):
    """What a server holds to for as long as it exists."""

    access: Access
    models: Models
    speed: Speed
    sleep: Callable[[float], Awaitable[None]]


class Generation:
    """What a server does from one reset to the next, and all that a reset forgets.

    Args:
        rules: what outlasts it.
        slots: how many requests run at a time.
        limits: how many come through in a minute.
        tokens: the length of seeded text; None for the echo.
        seed: the start of all chance.
    """

    def __init__(self, rules: Rules, slots: Slots, limits: RateLimits, *, tokens: int | None, seed: int) -> None:
        self._rules = rules
        self.slots = slots
        self.limits = limits
        self.tokens = tokens
        self._seed = seed
        self.scripts: tuple[Script, ...] = ()

    def begin_on_another_clock(self, slots: Slots, limits: RateLimits) -> None:
        """Go on in another loop, with nothing running and nothing spent."""
        self.slots, self.limits = slots, limits

    async def answer(
        self, dialect: Dialect, request: Request, begins: Callable[[Request, Slot], None]
    ) -> Response | Stream:
        """Answer a request; ``begins`` is told when it has its slot."""
        try:
            reply, script = self._reply(dialect, request)
            headers = self.limits.admit(reply.total_tokens, asyncio.get_running_loop().time(), dialect.provider)
        except Refused as refused:
            return refusal(request, refused)
        if script is not None:
            script.acted += 1
        slot = await self.slots.take()
        lease = Lease(self.slots, slot)
        begins(request, slot)
        pace = Pace(self._rules.speed, self.slots, reply.key, self._rules.sleep)
        headers |= id_header(request)
        if reply.order.stream:
            return Stream(_events(dialect, reply, script, pace, lease), headers=headers, content_type=CONTENT_TYPE)
        try:
            await pace.steps(reply.steps)
        finally:
            lease.end()
        return Response.json(dialect.whole(reply), headers=headers)

    def _reply(self, dialect: Dialect, request: Request) -> tuple[Reply, Script | None]:
        """The reply to a request, and the script that it follows.

        Raises:
            Refused: it is to be answered with an error.
        """
        self._rules.access.check(request)
        try:
            order = dialect.read(decode(request))
        except Invalid as problem:
            raise invalid(dialect.provider, problem) from None
        self._rules.models.check(order.model)
        script = self._script_for(request, order)
        if script is not None and script.status is not None and (script.after_events is None or not order.stream):
            script.acted += 1
            raise Refused(script.status, script.message_of_error)
        answers = compose(order, script, tokens=self.tokens, seed=self._seed)
        number = getattr(request.exchange, "number", 0)
        return Reply(order, answers, key=f"{self._seed}/{number}"), script

    def _script_for(self, request: Request, order: Order) -> Script | None:
        return next((script for script in self.scripts if script.means(request, order)), None)


def _events(dialect: Dialect, reply: Reply, script: Script | None, pace: Pace, lease: Lease) -> HoldingEvents:
    events = pace.events(dialect.events(reply))
    if script is not None and script.after_events is not None:
        events = _failing(events, dialect, reply, script, script.after_events)
    return HoldingEvents(events, lease.end)


async def _failing(
    events: AsyncGenerator[bytes, None], dialect: Dialect, reply: Reply, script: Script, after: int
) -> AsyncGenerator[bytes, None]:
    """The first events of a stream, and then the one that tells its failure; a shorter stream stays as it is."""
    assert script.status is not None, "a script with after_events has a status"
    failure = dialect.failure(reply, script.status, script.message_of_error, after)
    async with aclosing(events):
        sent = 0
        while sent != after:
            try:
                yield await events.__anext__()
            except StopAsyncIteration:
                return
            sent += 1
    yield failure
