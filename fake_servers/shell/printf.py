"""The printing commands: echo and printf."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fake_servers.shell.commands import Command, UsageError
from fake_servers.shell.escapes import unescape
from fake_servers.shell.process import Process

_MAX_WIDTH = 4096  # characters; a format is a few bytes, and what it asks for need not be
_DIRECTIVE = re.compile(r"%(?:%|([-+ 0#]*)([0-9]*)((?:\.[0-9]*)?)[hlLjzt]*(.?))", re.DOTALL)
_INTEGER = re.compile(r"\s*([-+]?)(0[xX][0-9a-fA-F]{1,16}|0[0-7]{0,22}|[1-9][0-9]{0,19})")
_USAGE = "printf: usage: printf [-v var] format [arguments]"
_FLAG = re.compile(r"-[neE]+")


def echo(process: Process, args: list[str]) -> int:
    """Print the arguments; `-n` without a newline, `-e` with escapes replaced."""
    flags = ""
    while args and _FLAG.fullmatch(args[0]):
        flags += args.pop(0)
    text, end = " ".join(args), "" if "n" in flags else "\n"
    if flags.rfind("e") > flags.rfind("E"):
        text, stopped = unescape(text)
        end = "" if stopped else end
    process.write(text + end)
    return 0


def printf(process: Process, args: list[str]) -> int:
    """Print by a format, which is used again while arguments are left."""
    if args[:1] == ["--"]:
        args = args[1:]
    if not args:
        raise UsageError(_USAGE, status=2)
    if args[0].startswith("-") and len(args[0]) > 1:
        raise UsageError(f"bash: line {process.line}: printf: {args[0]}: invalid option\n{_USAGE}", status=2)
    return _Printf(process, args[1:]).run(args[0])


class _Stopped(Exception):
    """`\\c` in a `%b` argument, or a broken format: print no more."""


class _Printf:
    def __init__(self, process: Process, args: list[str]) -> None:
        self._process = process
        self._args = args
        self._next = 0
        self._status = 0

    def run(self, template: str) -> int:
        try:
            for piece in self._rounds(template):
                self._process.write(piece)
        except _Stopped as stopped:
            self._process.write("".join(stopped.args))
        return self._status

    def _rounds(self, template: str) -> Iterator[str]:
        while True:
            before = self._next
            yield from self._round(template)
            if self._next >= len(self._args) or self._next == before:
                return

    def _round(self, template: str) -> Iterator[str]:
        position = 0
        for found in _DIRECTIVE.finditer(template):
            yield unescape(template[position : found.start()], quotes=True)[0]
            yield "%" if found[0] == "%%" else self._directive(found)
            position = found.end()
        yield unescape(template[position:], quotes=True)[0]

    def _directive(self, found: re.Match[str]) -> str:
        flags, width, precision, conversion = found.groups(default="")
        if not conversion or conversion not in "sbcdiouxXeEfFgG":
            fault = f"`{conversion}': invalid" if conversion else f"`{found[0]}': missing"
            raise self._broken(f"{fault} format character")
        if max(int(width[:9] or 0), int(precision[1:10] or 0)) > _MAX_WIDTH:
            raise self._broken(f"{found[0]}: more than {_MAX_WIDTH} characters: not supported by this shell")
        return self._formatted(f"%{flags.replace('#', '')}{width}{precision}", conversion)

    def _formatted(self, spec: str, conversion: str) -> str:
        argument = self._argument()
        if conversion in "di":
            return (spec + "d") % self._integer(argument)
        if conversion in "ouxX":
            return (spec + conversion.replace("u", "d")) % (self._integer(argument) % 2**64)
        if conversion in "eEfFgG":
            return (spec + conversion) % self._number(argument)
        if conversion == "c":
            return (spec + "s") % argument[:1]
        if conversion == "b":
            return self._escaped(spec, argument)
        return (spec + "s") % argument

    def _escaped(self, spec: str, argument: str) -> str:
        text, stopped = unescape(argument)
        shown = (spec + "s") % text
        if stopped:
            raise _Stopped(shown)
        return shown

    def _argument(self) -> str:
        self._next += 1
        return self._args[self._next - 1] if self._next <= len(self._args) else ""

    def _broken(self, message: str) -> _Stopped:
        self._complain(message)
        return _Stopped()

    def _complain(self, message: str) -> None:
        self._process.complain(f"bash: line {self._process.line}: printf: {message}")
        self._status = 1

    def _integer(self, argument: str) -> int:
        if argument[:1] in ("'", '"'):
            return ord(argument[1:2] or "\0")
        found = _INTEGER.match(argument)
        if (not found and argument) or (found and found.end() < len(argument)):
            self._complain(f"{argument}: invalid number")
        value = _parsed(found[2]) * (-1 if found[1] == "-" else 1) if found else 0
        return max(-(2**63), min(value, 2**63 - 1))

    def _number(self, argument: str) -> float:
        try:
            return float(argument or 0)
        except ValueError:
            self._complain(f"{argument}: invalid number")
            return 0.0


def _parsed(digits: str) -> int:
    if digits[:2] in ("0x", "0X"):
        return int(digits, 16)
    return int(digits, 8 if digits[0] == "0" else 10)


PRINTING_COMMANDS: dict[str, Command] = {"echo": echo, "printf": printf}
