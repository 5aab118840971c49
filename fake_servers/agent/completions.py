"""``POST /v1/chat/completions`` of an agent: OpenAI's protocol, plain and streamed, as the model server has it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Final

from fake_servers.agent.work import NoTurn, Work
from fake_servers.http import Request, Response, Stream
from fake_servers.llm.answers import compose
from fake_servers.llm.dialect import STEP
from fake_servers.llm.errors import Provider, Refused, id_header, invalid, refusal
from fake_servers.llm.openai_chat import OpenAIChat
from fake_servers.llm.orders import Order, Reply
from fake_servers.llm.reading import decode, wrong
from fake_servers.llm.sse import CONTENT_TYPE
from fake_servers.slots import HoldingEvents
from fake_servers.validation import Invalid

__all__ = ["Completion"]

_CHAT: Final = OpenAIChat()
_MODEL: Final = "agent"  #: where a request names none


class Completion:
    """One chat completion.

    Args:
        request: what is asked.
        work: how it is worked at.
        seed: the start of all chance.
    """

    def __init__(self, request: Request, work: Work, *, seed: int) -> None:
        self._request = request
        self._work = work
        self._seed = seed
        self._key = f"{seed}/{getattr(request.exchange, 'number', 0)}"

    async def answer(self) -> Response | Stream:
        """Wait for a turn and answer; 503 where there is none in time."""
        try:
            order = _read(self._request)
        except Invalid as problem:
            return refusal(self._request, invalid(Provider.OPENAI, problem))
        task = Reply(order, (), self._key).id("chatcmpl-")
        try:
            await self._work.begin(task, order.questions[0], order.body)
        except NoTurn as problem:
            return refusal(self._request, Refused(503, str(problem), headers={"Retry-After": "1"}))
        headers = id_header(self._request)
        if order.stream:
            events = HoldingEvents(self._events(order), self._work.end)
            return Stream(events, headers=headers, content_type=CONTENT_TYPE)
        try:
            reply = await self._reply(order)
        finally:
            self._work.end()
        return Response.json(_CHAT.whole(reply), headers=headers)

    async def _reply(self, order: Order) -> Reply:
        """Work, and answer what the agent was asked last."""
        await self._work.call_tools()
        await self._work.think()
        asked = replace(order, questions=(self._work.agent.question,))
        return Reply(asked, compose(asked, None, tokens=None, seed=self._seed), self._key)

    async def _events(self, order: Order) -> AsyncGenerator[bytes, None]:
        for part in _CHAT.events(await self._reply(order)):
            if part is not STEP:
                yield part


def _read(request: Request) -> Order:
    order = _CHAT.read({"model": _MODEL, **decode(request)})
    if not order.questions[0].strip():
        wrong(("messages",), "the question is empty; the last message of the user has to ask something")
    return order
