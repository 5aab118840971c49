"""Language models over HTTP: OpenRouter with what a call cost, and any OpenAI-style server, streamed or not.

with OpenRouterModel("openai/gpt-4o", api_key=...) as model:
    model.query([{"role": "user", "content": "hello"}])     # Completion(content=..., cost=0.00012, ...)

async with ChatClient("http://127.0.0.1:8000/v1") as client:
    async with client.stream("a-model", [{"role": "user", "content": "hello"}]) as deltas:
        async for delta in deltas: ...
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter

from pytest_httpconc.clients.answers import (
    TIMEOUT,
    AnswerTimeout,
    APIError,
    AuthenticationError,
    Completion,
    LLMError,
    Messages,
    RateLimitError,
    TruncatedStream,
    checked_body,
    checked_seconds,
    completion_of,
)
from pytest_httpconc.clients.chat import ChatClient

__all__ = [
    "APIError",
    "AnswerTimeout",
    "AuthenticationError",
    "ChatClient",
    "Completion",
    "LLMError",
    "OpenRouterModel",
    "RateLimitError",
    "TruncatedStream",
]

OPENROUTER = "https://openrouter.ai/api/v1"

_Model = TypeVar("_Model", bound="OpenRouterModel")


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
        self._timeout = checked_seconds("timeout", timeout)
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
        answer = self._ask(body)
        if isinstance(answer, APIError):
            raise answer
        completion = completion_of(checked_body(*answer))
        if completion.cost is None:
            raise APIError(f"the answer does not say what it cost: its usage is {dict(completion.usage)!r}")
        self.calls += 1
        self.cost += completion.cost
        return completion

    def _ask(self, body: object) -> tuple[int, Mapping[str, str], bytes] | APIError:
        """What was answered, or what went wrong.

        That is returned and not raised: an error keeps what it was raised from, and that, by its traceback, the
        pool, whose connections then stay open after the session is closed.
        """
        try:
            with self._session.post(self._url, json=body, timeout=self._timeout, allow_redirects=False) as response:
                return response.status_code, response.headers, response.content
        except requests.Timeout as error:
            return AnswerTimeout(f"no answer in time: {error}")
        except (requests.RequestException, OSError) as error:
            return APIError(f"the request failed: {error}")
