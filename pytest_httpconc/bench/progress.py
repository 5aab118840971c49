"""Lines of progress now and then, also while one round takes its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final

__all__ = ["PAUSE", "Ticker"]

#: Seconds between two lines.
PAUSE: Final = 10.0


class Ticker:
    """Says how far a benchmark is, every so many seconds until the block is left; first after as many.

    Args:
        say: is given a line, in a thread of the ticker's own.
        pause: seconds between two lines.
    """

    def __init__(self, say: Callable[[str], None], pause: float = PAUSE) -> None:
        self._say = say
        self._pause = pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="benchmark progress", daemon=True)
        self._state: tuple[int, int, float] | None = None

    def tell(self, done: int, most: int) -> None:
        """A round begins, after so many of at most so many."""
        self._state = (done, most, time.monotonic())

    def __enter__(self) -> Ticker:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._pause):
            state = self._state
            if state is not None:
                done, most, begun_at = state
                self._say(f"{done} rounds of at most {most}, the next for {time.monotonic() - begun_at:.0f} s")
