"""What every command of the shell is made of: its type, its options, and how its failures are reported."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from fake_servers.shell.escapes import quoted, quoted_if_needed
from fake_servers.shell.process import Process

Command: TypeAlias = Callable[[Process, list[str]], int | Awaitable[int]]


class UsageError(Exception):
    """A command was called wrongly; the message is what follows its name, in one or more lines."""

    def __init__(self, message: str, *, status: int = 1) -> None:
        """Say what was wrong, and which status the command ends with."""
        super().__init__(message)
        self.status = status


def usage_error(name: str, message: str, *, status: int = 1) -> UsageError:
    """A wrong call, in the words of coreutils."""
    return UsageError(f"{name}: {message}\nTry '{name} --help' for more information.", status=status)


@dataclass(frozen=True, slots=True)
class Syntax:
    """The options of a command: letters of its `flags`, and of those that take a value."""

    name: str
    flags: str = ""
    valued: str = ""
    repeatable: str = ""  # of these, several values are joined by newlines
    missing: str = ""  # what to say when there is no operand
    status: int = 1  # of a wrong call
    long: Mapping[str, str] = field(default_factory=dict)

    def parse(self, args: Sequence[str]) -> tuple[dict[str, str], list[str]]:
        """Split arguments into options with their values and operands.

        Raises:
            UsageError: an option that this command does not know.
        """
        options: dict[str, str] = {}
        operands: list[str] = []
        rest = list(args)
        while rest:
            arg = rest.pop(0)
            if arg == "--":
                operands += rest
                break
            if arg.startswith("--"):
                options[self._long(arg)] = ""
            elif arg.startswith("-") and arg != "-":
                self._cluster(arg[1:], rest, options)
            else:
                operands.append(arg)
        return options, operands

    def parse_operands(self, args: Sequence[str]) -> tuple[dict[str, str], list[str]]:
        """As `parse`, for a command that needs an operand.

        Raises:
            UsageError: an unknown option, or no operand.
        """
        options, operands = self.parse(args)
        if not operands:
            raise self.error(self.missing or "missing operand")
        return options, operands

    def error(self, message: str) -> UsageError:
        """A wrong call of this command."""
        return usage_error(self.name, message, status=self.status)

    def _long(self, arg: str) -> str:
        if arg not in self.long:
            raise self.error(f"unrecognized option '{arg}'")
        return self.long[arg]

    def _cluster(self, letters: str, rest: list[str], options: dict[str, str]) -> None:
        for index, letter in enumerate(letters):
            if letter in self.valued:
                value = self._value(letter, letters[index + 1 :], rest)
                earlier = options[letter] + "\n" if letter in self.repeatable and letter in options else ""
                options[letter] = earlier + value
                return
            if letter not in self.flags:
                raise self.error(f"invalid option -- '{letter}'")
            options[letter] = ""

    def _value(self, letter: str, attached: str, rest: list[str]) -> str:
        if not attached and not rest:
            raise self.error(f"option requires an argument -- '{letter}'")
        return attached or rest.pop(0)


def about(prefix: str, name: str, error: OSError) -> str:
    """A message about a name that is quoted only if needed: `cat: name: No such file or directory`."""
    return f"{prefix}: {quoted_if_needed(name)}: {error.strerror}"


def cannot(action: str, name: str, error: OSError) -> str:
    """A message about a quoted name: `rm: cannot remove 'name': No such file or directory`."""
    return f"{action} {quoted(name)}: {error.strerror}"


def for_each(
    process: Process,
    names: Sequence[str],
    act: Callable[[str], None],
    describe: Callable[[str, OSError], str],
) -> int:
    """Do something to each operand; report the ones that fail and carry on, as coreutils do."""

    def failed(name: str) -> bool:
        try:
            act(name)
        except OSError as error:
            process.complain(describe(name, error))
            return True
        return False

    return int(sum(map(failed, names)) > 0)
