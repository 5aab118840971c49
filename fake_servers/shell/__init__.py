"""A POSIX-like shell that lives in memory: what `docker exec CONTAINER bash -c COMMAND` would do, safely.

It knows the commands and the syntax that agents use in a container, prints the messages and returns the
statuses of bash and coreutils, and never touches the machine's own files, environment or processes. What
it does not know it refuses by name.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fake_servers.shell.builtins import utility
from fake_servers.shell.escapes import encode, well_formed
from fake_servers.shell.filesystem import Filesystem, absolute
from fake_servers.shell.interpreter import CANNOT_EXECUTE, run_list
from fake_servers.shell.parser import parse
from fake_servers.shell.process import (
    Budget,
    Capture,
    ExitShell,
    Incoming,
    Input,
    Process,
    Sink,
    Sleep,
    Source,
    Variables,
)
from fake_servers.shell.syntax import ShellError

__all__ = ["Completed", "Filesystem", "Incoming", "Shell", "Sink", "Source"]

MAX_COMMAND = 128 * 1024 - 1  # bytes; Linux takes no longer argument (MAX_ARG_STRLEN), so neither does `bash -c`
_CONTAINER_ERROR = "OCI runtime exec failed: exec failed: unable to start container process: {}: unknown\n"
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
}


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command printed, stdout and stderr interleaved as on a terminal, and its status (0 to 255)."""

    output: str
    returncode: int


class Shell:
    """The shell of one container.

    The files are shared by all commands and survive between them; working directory and variables do not.
    Commands may run at the same time: they interleave where they sleep.
    """

    def __init__(self, *, cwd: str = "/", env: Mapping[str, str] | None = None, sleep: Sleep = asyncio.sleep) -> None:
        """Make a container with standard directories and no files.

        Args:
            cwd: where commands start; created if missing.
            env: environment variables of every command, besides PATH and HOME.
            sleep: awaited with seconds by the `sleep` command.

        Raises:
            OSError: `cwd` cannot be a directory (a part of it is a device, or its name is too long).
        """
        self.filesystem = Filesystem()
        self._cwd = absolute(cwd)
        self._env = {**_ENVIRONMENT, **(env or {})}
        self.sleep = sleep
        self._pids = itertools.count(7)
        self.filesystem.makedirs(self._cwd)

    def __getstate__(self) -> dict[str, Any]:
        return {"filesystem": self.filesystem, "_cwd": self._cwd, "_env": self._env}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy has its files, and takes its time on the clock of where it is."""
        self.__dict__.update(state, sleep=asyncio.sleep, _pids=itertools.count(7))

    async def run(self, command: str, *, cwd: str = "", env: Mapping[str, str] | None = None) -> Completed:
        """Run a command as a fresh `bash -c` would.

        Args:
            command: the text of the command.
            cwd: where it starts, relative to the container's own directory; that one if empty.
            env: more environment variables.

        A cancelled command stops where it sleeps and leaves the files as they then are. Nothing that
        `command` says makes this raise.
        """
        terminal = Capture()
        status = await self.stream(command, stdout=terminal, stderr=terminal, cwd=cwd, env=env)
        return Completed(terminal.data.decode("utf-8", "replace"), status)

    async def stream(
        self,
        command: str,
        *,
        stdout: Sink,
        stderr: Sink,
        stdin: Source | None = None,
        cwd: str = "",
        env: Mapping[str, str] | None = None,
    ) -> int:
        """Run a command as `run` does, with its output going where it is sent as it is produced; return its status.

        Args:
            command: the text of the command.
            stdout: takes what it prints.
            stderr: takes what it complains.
            stdin: what it reads; nothing when omitted.
            cwd: as for `run`.
            env: as for `run`.
        """
        command = well_formed(command)
        directory = absolute(well_formed(cwd), self._cwd)
        obstacle = self._obstacle(command, directory)
        if obstacle:
            stderr.write(encode(_CONTAINER_ERROR.format(obstacle)))
            return CANNOT_EXECUTE
        process = self._process(directory, env, stdout, stderr, stdin)
        return await _run_text(process, command, stderr)

    async def interact(
        self,
        *,
        stdout: Sink,
        stderr: Sink,
        stdin: Incoming,
        prompt: str = "",
        cwd: str = "",
        env: Mapping[str, str] | None = None,
    ) -> int:
        """Run what arrives on standard input line by line, as `bash` without a command does; return the last status.

        Variables and working directory last from line to line; the commands themselves read nothing.

        Args:
            stdout: takes what the commands print.
            stderr: takes what they complain, and the prompt.
            stdin: the lines.
            prompt: printed before each line, as on a terminal.
            cwd: as for `run`.
            env: as for `run`.
        """
        directory = absolute(well_formed(cwd), self._cwd)
        obstacle = self._obstacle("", directory)
        if obstacle:
            stderr.write(encode(_CONTAINER_ERROR.format(obstacle)))
            return CANNOT_EXECUTE
        process = self._process(directory, env, stdout, stderr, None)
        stderr.write(prompt.encode())
        while line := await stdin.line():
            try:
                process.status = await _run_line(process, well_formed(line.decode("utf-8", "replace")), stderr)
            except ExitShell as leaving:
                return leaving.status
            process.budget = Budget()
            stderr.write(prompt.encode())
        return process.status

    def obstacle_to(self, name: str) -> str:
        """Why `name` can't be run as a program in this container, as its runtime says it; nothing if it can be."""
        if utility(name) or name.rpartition("/")[2] in {"bash", "sh"}:
            return ""
        if "/" not in name:
            return f'exec: "{name}": executable file not found in $PATH'
        node = self.filesystem.find(name)
        reason = "no such file or directory" if node is None else "permission denied"
        return f'exec: "{name}": {"stat " + name if node is None else name}: {reason}'

    def _obstacle(self, command: str, directory: str) -> str:
        """Why the container cannot even start a shell for this command, if so."""
        if "\0" in command or "\0" in directory:
            return "exec /usr/bin/bash: invalid argument"
        if len(encode(command)) > MAX_COMMAND:
            return "exec /usr/bin/bash: argument list too long"
        if self.filesystem.is_dir(directory):
            return ""
        reason = "not a directory" if self.filesystem.exists(directory) else "no such file or directory"
        return f'chdir to cwd ("{directory}") set in config.json failed: {reason}'

    def _process(
        self, cwd: str, env: Mapping[str, str] | None, stdout: Sink, stderr: Sink, stdin: Source | None
    ) -> Process:
        values = {name: well_formed(value) for name, value in {**self._env, **(env or {}), "PWD": cwd}.items()}
        return Process(
            filesystem=self.filesystem,
            sleep=self.sleep,
            variables=Variables(values, set(values)),
            cwd=cwd,
            outputs={1: stdout, 2: stderr},
            stdin=stdin or Input(),
            pid=next(self._pids),
        )


async def _run_text(process: Process, text: str, stderr: Sink) -> int:
    try:
        return await _run_line(process, text, stderr)
    except ExitShell as leaving:
        return leaving.status


async def _run_line(process: Process, text: str, stderr: Sink) -> int:
    try:
        for commands in parse(text):
            await run_list(process, commands)
    except ShellError as error:
        stderr.write(f"{error}\n".encode())
        return error.status
    return process.status
