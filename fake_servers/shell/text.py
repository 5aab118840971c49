"""Commands that read text: cat, wc, head, tail."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fake_servers.shell.commands import Command, Syntax, UsageError, about
from fake_servers.shell.filesystem import Directory, File
from fake_servers.shell.process import Process

_CAT = Syntax("cat", "n", long={"--number": "n"})
_WC = Syntax("wc", "lwcm", long={"--lines": "l", "--words": "w", "--bytes": "c", "--chars": "m"})
_ENDS = {"head": Syntax("head", "q", "nc"), "tail": Syntax("tail", "qfF", "nc")}
_COUNT = re.compile(r"([-+]?)([0-9]{1,18})")


async def _content(process: Process, name: str) -> bytes:
    """What an operand names; `-` is standard input."""
    data = await process.stdin.read() if name == "-" else process.filesystem.read_bytes(process.path(name))
    process.budget.spend(len(data))
    return data


async def cat(process: Process, args: list[str]) -> int:
    """Print files one after the other."""
    options, names = _CAT.parse(args)
    status, number = 0, 0
    for name in names or ["-"]:
        if name == "-" and "n" not in options:
            await _pass_on(process)
            continue
        try:
            data = await _content(process, name)
        except OSError as error:
            process.complain(about("cat", name, error))
            status = 1
            continue
        lines = data.splitlines(keepends=True) if "n" in options else []
        numbered = b"".join(b"%6d\t%s" % (number + index, line) for index, line in enumerate(lines, 1))
        process.write_bytes(numbered if "n" in options else data)
        number += len(lines)
    return status


async def _pass_on(process: Process) -> None:
    """Print standard input as it comes."""
    while data := await process.stdin.part():
        process.write_bytes(data)


async def wc(process: Process, args: list[str]) -> int:
    """Count lines, words, characters and bytes, in this order."""
    options, names = _WC.parse(args)
    columns = [letter for letter in "lwmc" if letter in (options or "lwc")]
    rows: list[tuple[list[int], str]] = []
    status = 0
    width = _wc_width(process, names, columns)
    for name in names or ["-"]:
        try:
            counts = _counts(await _content(process, name))
        except OSError as error:
            process.complain(about("wc", name, error))
            status = 1
            counts = dict.fromkeys("lwmc", 0)
            if not isinstance(error, IsADirectoryError):
                continue
        rows.append(([counts[letter] for letter in columns], f" {name}" if names else ""))
    if len(names) > 1:
        rows.append(([sum(row[index] for row, _ in rows) for index in range(len(columns))], " total"))
    lines = (" ".join(str(count).rjust(width) for count in row) + f"{name}\n" for row, name in rows)
    process.write("".join(lines))
    return status


def _wc_width(process: Process, names: Sequence[str], columns: Sequence[str]) -> int:
    """The width of each column: that of the sum of all sizes, as GNU wc computes it in advance."""
    if len(names) < 2 and len(columns) == 1:
        return 1
    nodes = [process.filesystem.find(process.path(name)) for name in names if name != "-"]
    total = sum(len(node.data) for node in nodes if isinstance(node, File))
    irregular = "-" in names or not names or any(isinstance(node, Directory) for node in nodes)
    return max(len(str(total)), 7 if irregular else 1)


def _counts(data: bytes) -> dict[str, int]:
    characters = len(data.decode("utf-8", "ignore"))
    return {"l": data.count(b"\n"), "w": len(data.split()), "m": characters, "c": len(data)}


@dataclass(frozen=True, slots=True)
class _Amount:
    """How much of a text `head` or `tail` keeps: lines or bytes, from one end or up to the other."""

    count: int
    sign: str
    in_bytes: bool

    def keep(self, data: bytes, choose: Callable[[int], slice]) -> bytes:
        """The bytes or lines that `choose` picks, given how many there are."""
        if self.in_bytes:
            return data[choose(len(data))]
        lines = re.findall(rb"[^\n]*\n|[^\n]+", data)
        return b"".join(lines[choose(len(lines))])


def _amount(name: str, options: dict[str, str]) -> _Amount:
    in_bytes = "c" in options
    text = options.get("c" if in_bytes else "n", "10")
    found = _COUNT.fullmatch(text)
    if not found:
        unit = "bytes" if in_bytes else "lines"
        raise UsageError(f"{name}: invalid number of {unit}: ‘{text.lstrip('-+')}’")  # noqa: RUF001
    return _Amount(int(found[2]), found[1], in_bytes)


def _head(data: bytes, amount: _Amount) -> bytes:
    def choose(size: int) -> slice:
        return slice(max(0, size - amount.count) if amount.sign == "-" else amount.count)

    return amount.keep(data, choose)


def _tail(data: bytes, amount: _Amount) -> bytes:
    def choose(size: int) -> slice:
        return slice(max(0, amount.count - 1 if amount.sign == "+" else size - amount.count), size)

    return amount.keep(data, choose)


def _end_command(command: str, select: Callable[[bytes, _Amount], bytes]) -> Command:
    async def run(process: Process, args: list[str]) -> int:
        options, names = _ENDS[command].parse(_modern(args))
        amount = _amount(command, options)
        titles = len(names) > 1 and "q" not in options
        status, separator = 0, ""
        for name in names or ["-"]:
            try:
                data = await _content(process, name)
            except IsADirectoryError as error:
                process.complain(f"{command}: error reading '{name}': {error.strerror}")
                status = 1
                continue
            except OSError as error:
                process.complain(f"{command}: cannot open '{name}' for reading: {error.strerror}")
                status = 1
                continue
            if titles:
                process.write(f"{separator}==> {'standard input' if name == '-' else name} <==\n")
                separator = "\n"
            process.write_bytes(select(data, amount))
        if options.keys() & {"f", "F"}:
            await process.sleep(math.inf)  # what is appended from now on is not followed
        return status

    return run


def _modern(args: list[str]) -> list[str]:
    """The old spelling `head -5` as `head -n 5`."""
    found = re.fullmatch(r"([-+])([0-9]+)", args[0]) if args else None
    if not found:
        return args
    return ["-n", found[2] if found[1] == "-" else "+" + found[2], *args[1:]]


TEXT_COMMANDS: dict[str, Command] = {
    "cat": cat,
    "head": _end_command("head", _head),
    "tail": _end_command("tail", _tail),
    "wc": wc,
}
