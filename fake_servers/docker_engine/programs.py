"""Commands that run in a container: from an argument vector to a process with output, input and a status."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from fake_servers.docker_engine.frames import STDERR, STDOUT
from fake_servers.docker_engine.journal import Bell, Journal, Output
from fake_servers.shell import Completed, Incoming, Shell

__all__ = ["KILLED", "CommandLine", "Program", "Script", "Work", "command_line"]

KILLED: Final = 137  # 128 and the number of SIGKILL
_SHELLS: Final = frozenset({"ash", "bash", "dash", "sh"})
_PROMPT: Final = "# "
_END_OF_INPUT: Final = b"\x04"  # what Ctrl-D sends


@dataclass(frozen=True, slots=True)
class Script:
    """What a scripted command does instead of running in the shell."""

    command: str | re.Pattern[str]
    completed: Completed
    duration: float

    def means(self, command: str) -> bool:
        """Whether it is about this command."""
        if isinstance(self.command, str):
            return self.command == command
        return self.command.search(command) is not None


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What an argument vector means: a text for the shell, or, without one, a shell that reads its input.

    ``program`` must exist in the container; it is empty where that is a shell.
    """

    text: str
    reads_input: bool = False
    program: str = ""


def command_line(argv: Sequence[str]) -> CommandLine:
    """Take ``sh -c TEXT`` out of its wrapping, and quote every other command."""
    if argv[0].rpartition("/")[2] not in _SHELLS:
        return CommandLine(shlex.join(argv), program=argv[0])
    position = 1
    while position < len(argv) and argv[position].startswith("-"):
        option = argv[position]
        if not option.startswith("--") and "c" in option:
            rest = argv[position + 1 :]
            return CommandLine(rest[0] if rest else "")
        position += 2 if option in {"-o", "-O"} else 1
    rest = argv[position:]
    return CommandLine(shlex.join(argv)) if rest else CommandLine(argv[0], reads_input=True)


class Work(Protocol):
    """Starts something that goes on beside the exchanges."""

    def __call__(self, coroutine: Coroutine[object, object, int], /) -> asyncio.Task[int]: ...


class Program:
    """A command in a container; it begins once, and ends with a status or is killed."""

    def __init__(self, argv: Sequence[str], journal: Journal, *, env: Mapping[str, str], cwd: str, tty: bool) -> None:
        self.argv = tuple(argv)
        self.line = command_line(argv)
        self.journal = journal
        self.stdin = Incoming()
        self.status: int | None = None
        self.error: Exception | None = None
        self.ended = Bell()
        self._env = dict(env)
        self._cwd = cwd
        self._tty = tty
        self._task: asyncio.Task[int] | None = None
        self._killed = KILLED

    @property
    def is_running(self) -> bool:
        """Whether it has begun and not ended."""
        return self._task is not None and self.status is None

    def begin(self, shell: Shell, script: Script | None, work: Work, then: Callable[[Program], None]) -> None:
        """Run it in a container's shell, or as its script says; call ``then`` when it has ended."""
        self._task = work(self._perform(shell, script))
        self._task.add_done_callback(lambda task: self._end(task, then))

    def type(self, data: bytes) -> None:
        """Let it have input; a terminal shows it, and takes Ctrl-D for the end."""
        if not self._tty:
            self.stdin.write(data)
            return
        text, end, _ = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").partition(_END_OF_INPUT)
        if not self.stdin.closed:
            self.journal.add(STDOUT, text)
        self.stdin.write(text)
        if end:
            self.stdin.close()

    def kill(self, status: int = KILLED) -> None:
        """End it with a status, wherever it is."""
        if self._task is not None and self.status is None:
            self._killed = status
            self._task.cancel()

    async def wait(self) -> int:
        """Wait for its end, and return its status."""
        while self.status is None:
            await self.ended.wait()
        return self.status

    async def _perform(self, shell: Shell, script: Script | None) -> int:
        stdout, stderr = Output(self.journal, STDOUT), Output(self.journal, STDERR)
        if script is not None:
            await shell.sleep(script.duration)
            stdout.write(script.completed.output.encode())
            return script.completed.returncode
        options: dict[str, Any] = {"stdout": stdout, "stderr": stderr, "cwd": self._cwd, "env": self._env}
        if self.line.reads_input:
            return await shell.interact(stdin=self.stdin, prompt=_PROMPT if self._tty else "", **options)
        return await shell.stream(self.line.text, stdin=self.stdin, **options)

    def _end(self, task: asyncio.Task[int], then: Callable[[Program], None]) -> None:
        if task.cancelled():
            self.status = self._killed
        else:
            error = task.exception()
            self.error = error if isinstance(error, Exception) else None
            self.status = 255 if error is not None else task.result()
        self.stdin.close()
        then(self)
        self.ended.ring()
        self.journal.bell.ring()
