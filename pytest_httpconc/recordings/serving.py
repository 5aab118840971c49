"""A recording served again, by hand or to a command."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from fake_servers import FakeServer, ScenarioError
from pytest_httpconc.recordings.forms import Recording, load
from pytest_httpconc.recordings.making import make

__all__ = ["Port", "run_command", "started"]

Port = int | Literal["same"]


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
