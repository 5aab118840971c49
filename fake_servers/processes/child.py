"""One process of a server, as the process that started it sees it."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from typing import Any, Final

from fake_servers.errors import FakeServerError
from fake_servers.processes.channel import Channel, Ended

__all__ = ["Child", "Gone"]

_LONGEST_END: Final = 5.0
#: What the other side runs. The path is this process's own, so that what can be imported here can be there.
_PROGRAM: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from fake_servers.worker import main; main(int(sys.argv[1]))"
)


class Gone(Exception):
    """The server's process has ended by itself."""


class Child:
    """A process that serves, and the channel to it.

    Args:
        changed: called, in a thread of the channel's, when something was recorded or the process has ended.
        inherited: descriptors that it is given.
    """

    def __init__(self, changed: Callable[[], None], inherited: Sequence[int]) -> None:
        own, other = socket.socketpair()
        path = json.dumps([place for place in sys.path if isinstance(place, str)])
        try:
            with other:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _PROGRAM, str(other.fileno()), path],
                    stdin=subprocess.DEVNULL,
                    pass_fds=(other.fileno(), *inherited),
                )
        except OSError as error:
            own.close()
            raise FakeServerError(f"the server's process can't be started: {error}") from error
        self.pid = self._process.pid
        self._channel = Channel(own, changed)

    def request(self, name: str, *arguments: Any) -> Future[Any]:
        """Ask it for something; see `answer`."""
        return self._channel.request(name, *arguments)

    def answer(self, answer: Future[Any], within: float) -> Any:
        """What it answers.

        Raises:
            Gone: it has ended.
            FakeServerError: it does not answer in time.
        """
        try:
            return answer.result(within)
        except TooLate:
            raise FakeServerError(
                f"the server's process {self.pid} does not answer within {within:g} s; a handler blocks it"
            ) from None
        except Ended:
            raise Gone(f"the server's process {self.pid} {self._how_it_ended()}") from None

    def end(self) -> None:
        """End it, by force where it does not end by itself."""
        self._channel.close()
        try:
            self._process.wait(_LONGEST_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """End it by force."""
        self._process.kill()
        self.end()

    def _how_it_ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LONGEST_END)
        status = self._process.returncode
        if status is None:
            return "has closed its channel"
        if status < 0:
            return f"was ended by {signal.Signals(-status).name}"
        return f"has ended by itself, with exit status {status}; its standard error may say why"
