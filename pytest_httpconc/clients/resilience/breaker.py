"""A circuit breaker: after so many failures, calls are rejected at once until a pause is over and a trial succeeds.

It is our own, and small: it takes its time from the running loop, so that a virtual clock makes its pauses exact, and
lets just so many trials through. Of the libraries, purgatory and pybreaker read the clock of the wall and let any
number of trials through, pybreaker knows no asyncio, and aiobreaker has had no release since 2021.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from threading import Lock
from typing import ParamSpec, TypeVar

from pytest_httpconc.clients.numbers import check_count, check_number
from pytest_httpconc.clients.resilience.kinds import Rejected, is_outage

__all__ = ["CircuitBreaker", "CircuitOpen", "CircuitState"]

_log = logging.getLogger(__name__)
_P = ParamSpec("_P")
_R = TypeVar("_R")


class CircuitState(Enum):
    """What a breaker does with calls."""

    CLOSED = "closed"  #: all go through
    OPEN = "open"  #: none does
    HALF_OPEN = "half open"  #: a few trials do


class CircuitOpen(Rejected):
    """The breaker let no call through; ``retry_in`` seconds from now it may, where that is known."""

    def __init__(self, message: str, retry_in: float | None = None) -> None:
        super().__init__(message)
        self.retry_in = retry_in


class CircuitBreaker:
    """Guards calls to one service, from any number of tasks and threads.

    CLOSED becomes OPEN at the ``threshold``-th failure in a row; OPEN becomes HALF_OPEN after ``pause`` seconds;
    HALF_OPEN becomes CLOSED at a success and OPEN at a failure. A call that began before the last change counts no
    more. A call that is cancelled is neither success nor failure, and gives its place as a trial back; so does one
    that something else rejects.

    Args:
        threshold: failures in a row that open it, 1 or more.
        pause: seconds that it stays open, above 0.
        trials: calls that may be on trial together while it is half open, 1 or more.
        is_failure: whether an exception is a failure; by default all but wrong requests, refused keys and rate limits
            are. One that is none counts as a success: the service has answered.
        clock: seconds; of the running loop where there is one when omitted, and of `time.monotonic` elsewhere.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        *,
        threshold: int = 5,
        pause: float = 30.0,
        trials: int = 2,
        is_failure: Callable[[Exception], bool] = is_outage,
        clock: Callable[[], float] | None = None,
    ) -> None:
        check_count("threshold", threshold, example=5)
        check_count("trials", trials, example=2)
        check_number("pause", pause, above=True, example=30)
        self._threshold = threshold
        self._pause = pause
        self._trials = trials
        self._is_failure = is_failure
        self._clock = clock or _loop_time
        self._lock = Lock()
        self._state = CircuitState.CLOSED
        self._era = 0  # counts the changes of state
        self._failures = 0
        self._on_trial = 0
        self._opened_at = 0.0

    @property
    def state(self) -> CircuitState:
        """Its state now."""
        with self._lock:
            self._pass_time()
            return self._state

    @property
    def failures(self) -> int:
        """How many failures there were in a row, as long as it is closed."""
        return self._failures

    @property
    def on_trial(self) -> int:
        """How many calls are on trial."""
        return self._on_trial

    @contextmanager
    def guard(self) -> Iterator[None]:
        """A ``with`` block that is one call, blocking or async; what it raises is a failure, or not.

        Raises:
            CircuitOpen: it lets no call through now.
        """
        era = self._enter()
        try:
            yield
        except Rejected:
            self._leave(era, succeeded=None)
            raise
        except Exception as error:
            try:
                failed = self._is_failure(error)
            except BaseException:
                self._leave(era, succeeded=None)
                raise
            self._leave(era, succeeded=not failed)
            raise
        except BaseException:
            self._leave(era, succeeded=None)
            raise
        self._leave(era, succeeded=True)

    async def call(self, function: Callable[_P, Awaitable[_R]], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Await ``function(...)`` as one guarded call.

        Raises:
            CircuitOpen: it lets no call through now.
        """
        with self.guard():
            return await function(*args, **kwargs)

    def _enter(self) -> int:
        with self._lock:
            self._pass_time()
            if self._state is CircuitState.OPEN:
                retry_in = self._opened_at + self._pause - self._clock()
                raise CircuitOpen(f"the circuit is open for {retry_in:g} s more", retry_in)
            if self._state is CircuitState.HALF_OPEN:
                if self._on_trial >= self._trials:
                    raise CircuitOpen(f"the circuit is half open, and {self._on_trial} calls are on trial")
                self._on_trial += 1
            return self._era

    def _leave(self, era: int, *, succeeded: bool | None) -> None:
        """Count the outcome of a call that was let through; None is no outcome."""
        with self._lock:
            if era != self._era:
                return
            if self._state is CircuitState.HALF_OPEN:
                self._on_trial -= 1
                if succeeded is not None:
                    self._change(CircuitState.CLOSED if succeeded else CircuitState.OPEN)
            elif succeeded:
                self._failures = 0
            elif succeeded is False:
                self._failures += 1
                if self._failures >= self._threshold:
                    self._change(CircuitState.OPEN)

    def _pass_time(self) -> None:
        if self._state is CircuitState.OPEN and self._clock() >= self._opened_at + self._pause:
            self._change(CircuitState.HALF_OPEN)

    def _change(self, state: CircuitState) -> None:
        _log.warning("the circuit was %s and is %s now", self._state.value, state.value)
        self._state = state
        self._era += 1
        self._failures = 0
        self._on_trial = 0
        if state is CircuitState.OPEN:
            self._opened_at = self._clock()

    def __repr__(self) -> str:
        return f"<CircuitBreaker: {self.state.value}, {self._failures} failures, {self._on_trial} on trial>"


def _loop_time() -> float:
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:  # none runs in this thread
        return time.monotonic()
