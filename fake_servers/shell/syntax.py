"""The shell's abstract syntax, and the errors that end a whole command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


class ShellError(Exception):
    """Something that ends the whole `bash -c`: a message for its stderr and an exit status."""

    def __init__(self, message: str, *, status: int = 2) -> None:
        """Say what is wrong, in the words of bash."""
        super().__init__(message)
        self.status = status


class ShellSyntaxError(ShellError):
    """The text is not a sentence of the shell's language."""

    def __init__(self, line: int, message: str) -> None:
        """Say what is wrong, and in which line of the text (from 1)."""
        super().__init__(f"bash: -c: line {line}: {message}")


class UnsupportedError(ShellError):
    """Real bash could do it and this shell cannot; said aloud, so that nobody mistakes it for success."""

    def __init__(self, line: int, feature: str) -> None:
        """Name the feature, and the line of the text (from 1) that uses it."""
        super().__init__(f"bash: line {line}: {feature}: not supported by this shell")


class BadSubstitutionError(ShellError):
    """A `${...}` that names no parameter."""

    def __init__(self, line: int, text: str) -> None:
        """Quote the text from its `$`, found in this line (from 1)."""
        super().__init__(f"bash: line {line}: {text}: bad substitution", status=1)


@dataclass(frozen=True, slots=True)
class Literal:
    """Text that stands for itself; quoted text is exempt from globbing and tilde expansion."""

    text: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """`$name` or `${name}`, with an operator such as `:-` and its word."""

    name: str
    operator: str = ""
    word: Word = ()
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Substitution:
    """`$(...)` or backquotes: replaced by what the script prints."""

    script: Script
    quoted: bool = False


Segment: TypeAlias = "Literal | Parameter | Substitution"
Word: TypeAlias = tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Assignment:
    """`name=value` in front of a command, or alone."""

    name: str
    value: Word


@dataclass(frozen=True, slots=True)
class Redirection:
    """One redirection; `&>` names both outputs in `descriptors`."""

    descriptors: tuple[int, ...]
    operator: str
    target: Word
    source: str


@dataclass(frozen=True, slots=True)
class SimpleCommand:
    """Assignments, words and redirections, in that order of evaluation."""

    line: int
    assignments: tuple[Assignment, ...]
    words: tuple[Word, ...]
    redirections: tuple[Redirection, ...]


@dataclass(frozen=True, slots=True)
class CompoundCommand:
    """`( ... )` in an environment of its own, or `{ ...; }` in the current one."""

    body: CommandList
    subshell: bool
    redirections: tuple[Redirection, ...]


Command: TypeAlias = "SimpleCommand | CompoundCommand"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands that run at the same time, each reading what the one before prints."""

    commands: tuple[Command, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class ListItem:
    """A pipeline, and the connector before it: `;`, `&&` or `||`."""

    connector: str
    pipeline: Pipeline


CommandList: TypeAlias = tuple[ListItem, ...]
Script: TypeAlias = CommandList
