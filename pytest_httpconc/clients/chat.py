"""Any OpenAI-style server, asked for whole answers or for streams of their parts."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import Any, TypeVar

import aiohttp

from pytest_httpconc.clients.answers import (
    TIMEOUT,
    APIError,
    Completion,
    Messages,
    TruncatedStream,
    checked_body,
    checked_seconds,
    completion_of,
    decoded,
    message_of,
    translated,
)
from pytest_httpconc.clients.sse import EventDecoder

# Not asyncio.wait_for, which before Python 3.12 can lose a cancellation that comes with the result.
if sys.version_info >= (3, 11):
    from asyncio import timeout
else:
    from async_timeout import timeout

END_GRACE = 0.1
DONE = "[DONE]"

_Client = TypeVar("_Client", bound="ChatClient")


class ChatClient:
    """Any OpenAI-style server, through one pooled session. Nothing is ever retried.

    Args:
        base_url: where the API is, such as ``"http://127.0.0.1:8000/v1"``.
        api_key: the bearer key, if one is needed.
        timeout: seconds that an answer may take; of a stream, that each event may take. Comments, which
            servers send to keep a connection alive, are no events.
        end_grace: seconds that the end of a stream's body may take after its last event. A connection whose
            body ends in time is used again, and any other is closed.
        limit: connections at most.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout: float = TIMEOUT,
        end_grace: float = END_GRACE,
        limit: int = 100,
    ) -> None:
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise ValueError(f"limit is {limit!r}; it must be a whole number from 1 up, such as 100")
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._timeout = checked_seconds("timeout", timeout)
        self._end_grace = checked_seconds("end_grace", end_grace)
        self._limit = limit
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self: _Client) -> _Client:
        """Open the session."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._limit),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=None),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session and its connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def complete(self, model: str, messages: Messages, **options: Any) -> Completion:
        """Ask once and wait for the whole answer; ``options`` go into the request.

        Raises:
            AuthenticationError: the key is not accepted.
            RateLimitError: too many requests.
            APIError: anything else.
        """
        body = {"model": model, "messages": list(messages), **options}
        with translated():
            async with timeout(self._timeout):
                return await self._complete(body)

    @asynccontextmanager
    async def stream(self, model: str, messages: Messages, **options: Any) -> AsyncIterator[AsyncIterator[str]]:
        """Ask once and iterate over the parts of the answer's text as they come.

        A block that is left before the stream has ended closes the connection, which tells the server to stop.

        Raises:
            AuthenticationError: the key is not accepted.
            RateLimitError: too many requests.
            TruncatedStream: the stream was over before its end was announced.
            APIError: anything else.
        """
        body = {"model": model, "messages": list(messages), **options, "stream": True}
        with translated():
            async with timeout(self._timeout):
                response = await self._post(body)
        try:
            events = _Events(response, self._timeout)
            await self._refuse_errors(response, events)
            async with aclosing(events.deltas()) as deltas:
                yield deltas
            if events.ended:
                await await_end(response, self._end_grace)
        finally:
            # A response that was read to its end has given its connection back by now; this closes any other.
            response.close()

    async def _post(self, body: object) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("the client is not open: use it in an 'async with' block")
        return await self._session.post(self._url, json=body, allow_redirects=False)

    async def _complete(self, body: object) -> Completion:
        async with await self._post(body) as response:
            return completion_of(checked_body(response.status, response.headers, await response.read()))

    async def _refuse_errors(self, response: aiohttp.ClientResponse, events: _Events) -> None:
        """Raise for an answer that is no stream of deltas; an error may come as a stream that does not end."""
        if response.status == 200 and response.content_type == "text/event-stream":
            return
        if response.content_type == "text/event-stream":
            data = await events.next_data()
            content = b"" if data is None else data.encode()
        else:
            with translated():
                async with timeout(self._timeout):
                    content = await response.read()
        checked_body(response.status, response.headers, content)
        raise APIError(f"a stream was asked for, and the answer is {response.content_type}")


class _Events:
    """The events of a response; ``ended`` once the last has come."""

    def __init__(self, response: aiohttp.ClientResponse, timeout: float) -> None:
        self._response = response
        self._timeout = timeout
        self._decoder = EventDecoder()
        self._ready: list[str] = []
        self.ended = False

    async def next_data(self) -> str | None:
        """The data of the next event, or None where the body is over."""
        with translated():
            async with timeout(self._timeout):
                return await self._next_data()

    async def _next_data(self) -> str | None:
        while not self._ready:
            block = await self._response.content.readany()
            if not block:
                return None
            self._ready = self._decoder.feed(block)
        return self._ready.pop(0)

    async def deltas(self) -> AsyncGenerator[str, None]:
        while (data := await self.next_data()) != DONE:
            if data is None:
                raise TruncatedStream("the stream was over before its end was announced")
            delta = _delta(data)
            if delta:
                yield delta
        self.ended = True


async def await_end(response: aiohttp.ClientResponse, grace: float) -> None:
    """Read what still belongs to the body, so that the connection can be used again; not for long."""
    try:
        async with timeout(grace):
            await _read_to_end(response)
    except (asyncio.TimeoutError, TimeoutError, aiohttp.ClientError):
        return  # the answer is whole; only the connection is not, and it is closed


async def _read_to_end(response: aiohttp.ClientResponse) -> None:
    while await response.content.readany():
        pass


def _delta(data: str) -> str:
    chunk = decoded(data)
    if not isinstance(chunk, dict):
        raise APIError(f"the stream has an event that is no JSON object: {data[:200]}")
    if chunk.get("error"):
        raise APIError(message_of(chunk) or str(chunk["error"]))
    choices = chunk.get("choices")
    delta = choices[0].get("delta") if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None
    content = delta.get("content") if isinstance(delta, dict) else None
    return content if isinstance(content, str) else ""
