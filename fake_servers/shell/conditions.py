"""The `test` command, also spelt `[`: conditions on strings, integers and files."""

from __future__ import annotations

import re
from collections.abc import Callable

from fake_servers.shell.commands import Command, UsageError
from fake_servers.shell.filesystem import File
from fake_servers.shell.process import Process

_INTEGER = re.compile(r"[ \t\n]*([-+]?[0-9]{1,19})[ \t\n]*")
_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "-eq": int.__eq__,
    "-ne": int.__ne__,
    "-lt": int.__lt__,
    "-le": int.__le__,
    "-gt": int.__gt__,
    "-ge": int.__ge__,
}
_STRING_COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "=": str.__eq__,
    "==": str.__eq__,
    "!=": str.__ne__,
    "<": str.__lt__,
    ">": str.__gt__,
}


def condition(process: Process, args: list[str]) -> int:
    """Succeed if the condition holds."""
    return _Condition(process, "test").status(args)


def bracket(process: Process, args: list[str]) -> int:
    """Succeed if the condition before the closing `]` holds."""
    if args[-1:] != ["]"]:
        raise UsageError(f"bash: line {process.line}: [: missing `]'", status=2)
    return _Condition(process, "[").status(args[:-1])


def _negations(args: list[str]) -> int:
    """How many leading `!` negate; the last argument, and one that is compared, are strings."""
    count = 0
    while count < len(args) - 1 and args[count] == "!" and args[count + 1 : count + 2] != ["="]:
        count += 1
    return count


class _Condition:
    """POSIX decides by the number of arguments what each of them means."""

    def __init__(self, process: Process, name: str) -> None:
        self._process = process
        self._name = name

    def status(self, args: list[str]) -> int:
        return 0 if self._holds(args) else 1

    def _holds(self, args: list[str]) -> bool:
        if len(args) == 3 and (args[1] in _COMPARISONS or args[1] in _STRING_COMPARISONS):
            return self._binary(*args)
        negations = _negations(args)
        if negations:
            return self._holds(args[negations:]) == (negations % 2 == 0)
        if len(args) >= 3 and (args[1] in ("-a", "-o") or args[0] == "(" or len(args) > 4):
            raise self._error("too many arguments; `-a', `-o' and `(' are not supported by this shell")
        if len(args) == 3:
            raise self._error(f"{args[1]}: binary operator expected")
        if len(args) > 3:
            raise self._error("too many arguments")
        return self._unary(*args) if len(args) == 2 else bool(args and args[0])

    def _unary(self, operator: str, operand: str) -> bool:
        if operator in ("-z", "-n"):
            return bool(operand) == (operator == "-n")
        if operator == "-t":
            return False
        tests: dict[str, Callable[[str], bool]] = {
            "-e": self._process.filesystem.exists,
            "-f": self._process.filesystem.is_file,
            "-d": self._process.filesystem.is_dir,
            "-s": self._has_content,
            "-r": self._process.filesystem.exists,
            "-w": self._process.filesystem.exists,
            "-x": self._process.filesystem.is_dir,
            "-L": lambda path: False,
            "-h": lambda path: False,
        }
        if operator not in tests:
            raise self._error(f"{operator}: unary operator expected")
        return tests[operator](self._process.path(operand))

    def _has_content(self, path: str) -> bool:
        node = self._process.filesystem.find(path)
        return node is not None and not (isinstance(node, File) and not node.data)

    def _binary(self, left: str, operator: str, right: str) -> bool:
        if operator in _STRING_COMPARISONS:
            return _STRING_COMPARISONS[operator](left, right)
        return _COMPARISONS[operator](self._integer(left), self._integer(right))

    def _integer(self, text: str) -> int:
        found = _INTEGER.fullmatch(text)
        if not found:
            raise self._error(f"{text}: integer expression expected")
        return int(found[1])

    def _error(self, message: str) -> UsageError:
        return UsageError(f"bash: line {self._process.line}: {self._name}: {message}", status=2)


TEST_COMMANDS: dict[str, Command] = {"test": condition, "[": bracket}
