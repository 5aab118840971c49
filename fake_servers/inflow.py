"""Reading from a client that sends more than is wanted now: paused, and its leaving noticed all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from fake_servers.sockets import has_left

__all__ = ["Inflow"]

_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 5.0


class Inflow:
    """Pauses and resumes a transport's reading; ``left`` is called if the client leaves while it is paused.

    A transport that does not read sees no FIN. So the socket's state is looked at from time to time; a FIN that waits
    behind bytes for which there is no room has not arrived, and is no business of the server's yet.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, left: Callable[[], None]) -> None:
        self._transport = transport
        self._loop = loop
        self._left = left
        self._watching = False
        self.is_paused = False

    def pause(self) -> None:
        """Read nothing more for now."""
        if not self.is_paused:
            self.is_paused = True
            self._transport.pause_reading()
            if not self._watching:
                self._watching = True
                self._look(_FIRST_PAUSE)

    def resume(self) -> None:
        """Read on, if it was paused here."""
        if self.is_paused:
            self.release()

    def release(self) -> None:
        """Read on, whoever has paused it."""
        self.is_paused = False
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _look(self, pause: float) -> None:
        if self._transport.is_closing() or self._transport.is_reading():
            self._watching = False
        elif has_left(self._transport):
            self._watching = False
            self._left()
        else:
            self._loop.call_later(pause, self._look, min(2 * pause, _LONGEST_PAUSE))
