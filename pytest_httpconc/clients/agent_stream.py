"""The events of a chat session, as ``POST /chat/stream`` of a research-chat server streams them."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import aiohttp

from pytest_httpconc.clients.answers import APIError, TruncatedStream, checked_body, decoded, translated
from pytest_httpconc.clients.chat import END_GRACE, await_end
from pytest_httpconc.clients.sse import EventDecoder

TIMEOUT = 1800.0
LAST = frozenset({"completed", "error"})

Event = dict[str, Any]


class SessionError(APIError):
    """The server ended a session with an error event; ``events`` are all that came, that one last."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        last = events[-1]
        super().__init__(str(last.get("error") or last.get("message") or last.get("content") or last))


async def ask(
    url: str, question: str, *, session: aiohttp.ClientSession | None = None, timeout: float = TIMEOUT, **config: Any
) -> list[Event]:
    """Ask one question, and return all events of its session, the last of them ``completed``.

    Args:
        url: where the server is, such as ``"http://127.0.0.1:8000"``.
        question: what is asked.
        session: whose connections are used; one of its own when omitted.
        timeout: seconds that each next part of the stream may take, above 0.
        config: goes into the request.

    Raises:
        SessionError: the server ended the session with an error event.
        TruncatedStream: the stream was over before its end was announced.
        AuthenticationError: the status is 401.
        RateLimitError: the status is 429.
        APIError: anything else.
        ValueError: the timeout is out of range.
    """
    found = [event async for event in events(url, question, session=session, timeout=timeout, **config)]
    if found[-1].get("type") == "error":
        raise SessionError(found)
    return found


async def events(
    url: str, question: str, *, session: aiohttp.ClientSession | None = None, timeout: float = TIMEOUT, **config: Any
) -> AsyncGenerator[Event, None]:
    """Ask one question, and yield each event as it comes, up to ``completed`` or ``error``.

    A generator that is left before that has to be closed, which tells the server to stop:
    ``async with aclosing(events(...))``.

    Raises:
        TruncatedStream: the stream was over before its end was announced.
        AuthenticationError: the status is 401.
        RateLimitError: the status is 429.
        APIError: anything else.
        ValueError: the timeout is out of range.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout < math.inf:
        raise ValueError(f"timeout is {timeout!r}; it must be a finite number of seconds above 0, such as {TIMEOUT}")
    body = {**config, "question": question}
    if session is None:
        async with aiohttp.ClientSession() as own, aclosing(_events(own, url, body, timeout)) as found:
            async for event in found:
                yield event
    else:
        async with aclosing(_events(session, url, body, timeout)) as found:
            async for event in found:
                yield event


async def _events(
    session: aiohttp.ClientSession, url: str, body: dict[str, Any], timeout: float
) -> AsyncGenerator[Event, None]:
    limits = aiohttp.ClientTimeout(total=None, sock_connect=timeout, sock_read=timeout)
    with translated():
        async with session.post(f"{url.rstrip('/')}/chat/stream", json=body, timeout=limits) as response:
            if response.status != 200 or response.content_type != "text/event-stream":
                checked_body(response.status, response.headers, await response.read())
                raise APIError(f"a stream was asked for, and the answer is {response.content_type}")
            decoder = EventDecoder()
            async for block in response.content.iter_any():
                for text in decoder.feed(block):
                    event = _event(text)
                    yield event
                    if event.get("type") in LAST:
                        await await_end(response, END_GRACE)
                        return
            raise TruncatedStream("the stream was over before its end was announced")


def _event(text: str) -> Event:
    event = decoded(text)
    if not isinstance(event, dict):
        raise APIError(f"the stream has an event that is no JSON object: {text[:200]}")
    return event
