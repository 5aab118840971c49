"""Word expansion: tilde, parameters, command substitution, field splitting, globs."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from fake_servers.shell.process import Process
from fake_servers.shell.syntax import (
    Literal,
    Parameter,
    Script,
    Segment,
    Substitution,
    UnsupportedError,
    Word,
)

SPECIAL_VARIABLES = frozenset(
    {"IFS", "RANDOM", "SRANDOM", "SECONDS", "EPOCHSECONDS", "EPOCHREALTIME", "LINENO"}
)  # bash gives each of them a meaning that is not kept here
_MAGIC = "*?["
_BLANKS = re.compile(r"([ \t\n]+)")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of an expanded word."""

    text: str
    quoted: bool
    splits: bool = False

    @property
    def pattern(self) -> str:
        """The text as a part of a glob pattern, what is literal in it escaped by backslashes."""
        if self.quoted:
            return re.sub(r"[*?\[\\]", r"\\\g<0>", self.text)
        return self.text.replace("\\", "\\\\")


_Field = list[_Piece]
Substitute = Callable[[Script], Awaitable[str]]


class Expander:
    """Expands words for one process; `substitute` runs a script and returns what it printed."""

    def __init__(self, process: Process, substitute: Substitute) -> None:
        """Expand in the state that `process` has at each time."""
        self._process = process
        self._substitute = substitute

    async def fields(self, words: Iterable[Word]) -> list[str]:
        """The arguments that some words stand for.

        Raises:
            ShellError: an expansion that is not supported, or that grows beyond the budget.
        """
        found: list[str] = []
        for word in words:
            for field in _split(await self._pieces(word)):
                found += self._paths(field)
        return found

    async def text(self, word: Word) -> str:
        """The text that a word stands for, neither split nor globbed."""
        return "".join(piece.text for piece in await self._pieces(word))

    async def _pieces(self, word: Word) -> list[_Piece]:
        pieces: list[_Piece] = []
        for segment in self._tilde_expanded(word):
            pieces += await self._segment(segment)
        self._process.budget.spend(sum(len(piece.text) for piece in pieces))
        return pieces

    def _tilde_expanded(self, word: Word) -> Word:
        first = word[0] if word else None
        home = self._process.variables.values.get("HOME")
        if isinstance(first, Literal) and not first.quoted and home is not None:
            user, slash, _ = first.text.partition("/")
            if user == "~" and (slash or len(word) == 1):
                return (Literal(home, quoted=True), replace(first, text=first.text[1:]), *word[1:])
        return word

    async def _segment(self, segment: Segment) -> list[_Piece]:
        if isinstance(segment, Literal):
            return [_Piece(segment.text, segment.quoted)]
        if isinstance(segment, Parameter):
            return await self._parameter(segment)
        return await self._substitution(segment)

    async def _substitution(self, segment: Substitution) -> list[_Piece]:
        text = await self._substitute(segment.script)
        return [_Piece(text.rstrip("\n"), segment.quoted, splits=not segment.quoted)]

    async def _parameter(self, segment: Parameter) -> list[_Piece]:
        value = self._value(segment.name)
        unset = value is None or (segment.operator.startswith(":") and not value)
        operator = segment.operator.lstrip(":")
        if operator == "+":
            return [] if unset else await self._alternative(segment)
        if operator and unset:
            return await self._default(segment)
        quoted = segment.quoted and segment.name != "@"  # "$@" without arguments is no field at all
        return [_Piece(value or "", quoted, splits=not segment.quoted)]

    async def _default(self, segment: Parameter) -> list[_Piece]:
        pieces = await self._alternative(segment)
        if segment.operator.endswith("="):
            self._process.variables.values[segment.name] = "".join(piece.text for piece in pieces)
        return pieces

    async def _alternative(self, segment: Parameter) -> list[_Piece]:
        pieces = await self._pieces(segment.word)
        if segment.quoted:
            return pieces or [_Piece("", quoted=True)]
        return [replace(piece, splits=not piece.quoted) for piece in pieces]

    def _value(self, name: str) -> str | None:
        process = self._process
        if name in SPECIAL_VARIABLES:
            raise UnsupportedError(process.line, f"variable `{name}'")
        special = {"?": str(process.status), "$": str(process.pid), "#": "0", "0": "bash", "-": "hBc"}
        return special.get(name) or process.variables.values.get(name)

    def _paths(self, field: _Field) -> list[str]:
        pattern = "".join(piece.pattern for piece in field)
        found = self._glob(pattern) if _is_magic(pattern) else []
        return found or ["".join(piece.text for piece in field)]

    def _glob(self, pattern: str) -> list[str]:
        root, parts = _components(pattern)
        paths = [root]
        for part in parts:
            paths = [found for path in paths for found in self._matches(path, part)]
        return sorted(path for path in paths if self._process.filesystem.exists(self._process.path(path)))

    def _matches(self, base: str, part: str) -> Iterator[str]:
        if not _is_magic(part):
            return iter([base + _ESCAPED.sub(r"\1", part)])
        matches = _name_pattern(part.rstrip("/")).fullmatch
        slash = "/" if part.endswith("/") else ""
        names = filter(matches, self._names(base, hidden=part.startswith(".")))
        return (f"{base}{name}{slash}" for name in names)

    def _names(self, base: str, *, hidden: bool) -> list[str]:
        process = self._process
        path = process.path(base or ".")
        names = process.filesystem.listdir(path) if process.filesystem.is_dir(path) else []
        process.budget.spend(64 + sum(map(len, names)))
        return [name for name in names if hidden or not name.startswith(".")]


def _split(pieces: list[_Piece]) -> list[_Field]:
    """Fields: quoted pieces stick together, even when empty; blanks in the rest separate."""
    fields: list[_Field] = []
    current: _Field = []
    for piece in pieces:
        for part in _BLANKS.split(piece.text) if piece.splits else [piece.text]:
            if piece.splits and part.isspace() and _BLANKS.fullmatch(part):
                fields.append(current)
                current = []
            elif part or piece.quoted:
                current.append(replace(piece, text=part))
    return [field for field in (*fields, current) if field]


def _is_magic(pattern: str) -> bool:
    unescaped = _ESCAPED.sub("", pattern)
    return any(char in unescaped for char in _MAGIC)


def _components(pattern: str) -> tuple[str, list[str]]:
    """The root of a path pattern, and its parts, each with the slashes that follow it."""
    root = pattern[: len(pattern) - len(pattern.lstrip("/"))]
    return root, re.findall(r"[^/]+/*", pattern[len(root) :])


def _name_pattern(part: str) -> re.Pattern[str]:
    """The pattern of one name; `fnmatch` knows no backslashes, and quotes with brackets instead."""
    return re.compile(fnmatch.translate(_ESCAPED.sub(lambda found: _bracketed(found[1]), part)))


def _bracketed(char: str) -> str:
    return f"[{char}]" if char in _MAGIC else char
