"""A test run under ``HTTPCONC_REPLAY``: its servers meet what was recorded."""

from __future__ import annotations

from collections import defaultdict, deque
from pathlib import Path

from fake_servers import FakeServer, started
from pytest_httpconc.recordings.forms import Recording, load
from pytest_httpconc.recordings.making import decisions_of
from pytest_httpconc.recordings.writing import kind_of

__all__ = ["TakeOver"]


class TakeOver:
    """Gives each server that starts in a test the decisions of the recorded one of its kind, in order of start."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._recording: Recording = load(path)
        self._waiting: defaultdict[str, deque[int]] = defaultdict(deque)
        self.begin_test()

    def install(self) -> None:
        """See every server that starts from now on."""
        started.observers.append(self.meet)

    def uninstall(self) -> None:
        """See no further server."""
        started.observers.remove(self.meet)

    def begin_test(self) -> None:
        """Begin with the first recorded server again."""
        self._waiting.clear()
        for number, recorded in enumerate(self._recording.servers):
            self._waiting[recorded.kind].append(number)

    def meet(self, starting: FakeServer) -> None:
        """A server starts; what it was given beyond the recorded ones stays its own."""
        waiting = self._waiting[kind_of(starting).__name__]
        if waiting:
            starting.follow(decisions_of(self._recording.servers[waiting.popleft()]))
