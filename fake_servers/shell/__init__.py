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

from fake_servers.shell.escapes import encode, well_formed
from fake_servers.shell.filesystem import Filesystem, absolute
from fake_servers.shell.interpreter import CANNOT_EXECUTE, run_list
from fake_servers.shell.parser import parse
from fake_servers.shell.process import Capture, ExitShell, Process, Sleep, Variables
from fake_servers.shell.syntax import ShellError

__all__ = ["Completed", "Filesystem", "Shell"]

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
        self._sleep = sleep
        self._pids = itertools.count(7)
        self.filesystem.makedirs(self._cwd)

    async def run(self, command: str, *, cwd: str = "", env: Mapping[str, str] | None = None) -> Completed:
        """Run a command as a fresh `bash -c` would.

        Args:
            command: the text of the command.
            cwd: where it starts, relative to the container's own directory; that one if empty.
            env: more environment variables.

        A cancelled command stops where it sleeps and leaves the files as they then are. Nothing that
        `command` says makes this raise.
        """
        command = well_formed(command)
        directory = absolute(well_formed(cwd), self._cwd)
        obstacle = self._obstacle(command, directory)
        if obstacle:
            return Completed(_CONTAINER_ERROR.format(obstacle), CANNOT_EXECUTE)
        terminal = Capture()
        process = self._process(directory, {**self._env, **(env or {})}, terminal)
        status = await _run_text(process, command, terminal)
        return Completed(terminal.data.decode("utf-8", "replace"), status)

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

    def _process(self, cwd: str, env: Mapping[str, str], terminal: Capture) -> Process:
        values = {name: well_formed(value) for name, value in {**env, "PWD": cwd}.items()}
        return Process(
            filesystem=self.filesystem,
            sleep=self._sleep,
            variables=Variables(values, set(values)),
            cwd=cwd,
            outputs={1: terminal, 2: terminal},
            pid=next(self._pids),
        )


async def _run_text(process: Process, text: str, terminal: Capture) -> int:
    try:
        for commands in parse(text):
            await run_list(process, commands)
    except ExitShell as leaving:
        return leaving.status
    except ShellError as error:
        terminal.write(f"{error}\n".encode())
        return error.status
    return process.status
