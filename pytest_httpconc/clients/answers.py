"""What a language model's server answers: a completion, or one of a few errors."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

TIMEOUT = 60.0

Messages = Sequence[Mapping[str, Any]]


class LLMError(Exception):
    """No answer was had from a model.

    ``retry_after`` is the pause in seconds that the server asks for, if it does; ``status`` its answer's, if it is that
    which was wrong.
    """

    def __init__(self, message: str, retry_after: float | None = None, *, status: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.status = status


class AuthenticationError(LLMError):
    """The key is not accepted (401); trying again is of no use."""


class RateLimitError(LLMError):
    """Too many requests (429)."""


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


@contextmanager
def translated() -> Iterator[None]:
    """What goes wrong on the way, as one of our own errors."""
    try:
        yield
    except (asyncio.TimeoutError, TimeoutError):
        raise AnswerTimeout("the answer, or the next part of it, did not come in time") from None
    except (aiohttp.ClientError, OSError) as error:
        raise APIError(f"the request failed: {str(error) or type(error).__name__}") from None


def checked_body(status: int, headers: Mapping[str, str], content: bytes) -> dict[str, Any]:
    """The decoded body of a success; anything else is raised.

    Raises:
        AuthenticationError: the status is 401.
        RateLimitError: the status is 429.
        APIError: another status, a body that is no JSON object, or one that tells of an error.
    """
    answer = decoded(content)
    if 200 <= status < 300 and isinstance(answer, dict) and not answer.get("error"):
        return answer
    raise _refusal(status, headers, content, answer)


def _refusal(status: int, headers: Mapping[str, str], content: bytes, answer: Any) -> LLMError:
    """What is wrong with a response that is no success."""
    excerpt = content[:200].decode("utf-8", "replace")
    message = f"HTTP {status}: {message_of(answer) or excerpt}"
    if status == 401:
        return AuthenticationError(message, status=status)
    retry_after = _seconds(headers.get("Retry-After"))
    if status == 429:
        return RateLimitError(message, retry_after, status=status)
    if not 200 <= status < 300:
        return APIError(message, retry_after, status=status)
    if not isinstance(answer, dict):
        return APIError(f"the answer is no JSON object: {excerpt}")
    return APIError(message_of(answer) or str(answer["error"]))


def decoded(content: bytes | str) -> Any:
    """What JSON says, or None for what is no JSON."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def message_of(answer: Any) -> str:
    """The provider's words for an error, as far as an answer has them."""
    error = answer.get("error") if isinstance(answer, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return str(message) if message else ""


def completion_of(answer: dict[str, Any]) -> Completion:
    """The first choice of an answer.

    Raises:
        APIError: there is none.
    """
    try:
        choice = answer["choices"][0]
        content = choice["message"].get("content") or ""
    except (LookupError, TypeError, AttributeError):
        raise APIError(f"the answer has no choice with a message, only {sorted(answer)}") from None
    usage = answer.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Completion(str(content), choice.get("finish_reason"), _cost(usage.get("cost")), usage, answer)


def _cost(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        cost = float(value)
    except OverflowError:  # a whole number that no float can hold
        return None
    return cost if math.isfinite(cost) and cost >= 0 else None


def _seconds(value: str | None) -> float | None:
    """What a Retry-After asks for in seconds; a date in it is passed over (RFC 9110, section 10.2.3)."""
    return float(value) if value is not None and value.strip().isdecimal() and value.isascii() else None


def checked_seconds(name: str, seconds: float) -> float:
    """Refuse what is no duration above 0."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < math.inf:
        raise ValueError(f"{name} is {seconds!r}; it must be a finite number of seconds above 0, such as {TIMEOUT}")
    return seconds
