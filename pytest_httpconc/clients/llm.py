"""Language models over HTTP: OpenRouter with what a call cost, and any OpenAI-style server, streamed or not.

with OpenRouterModel("openai/gpt-4o", api_key=...) as model:
    model.query([{"role": "user", "content": "hello"}])     # Completion(content=..., cost=0.00012, ...)

async with ChatClient("http://127.0.0.1:8000/v1") as client:
    async with client.stream("a-model", [{"role": "user", "content": "hello"}]) as deltas:
        async for delta in deltas: ...
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

import aiohttp
import requests
from requests.adapters import HTTPAdapter

from pytest_httpconc.clients.sse import EventDecoder

OPENROUTER = "https://openrouter.ai/api/v1"
TIMEOUT = 60.0
END_GRACE = 0.1
DONE = "[DONE]"

Messages = Sequence[Mapping[str, Any]]
_Model = TypeVar("_Model", bound="OpenRouterModel")
_Client = TypeVar("_Client", bound="ChatClient")


class LLMError(Exception):
    """No answer was had from a model."""


class AuthenticationError(LLMError):
    """The key is not accepted (401); trying again is of no use."""


class RateLimitError(LLMError):
    """Too many requests (429); ``retry_after`` is the pause in seconds that the server asks for, if it does."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class APIError(LLMError):
    """Any other error: of the provider, on the way to it, or in what it answered."""


class AnswerTimeout(APIError):
    """The answer, or the next part of it, did not come in time."""


class TruncatedStream(APIError):
    """The stream was over before its end was announced; what came until then is not the whole answer."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's answer; ``cost`` in dollars where the provider tells it, ``raw`` the decoded body."""

    content: str
    finish_reason: str | None = None
    cost: float | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


class OpenRouterModel:
    """One model at OpenRouter, through one session for its whole life. Nothing is ever retried.

    Args:
        model: its name, such as ``"openai/gpt-4o"``.
        api_key: the bearer key.
        base_url: where the API is.
        timeout: seconds that the connection may take, and each wait for a part of the answer.

    Raises:
        ValueError: the timeout is out of range.
    """

    def __init__(self, model: str, *, api_key: str, base_url: str = OPENROUTER, timeout: float = TIMEOUT) -> None:
        self.model = model
        self.cost = 0.0
        self.calls = 0
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._timeout = _checked("timeout", timeout)
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {api_key}"
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=10, max_retries=0)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def __enter__(self: _Model) -> _Model:
        """Use the model in a `with` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session."""
        self.close()

    def close(self) -> None:
        """Close the session and its connections."""
        self._session.close()

    def query(self, messages: Messages, **options: Any) -> Completion:
        """Ask once; ``options`` such as ``temperature`` go into the request.

        Raises:
            AuthenticationError: the key is not accepted.
            RateLimitError: too many requests.
            APIError: anything else, an answer that does not say what it cost included.
        """
        body = {"model": self.model, "messages": list(messages), "usage": {"include": True}, **options}
        try:
            with self._session.post(self._url, json=body, timeout=self._timeout, allow_redirects=False) as response:
                status, headers, content = response.status_code, response.headers, response.content
        except requests.Timeout as error:
            raise AnswerTimeout(f"no answer in time: {error}") from None
        except (requests.RequestException, OSError) as error:
            raise APIError(f"the request failed: {error}") from None
        completion = _completion(_checked_body(status, headers, content))
        if completion.cost is None:
            raise APIError(f"the answer does not say what it cost: its usage is {dict(completion.usage)!r}")
        self.calls += 1
        self.cost += completion.cost
        return completion


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
        self._timeout = _checked("timeout", timeout)
        self._end_grace = _checked("end_grace", end_grace)
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
        with _translated():
            return await asyncio.wait_for(self._complete(body), self._timeout)

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
        with _translated():
            response = await asyncio.wait_for(self._post(body), self._timeout)
        try:
            events = _Events(response, self._timeout)
            await self._refuse_errors(response, events)
            deltas = events.deltas()
            try:
                yield deltas
            finally:
                await deltas.aclose()
            if events.ended:
                await _await_end(response, self._end_grace)
        finally:
            # A response that was read to its end has given its connection back by now; this closes any other.
            response.close()

    async def _post(self, body: object) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("the client is not open: use it in an 'async with' block")
        return await self._session.post(self._url, json=body, allow_redirects=False)

    async def _complete(self, body: object) -> Completion:
        async with await self._post(body) as response:
            return _completion(_checked_body(response.status, response.headers, await response.read()))

    async def _refuse_errors(self, response: aiohttp.ClientResponse, events: _Events) -> None:
        """Raise for an answer that is no stream of deltas; an error may come as a stream that does not end."""
        if response.status == 200 and response.content_type == "text/event-stream":
            return
        if response.content_type == "text/event-stream":
            data = await events.next_data()
            content = b"" if data is None else data.encode()
        else:
            with _translated():
                content = await asyncio.wait_for(response.read(), self._timeout)
        _checked_body(response.status, response.headers, content)
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
        with _translated():
            return await asyncio.wait_for(self._next_data(), self._timeout)

    async def _next_data(self) -> str | None:
        while not self._ready:
            block = await self._response.content.readany()
            if not block:
                return None
            self._ready = self._decoder.feed(block)
        return self._ready.pop(0)

    async def deltas(self) -> AsyncIterator[str]:
        while (data := await self.next_data()) != DONE:
            if data is None:
                raise TruncatedStream("the stream was over before its end was announced")
            delta = _delta(data)
            if delta:
                yield delta
        self.ended = True


async def _await_end(response: aiohttp.ClientResponse, grace: float) -> None:
    """Read what still belongs to the body, so that the connection can be used again; not for long."""
    try:
        await asyncio.wait_for(_read_to_end(response), grace)
    except (asyncio.TimeoutError, TimeoutError, aiohttp.ClientError):
        return  # the answer is whole; only the connection is not, and it is closed


async def _read_to_end(response: aiohttp.ClientResponse) -> None:
    while await response.content.readany():
        pass


class _translated:  # noqa: N801 -- it reads as a verb in a with statement
    """What goes wrong on the way, as one of our own errors."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, (asyncio.TimeoutError, TimeoutError)):
            raise AnswerTimeout("the answer, or the next part of it, did not come in time") from None
        if isinstance(error, (aiohttp.ClientError, OSError)):
            raise APIError(f"the request failed: {str(error) or type(error).__name__}") from None


def _checked_body(status: int, headers: Mapping[str, str], content: bytes) -> dict[str, Any]:
    """The decoded body of a success; anything else is raised."""
    decoded = _decoded(content)
    message = f"HTTP {status}: {_message(decoded) or content[:200].decode('utf-8', 'replace')}"
    if status == 401:
        raise AuthenticationError(message)
    if status == 429:
        raise RateLimitError(message, _seconds(headers.get("Retry-After")))
    if not 200 <= status < 300:
        raise APIError(message)
    if not isinstance(decoded, dict):
        raise APIError(f"the answer is no JSON object: {content[:200].decode('utf-8', 'replace')}")
    if decoded.get("error"):
        raise APIError(_message(decoded) or str(decoded["error"]))
    return decoded


def _decoded(content: bytes | str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _message(decoded: Any) -> str:
    error = decoded.get("error") if isinstance(decoded, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return str(message) if message else ""


def _completion(answer: dict[str, Any]) -> Completion:
    try:
        choice = answer["choices"][0]
        content = choice["message"].get("content") or ""
    except (LookupError, TypeError, AttributeError):
        raise APIError(f"the answer has no choice with a message, only {sorted(answer)}") from None
    usage = answer.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Completion(content, choice.get("finish_reason"), _cost(usage.get("cost")), usage, answer)


def _delta(data: str) -> str:
    chunk = _decoded(data)
    if not isinstance(chunk, dict):
        raise APIError(f"the stream has an event that is no JSON object: {data[:200]}")
    if chunk.get("error"):
        raise APIError(_message(chunk) or str(chunk["error"]))
    choices = chunk.get("choices")
    delta = choices[0].get("delta") if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None
    content = delta.get("content") if isinstance(delta, dict) else None
    return content if isinstance(content, str) else ""


def _cost(value: object) -> float | None:
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    return float(value) if known else None  # type: ignore[arg-type]  # it is a number: `known` says so


def _seconds(value: str | None) -> float | None:
    """What a Retry-After asks for in seconds; a date in it is passed over (RFC 9110, section 10.2.3)."""
    return float(value) if value is not None and value.strip().isdigit() else None


def _checked(name: str, seconds: float) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < math.inf:
        raise ValueError(f"{name} is {seconds!r}; it must be a finite number of seconds above 0, such as {TIMEOUT}")
    return seconds
