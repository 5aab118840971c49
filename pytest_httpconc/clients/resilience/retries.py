"""Trying again: whether, how often and after which pause, by what went wrong. The trying itself is tenacity's."""

from __future__ import annotations

import asyncio
import logging
import random as randomness
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from pytest_httpconc.clients.numbers import check_count, check_number
from pytest_httpconc.clients.resilience.kinds import ErrorKind, kind_of, retry_after_of

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["TABLE", "Exponential", "Fixed", "Linear", "Never", "RetryPolicy", "Rule"]

_log = logging.getLogger(__name__)
_MICROSECONDS: Final = 6
_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How often to try in all, and how long to pause after the ``attempt``-th try, counted from 1."""

    tries: int

    def __post_init__(self) -> None:
        check_count("tries", self.tries, example=3)

    def pause(self, attempt: int) -> float:
        """Seconds between this try, which failed, and the next."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Exponential(Rule):
    """``base ** attempt`` seconds: 2, 4, 8, ..."""

    tries: int = 3
    base: float = 2.0

    def __post_init__(self) -> None:
        Rule.__post_init__(self)
        check_number("base", self.base, least=1.0, example=2)

    def pause(self, attempt: int) -> float:
        try:
            return float(self.base**attempt)
        except OverflowError:
            return sys.float_info.max


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed(Rule):
    """The same number of seconds each time."""

    tries: int = 5
    seconds: float = 1.0

    def __post_init__(self) -> None:
        Rule.__post_init__(self)
        check_number("seconds", self.seconds)

    def pause(self, attempt: int) -> float:
        return self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear(Rule):
    """``step * attempt`` seconds: 1, 2, 3, ..."""

    tries: int = 10
    step: float = 1.0

    def __post_init__(self) -> None:
        Rule.__post_init__(self)
        check_number("step", self.step)

    def pause(self, attempt: int) -> float:
        return self.step * attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Never(Rule):
    """One try."""

    tries: int = 1

    def pause(self, attempt: int) -> float:
        return 0.0


TABLE: Final[Mapping[ErrorKind, Rule]] = MappingProxyType(
    {
        ErrorKind.NETWORK_TIMEOUT: Exponential(),
        ErrorKind.SERVICE_UNAVAILABLE: Fixed(),
        ErrorKind.RATE_LIMIT: Linear(),
        ErrorKind.AUTHENTICATION: Never(),
    }
)


class RetryPolicy:
    """Tries a call again, by a rule for each kind of error; what has no kind and no rule is raised at once.

    Each kind counts its own tries in a call. The pause is the rule's, or what the server's Retry-After asks for where
    that is longer. Pauses are in seconds of the running loop's clock, and of ``sleep`` in blocking calls. Not for what
    must not be done twice, such as commands.

    Args:
        table: the rule of each kind of error.
        kind_of: tells the kind of an error, or None for what is not to be tried again.
        jitter: up to this part of a pause is added to it by chance, 0 or more, so that many clients don't come back
            together.
        longest: a server that asks for a longer pause than these seconds is not waited for.
        random: where the chance comes from.
        sleep: how a blocking call pauses.

    Raises:
        ValueError: an argument is out of range.
        ImportError: tenacity is not installed.
    """

    def __init__(
        self,
        table: Mapping[ErrorKind, Rule] = TABLE,
        *,
        kind_of: Callable[[BaseException], ErrorKind | None] = kind_of,
        jitter: float = 0.0,
        longest: float = 300.0,
        random: randomness.Random | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        check_number("jitter", jitter, example=0.5)
        check_number("longest", longest, example=300)
        _import_tenacity()
        self._table = dict(table)
        self._kind_of = kind_of
        self._jitter = jitter
        self._longest = longest
        self._random = random or randomness.Random()
        self._sleep = sleep

    async def call(self, function: Callable[_P, Awaitable[_R]], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Await ``function(...)``, again where the policy says so, and return its result or raise its last error."""
        tenacity = _import_tenacity()
        course = _Course(self)

        async def attempt() -> _R:
            return await function(*args, **kwargs)

        # A new one for each call: the state of one that is shared would be shared by the calls of a loop.
        retrying = tenacity.AsyncRetrying(
            retry=course.goes_on, wait=course.wait, before_sleep=course.tell, sleep=asyncio.sleep
        )
        result: _R = await retrying(attempt)
        return result

    def call_blocking(self, function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """As `call`, for a function that blocks; not in a running loop, which its pauses would block too."""
        tenacity = _import_tenacity()
        course = _Course(self)
        retrying = tenacity.Retrying(
            retry=course.goes_on, wait=course.wait, before_sleep=course.tell, sleep=self._sleep
        )
        result: _R = retrying(function, *args, **kwargs)
        return result

    def pause_after(self, error: BaseException, attempt: int) -> float | None:
        """Seconds to pause after the ``attempt``-th error of this kind, or None where it is the last.

        Args:
            error: what went wrong.
            attempt: counted from 1.
        """
        kind = self._kind_of(error)
        rule = None if kind is None else self._table.get(kind)
        if rule is None or attempt >= rule.tries:
            return None
        asked = retry_after_of(error) or 0.0
        if asked > self._longest:
            return None
        pause = max(rule.pause(attempt), asked)
        return round(pause + pause * self._jitter * self._random.random(), _MICROSECONDS)

    def kind_of(self, error: BaseException) -> ErrorKind | None:
        """The kind of an error, by this policy."""
        return self._kind_of(error)


class _Course:
    """One call's tries: how many failed of each kind, and the pause that comes next."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._failed: Counter[ErrorKind | None] = Counter()
        self._pause = 0.0

    def goes_on(self, state: RetryCallState) -> bool:
        error = None if state.outcome is None else state.outcome.exception()
        if error is None:
            return False
        kind = self._policy.kind_of(error)
        self._failed[kind] += 1
        pause = self._policy.pause_after(error, self._failed[kind])
        self._pause = pause or 0.0
        return pause is not None

    def wait(self, state: RetryCallState) -> float:
        return self._pause

    def tell(self, state: RetryCallState) -> None:
        error = None if state.outcome is None else state.outcome.exception()
        _log.info("attempt %d failed (%s); again in %g s", state.attempt_number, error, self._pause)


def _import_tenacity() -> Any:
    try:
        import tenacity
    except ImportError:
        raise ImportError(
            "RetryPolicy needs tenacity; install it by pip install 'pytest-httpconc[resilience]'"
        ) from None
    return tenacity
