"""The state of one running shell: variables, working directory, open streams, and what it may still spend."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from fake_servers.shell.escapes import decode, encode
from fake_servers.shell.filesystem import File, Filesystem, NullDevice, absolute
from fake_servers.shell.syntax import ShellError

OUTPUT_LIMIT = 16 * 1024 * 1024
INPUT_LIMIT = 1024 * 1024
WORK_LIMIT = 64 * 1024 * 1024
KILLED = 137  # the status of a process that the kernel's out-of-memory killer ended

Sleep: TypeAlias = Callable[[float], Awaitable[None]]


class ExitShell(Exception):
    """`exit` was called: ends this shell or subshell with a status."""

    def __init__(self, status: int) -> None:
        """Leave with a status of 0 to 255."""
        super().__init__(status)
        self.status = status


@dataclass(slots=True)
class Budget:
    """What one command line may still produce and examine, in bytes, over all its processes and pipes."""

    remaining: int = WORK_LIMIT

    def spend(self, amount: int) -> None:
        """Use some of it.

        Raises:
            ShellError: nothing is left; the command line is killed.
        """
        self.remaining -= amount
        if self.remaining < 0:
            raise ShellError("bash: Killed: the command produced or examined too much data", status=KILLED)


class Sink(Protocol):
    """Where output goes."""

    def write(self, data: bytes) -> None:
        """Take some bytes."""


class Source(Protocol):
    """Where input comes from."""

    async def read(self) -> bytes:
        """All that is left, once its writer has finished."""

    async def part(self) -> bytes:
        """What can be read next; nothing at the end."""


@dataclass(slots=True)
class Capture:
    """Keeps what is written, up to `limit` bytes, and drops the rest."""

    limit: int = OUTPUT_LIMIT
    data: bytearray = field(default_factory=bytearray)

    def write(self, data: bytes) -> None:
        """Keep what fits."""
        self.data += data[: self.limit - len(self.data)]


@dataclass(slots=True)
class Pipe:
    """Connects one command's output to the next one's input; bounded by the budget."""

    data: bytearray = field(default_factory=bytearray)
    _closed: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, data: bytes) -> None:
        """Keep the bytes for the reader."""
        self.data += data

    def close(self) -> None:
        """No more will be written."""
        self._closed.set()

    async def read(self) -> bytes:
        """All that was written, once the writer has closed."""
        await self._closed.wait()
        data = bytes(self.data)
        self.data.clear()
        return data

    async def part(self) -> bytes:
        """All at once: its writer runs to its end first."""
        return await self.read()


@dataclass(slots=True)
class Input:
    """Bytes that are there already; they are read once."""

    data: bytes = b""

    async def read(self) -> bytes:
        """Everything the first time, nothing after that."""
        data, self.data = self.data, b""
        return data

    async def part(self) -> bytes:
        """Everything at once."""
        return await self.read()


@dataclass(slots=True)
class Incoming:
    """Input that arrives while it is read: what a client sends to a command."""

    data: bytearray = field(default_factory=bytearray)
    closed: bool = False
    _waiting: asyncio.Future[None] | None = None
    _full: asyncio.Future[None] | None = None

    def write(self, data: bytes) -> None:
        """Let the reader have some bytes; behind the end they are dropped."""
        if not self.closed:
            self.data += data
            self._wake()

    def close(self) -> None:
        """No more will come."""
        self.closed = True
        self._wake()

    async def drain(self) -> None:
        """Wait while more than `INPUT_LIMIT` bytes wait to be read."""
        while len(self.data) > INPUT_LIMIT and not self.closed:
            self._full = asyncio.get_running_loop().create_future()
            await self._full

    def _wake(self) -> None:
        for future in (self._waiting, self._full):
            if future is not None and not future.done():
                future.set_result(None)

    async def part(self) -> bytes:
        """What has arrived, once there is something; nothing at the end."""
        while not (self.data or self.closed):
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        data = bytes(self.data)
        self.data.clear()
        self._wake()
        return data

    async def read(self) -> bytes:
        """Everything up to the end."""
        parts = bytearray()
        while data := await self.part():
            parts += data
        return bytes(parts)

    async def line(self) -> bytes:
        """The next line with its end; the last may have none, nor one of over `INPUT_LIMIT`; at the end, nothing."""
        kept = bytearray()
        while b"\n" not in kept and len(kept) <= INPUT_LIMIT and (data := await self.part()):
            kept += data
        line, newline, rest = kept.partition(b"\n")
        self.data[:0] = rest
        return bytes(line + newline)


@dataclass(frozen=True, slots=True)
class FileOutput:
    """Appends to an open file."""

    filesystem: Filesystem
    file: File | NullDevice

    def write(self, data: bytes) -> None:
        """Append; `OSError` when the filesystem is full."""
        self.filesystem.append(self.file, data)


@dataclass(slots=True)
class Variables:
    """Shell variables, and which of them commands see in their environment."""

    values: dict[str, str] = field(default_factory=dict)
    exported: set[str] = field(default_factory=set)

    def copy(self) -> Variables:
        """An independent copy, for a subshell."""
        return Variables(self.values.copy(), self.exported.copy())

    def export(self, name: str, value: str) -> None:
        """Set a variable and export it."""
        self.values[name] = value
        self.exported.add(name)

    def unset(self, name: str) -> None:
        """Forget a variable, if it is there."""
        self.values.pop(name, None)
        self.exported.discard(name)

    def environment(self) -> dict[str, str]:
        """The exported variables that have a value."""
        return {name: value for name, value in self.values.items() if name in self.exported}

    @contextmanager
    def overlaid(self, environment: dict[str, str]) -> Iterator[None]:
        """Export some variables for the duration of one command."""
        before = self.copy()
        for name, value in environment.items():
            self.export(name, value)
        try:
            yield
        finally:
            for name in environment:
                self.unset(name)
                if name in before.values:
                    self.values[name] = before.values[name]
                if name in before.exported:
                    self.exported.add(name)


@dataclass(slots=True)
class Process:
    """One shell execution environment; commands read and change it."""

    filesystem: Filesystem
    sleep: Sleep
    variables: Variables
    cwd: str
    outputs: dict[int, Sink]
    stdin: Source = field(default_factory=Input)
    budget: Budget = field(default_factory=Budget)
    pid: int = 1
    line: int = 1
    status: int = 0
    substituted: int = 0  # the status of the last `$(...)`, which is that of `x=$(...)`

    def fork(self, *, stdin: Source | None = None, stdout: Sink | None = None) -> Process:
        """A subshell: it shares the files and the budget, and keeps its changes of all else to itself."""
        outputs = self.outputs if stdout is None else {**self.outputs, 1: stdout}
        return replace(self, variables=self.variables.copy(), outputs=dict(outputs), stdin=stdin or self.stdin)

    def path(self, name: str) -> str:
        """The path of an operand from the root, its `..` and trailing slash left for the filesystem."""
        path = name if name.startswith("/") or not name else f"{self.cwd.rstrip('/')}/{name}"
        self.budget.spend(len(path))
        return path

    def directory(self, name: str) -> str:
        """The normalised path of a directory operand."""
        return absolute(name, self.cwd)

    def write(self, text: str) -> None:
        """Print to standard output."""
        self.write_bytes(encode(text))

    def write_bytes(self, data: bytes) -> None:
        """Print to standard output; `OSError` if that is a file and the disk is full."""
        self.budget.spend(len(data))
        self.outputs[1].write(data)

    def complain(self, message: str) -> None:
        """Print one line to standard error."""
        data = encode(message + "\n")
        self.budget.spend(len(data))
        try:
            self.outputs[2].write(data)
        except OSError:  # a full disk under `2>`: there is nowhere left to say so
            return

    async def read(self) -> str:
        """All of standard input."""
        return decode(await self.stdin.read())

    @contextmanager
    def streams_restored(self) -> Iterator[None]:
        """Undo all redirections made inside."""
        stdin, outputs = self.stdin, self.outputs.copy()
        try:
            yield
        finally:
            self.stdin, self.outputs = stdin, outputs
