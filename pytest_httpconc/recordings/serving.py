"""A recording served again, by hand or to a command."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Literal

from fake_servers import Exchange, FakeServer, ScenarioError
from pytest_httpconc.durations import duration
from pytest_httpconc.recordings.forms import Recording, load
from pytest_httpconc.recordings.making import make

__all__ = ["Port", "run_command", "serve", "started"]

Port = int | Literal["same"]

_PAUSE: Final = 0.05


@contextmanager
def started(recording: Recording, *, port: Port = 0) -> Iterator[list[FakeServer]]:
    """The servers of a recording, running.

    Args:
        recording: the recording.
        port: that of the first server, the others take those that follow; ``"same"`` for those of the recording, and
            0 for any that are free.

    Raises:
        ScenarioError: the recording has no server, or something that this version does not know.
        FakeServerError: a port can't be had.
    """
    if not recording.servers:
        raise ScenarioError("the recording has no server to serve")
    ports = [recorded.port if port == "same" else port and port + n for n, recorded in enumerate(recording.servers)]
    servers = [make(recorded, port=chosen) for recorded, chosen in zip(recording.servers, ports, strict=True)]
    with ExitStack() as stack:
        yield [stack.enter_context(server) for server in servers]


def serve(path: Path, *, port: Port = 0, say: Callable[[str], None]) -> None:
    """Serve a recording until the user interrupts it, and say what comes."""
    recording = load(path)
    with started(recording, port=port) as servers:
        say(f"{recording.test}: {recording.failure}")
        for server, recorded in zip(servers, recording.servers, strict=True):
            say(f"{recorded.kind} at {server.url} (recorded at {recorded.url})")
            for note in recorded.notes:
                say(f"  note: {note}")
        say("Ctrl-C ends it")
        told = _Teller(servers, say)
        try:
            while True:
                time.sleep(_PAUSE)
                told.tell()
        except KeyboardInterrupt:
            told.tell()


class _Teller:
    """Says of each exchange what became of it, once, when it is over."""

    def __init__(self, servers: Sequence[FakeServer], say: Callable[[str], None]) -> None:
        self._servers = servers
        self._say = say
        self._told: set[tuple[int, int]] = set()

    def tell(self) -> None:
        """Say what has come since."""
        for place, server in enumerate(self._servers):
            for exchange in server.ledger.exchanges:
                key = (place, exchange.number)
                if exchange.ended_at is not None and key not in self._told:
                    self._told.add(key)
                    self._say(_in_words(exchange, server.url if len(self._servers) > 1 else ""))


def _in_words(exchange: Exchange, url: str) -> str:
    words = [f"{exchange.number} on connection {exchange.connection}: {exchange.method} {url}{exchange.target}"]
    words.append(f"{exchange.status} {exchange.outcome}" if exchange.status else str(exchange.outcome))
    if exchange.fault is not None:
        words.append(str(exchange.fault))
    if exchange.latency:
        words.append(f"latency {duration(exchange.latency)}")
    return ", ".join(words)


def run_command(path: Path, command: Sequence[str], *, port: Port = 0) -> int:
    """Run a command against a recording, and return its exit status.

    The command finds the file in ``HTTPCONC_REPLAY``, by which the plugin has the servers of its tests meet what was
    recorded, and in ``HTTPCONC_URL`` where the first server is served meanwhile.

    Raises:
        ScenarioError: the recording can't be served, or the command can't be run.
    """
    with started(load(path), port=port) as servers:
        environment = os.environ | {"HTTPCONC_REPLAY": str(path.resolve()), "HTTPCONC_URL": servers[0].url}
        try:
            status = subprocess.run(command, env=environment, check=False).returncode
        except OSError as error:
            raise ScenarioError(f"{command[0]} can't be run: {error.strerror}") from None
    return status if status >= 0 else 128 - status
