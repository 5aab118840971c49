"""What went wrong, as far as it decides what to do about it."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Final

import requests

from pytest_httpconc.clients.answers import AnswerTimeout, AuthenticationError, LLMError, RateLimitError

__all__ = ["ErrorKind", "Rejected", "is_outage", "kind_of", "retry_after_of"]


class ErrorKind(Enum):
    """The kinds of errors that are treated apart."""

    NETWORK_TIMEOUT = "network timeout"
    SERVICE_UNAVAILABLE = "service unavailable"
    RATE_LIMIT = "rate limit"
    AUTHENTICATION = "authentication failure"


class Rejected(Exception):
    """A call that was not even tried."""


_TIMEOUTS: Final = (AnswerTimeout, TimeoutError, asyncio.TimeoutError, requests.Timeout)
_UNAVAILABLE: Final = (503, 529)  # some say 529 where they have too much to do


def kind_of(error: BaseException) -> ErrorKind | None:
    """The kind of an error of these clients, or of a timeout; None for any other."""
    if isinstance(error, AuthenticationError):
        return ErrorKind.AUTHENTICATION
    if isinstance(error, RateLimitError):
        return ErrorKind.RATE_LIMIT
    if isinstance(error, _TIMEOUTS):
        return ErrorKind.NETWORK_TIMEOUT
    unavailable = isinstance(error, LLMError) and error.status in _UNAVAILABLE
    return ErrorKind.SERVICE_UNAVAILABLE if unavailable else None


def retry_after_of(error: BaseException) -> float | None:
    """The pause in seconds that a server asks for, if it does."""
    return error.retry_after if isinstance(error, LLMError) else None


def is_outage(error: Exception) -> bool:
    """Whether an error tells that the other side can't serve, and not that the call was wrong or one too many."""
    refused = isinstance(error, LLMError) and error.status is not None and 400 <= error.status < 500
    return not (refused or isinstance(error, (AuthenticationError, RateLimitError, ValueError, TypeError)))
