"""Servers served until the user has enough, and told of meanwhile."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final

from fake_servers import FakeServer, FakeServerError
from fake_servers.following import Follower
from pytest_httpconc.live.judging import Summary
from pytest_httpconc.live.logs import Log

__all__ = ["show_until_ended"]

_PAUSE: Final = 0.05  # seconds between two looks
_ENDS: Final = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def show_until_ended(servers: Sequence[FakeServer], log: Log, *, header: Sequence[str]) -> None:
    """Tell of running servers until Ctrl-C or another signal tells the process to end; for its main thread alone.

    Args:
        servers: what is shown.
        log: where it is told.
        header: lines that say how to use them.

    Raises:
        FakeServerError: a server's process has ended by itself.
    """
    told = [_Told(server) for server in servers]
    with _told_to_end() as is_told, log:
        log.begin(servers, header)
        while not is_told():
            time.sleep(_PAUSE)
            _tell(told, log)
            log.show_state(servers)
        _tell(told, log)
        log.end([Summary.of(server) for server in servers])


class _Told:
    """What has been told of a server."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server
        self._follower = Follower(server.ledger)
        self._errors: tuple[FakeServerError, ...] = ()

    def tell(self, log: Log) -> None:
        """Tell what is new."""
        over = [exchange for exchange in self._follower.look().exchanges if exchange.ended_at is not None]
        if over:
            log.tell(self._server, over)
        known, self._errors = self._errors, self._server.errors
        has_begun_anew = self._errors[: len(known)] != known
        for error in self._errors[0 if has_begun_anew else len(known) :]:
            log.tell_error(self._server, error)


def _tell(told: Sequence[_Told], log: Log) -> None:
    for each in told:
        each.tell(log)


@contextmanager
def _told_to_end() -> Iterator[Callable[[], bool]]:
    """Have signals that are not ignored, as by nohup, say that it is to end; a second one ends the process at once."""
    told: list[int] = []
    before = {number: signal.getsignal(number) for number in _ENDS}
    before = {number: handler for number, handler in before.items() if handler not in {None, signal.SIG_IGN}}

    def give_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        told.append(number)
        give_back()

    for number in before:
        signal.signal(number, note)
    try:
        yield lambda: bool(told)
    finally:
        give_back()
