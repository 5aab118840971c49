"""Runs blocking work in a thread of its own, so that a step that hangs is found and does not hang the test."""

from __future__ import annotations

import contextvars
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["Hung", "Watchdog", "place_of"]

_LOOK_AGAIN: Final = 0.1  # seconds; the deadline moves with each step


class Hung(Exception):
    """A step has not ended within its time.

    Args:
        seconds: that it was given.
        where: the line at which it stands.
    """

    def __init__(self, seconds: float, where: str) -> None:
        super().__init__(f"no end within {seconds:.3g} s, {where}")
        self.seconds = seconds
        self.where = where


class _Abandoned(Exception):
    """Nobody waits for the thread any more."""


class Watchdog:
    """Watches work that reports each of its steps."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._seconds = 0.0
        self._deadline = float("inf")
        self._abandoned = False
        self._error: BaseException | None = None

    def step(self, seconds: float) -> None:
        """A step begins, for which the work has so many seconds; called by the work."""
        if self._abandoned:
            raise _Abandoned
        self._seconds, self._deadline = seconds, time.monotonic() + seconds

    @contextmanager
    def resting(self) -> Iterator[None]:
        """What happens in the block has an end of its own, and does not count; what follows has its time anew."""
        self._deadline = float("inf")
        try:
            yield
        finally:
            self.step(self._seconds)

    def watch(self, work: Callable[[], None]) -> None:
        """Do the work, and raise what it raises.

        Raises:
            Hung: a step does not end; its thread is left behind.
        """
        context = contextvars.copy_context()
        thread = threading.Thread(target=lambda: context.run(self._do, work), name="httpconc-sweep", daemon=True)
        thread.start()
        try:
            while not self._ended.wait(_LOOK_AGAIN):
                if time.monotonic() >= self._deadline:
                    raise Hung(self._seconds, place_of(thread))
        finally:
            self._abandoned = True
        thread.join()
        if self._error is not None:
            raise self._error

    def _do(self, work: Callable[[], None]) -> None:
        try:
            work()
        except _Abandoned:
            pass
        except BaseException as error:  # noqa: BLE001 -- it is raised in the thread that waits
            self._error = error
        finally:
            self._ended.set()


def place_of(thread: threading.Thread) -> str:
    """The line at which a thread stands."""
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is None:
        return "at an unknown line"
    innermost = traceback.extract_stack(frame)[-1]
    return f"at {innermost.filename}:{innermost.lineno} in {innermost.name}"
