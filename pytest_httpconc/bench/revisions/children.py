"""Processes that end with what started them, whenever and however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final, TextIO

__all__ = ["child", "held_signals"]

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: What would have both revisions import the same files, or pytest do something else.
_STRAY: Final = frozenset({"PYTHONPATH", "PYTHONHOME", "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "VIRTUAL_ENV"})


@contextmanager
def held_signals() -> Iterator[None]:
    """Have what would end this process wait until the block is over: in it, something begins or ends as a whole.

    To be used in the main thread.
    """
    held: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        held.append(number)

    before = {number: signal.signal(number, hold) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if held:
        signal.raise_signal(held[0])


@contextmanager
def child(
    command: Sequence[str], *, folder: Path, says: TextIO, pass_fds: Sequence[int] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is gone at the end with all that it has started, as a group of their own.

    Args:
        command: what it runs.
        folder: it runs in.
        says: takes its output.
        pass_fds: what it may use besides.
    """
    process = None
    try:
        with held_signals():
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=_own_environ(),
                stdin=subprocess.DEVNULL,
                stdout=says,
                stderr=says,
                pass_fds=pass_fds,
                start_new_session=True,  # a Ctrl-C is this process's to act on
            )
        yield process
    finally:
        if process is not None:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):  # there is nobody left; macOS says so by the latter
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _own_environ() -> dict[str, str]:
    """The environment variables of the user, without those that lead to other packages or options."""
    return {name: value for name, value in os.environ.items() if name not in _STRAY}
