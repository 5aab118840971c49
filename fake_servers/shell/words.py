"""Reads words: quoting, escapes, parameters and command substitutions."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fake_servers.shell.escapes import unescape
from fake_servers.shell.syntax import (
    BadSubstitutionError,
    Literal,
    Parameter,
    Script,
    Segment,
    ShellError,
    ShellSyntaxError,
    Substitution,
    UnsupportedError,
    Word,
)

MAX_NESTING = 30  # of brackets and substitutions; keeps the interpreter far from Python's recursion limit
METACHARACTERS = " \t\n;&|()<>"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]|[?$@*#!-]")
_BRACED_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[?$@*#!-]")
_DEFAULT_OPERATOR = re.compile(r":?[-=+]")
_ANSI_C = re.compile(r"\$'((?:[^'\\]|\\.)*)'", re.DOTALL)
_BACKQUOTED = re.compile(r"`((?:[^`\\]|\\.)*)`", re.DOTALL)
_BRACES = re.compile(r"\{([^{}]*)\}")
_SEQUENCE = re.compile(r"(?:[-+]?[0-9]+|[A-Za-z])\.\.(?:[-+]?[0-9]+|[A-Za-z])(?:\.\.[-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class _Context:
    """Where a word is read: which characters end it, and whether they are inside double quotes."""

    stops: str
    quoted: bool
    literal: re.Pattern[str]


def _context(stops: str, *, quoted: bool) -> _Context:
    special = stops + '\\$`"' + ("" if quoted else "'")
    return _Context(stops, quoted, re.compile(f"[^{re.escape(special)}]+"))


_BARE = _context(METACHARACTERS, quoted=False)
_DOUBLE_QUOTED = _context('"', quoted=True)
_BRACED = {quoted: _context("}", quoted=quoted) for quoted in (False, True)}


class WordReader(ABC):
    """A cursor over a script's text that can read one word."""

    def __init__(self, text: str, *, first_line: int = 1, depth: int = 0) -> None:
        """Read `text`, which starts in a line of a larger one, inside `depth` brackets."""
        self.text = text
        self.position = 0
        self._first_line = first_line
        self._depth = depth
        self._newlines = [index for index, char in enumerate(text) if char == "\n"]

    @abstractmethod
    def nested_script(self) -> Script:
        """Read the commands of a `$(`, up to its closing bracket."""

    @property
    def line(self) -> int:
        """The cursor's line, counted from 1."""
        return self._first_line + bisect_left(self._newlines, self.position)

    def peek(self, count: int = 1) -> str:
        """The next characters; fewer at the end of the text."""
        return self.text[self.position : self.position + count]

    def accept(self, token: str) -> bool:
        """Step over `token` if it comes next."""
        found = self.text.startswith(token, self.position)
        self.position += len(token) * found
        return found

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Step over a match of `pattern` at the cursor."""
        found = pattern.match(self.text, self.position)
        if found:
            self.position = found.end()
        return found

    def unterminated(self, closer: str, line: int) -> ShellError:
        """The error of a quote or bracket opened in `line` and never closed."""
        return ShellSyntaxError(line, f"unexpected EOF while looking for matching `{closer}'")

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Count one level of brackets.

        Raises:
            ShellSyntaxError: beyond `MAX_NESTING`.
        """
        if self._depth >= MAX_NESTING:
            raise ShellSyntaxError(self.line, f"nested more than {MAX_NESTING} levels deep")
        self._depth += 1
        yield
        self._depth -= 1

    def word(self) -> Word:
        """Read the word at the cursor; empty if a metacharacter or the end comes first."""
        word = self._segments(_BARE)
        self._refuse_braces(word)
        return word

    def _refuse_braces(self, word: Word) -> None:
        skeleton = "".join(s.text if isinstance(s, Literal) and not s.quoted else "x" for s in word)
        for found in _BRACES.finditer(skeleton):
            if "," in found[1] or _SEQUENCE.fullmatch(found[1]):
                raise UnsupportedError(self.line, f"brace expansion `{found[0]}'")

    def _segments(self, context: _Context) -> Word:
        segments: list[Segment] = []
        while (char := self.peek()) and char not in context.stops:
            segments += self._segment(char, context)
        return tuple(segments)

    def _segment(self, char: str, context: _Context) -> Word:
        if char == "\\":
            return self._escape(context)
        if char == "$":
            return self._dollar(quoted=context.quoted)
        if char == "`":
            return (self._backquotes(quoted=context.quoted),)
        if char == '"':
            return self._double_quotes()
        if char == "'" and not context.quoted:
            return (self._single_quotes(),)
        literal = self.match(context.literal)
        return (Literal(literal[0], context.quoted),) if literal else ()

    def _escape(self, context: _Context) -> Word:
        pair = self.peek(2)
        self.position += 2
        if pair == "\\\n":
            return ()
        if pair == "\\" or (context.quoted and pair[1] not in '$`"\\' + context.stops):
            return (Literal(pair, quoted=True),)
        return (Literal(pair[1], quoted=True),)

    def _single_quotes(self) -> Literal:
        return Literal(self._until("'", start=self.position + 1), quoted=True)

    def _until(self, closer: str, *, start: int) -> str:
        line = self.line
        end = self.text.find(closer, start)
        if end < 0:
            raise self.unterminated(closer, line)
        self.position = end + 1
        return self.text[start:end]

    def _double_quotes(self) -> Word:
        line = self.line
        self.position += 1
        with self.nested():
            segments = self._segments(_DOUBLE_QUOTED)
        if not self.accept('"'):
            raise self.unterminated('"', line)
        return segments or (Literal("", quoted=True),)

    def _dollar(self, *, quoted: bool) -> Word:
        if self.peek(3) == "$((":
            raise UnsupportedError(self.line, "arithmetic expansion `$(('")
        if self.accept("$("):
            return (self._substitution(quoted=quoted),)
        if self.accept("${"):
            return (self._braced(quoted=quoted),)
        if not quoted and self.peek(2) == "$'":
            return (self._ansi_c_quotes(),)
        self.position += 1
        if not quoted and self.peek() == '"':  # $"..." is a translated string; there is no catalogue here
            return self._double_quotes()
        name = self.match(_NAME)
        return (Parameter(name[0], quoted=quoted) if name else Literal("$", quoted),)

    def _ansi_c_quotes(self) -> Literal:
        found = _ANSI_C.match(self.text, self.position)
        if not found:
            raise self.unterminated("'", self.line)
        self.position = found.end()
        return Literal(unescape(found[1], quotes=True)[0].replace("\0", ""), quoted=True)

    def _substitution(self, *, quoted: bool) -> Substitution:
        with self.nested():
            script = self.nested_script()
        if not self.accept(")"):
            raise self.unterminated(")", self.line)
        return Substitution(script, quoted)

    def _backquotes(self, *, quoted: bool) -> Substitution:
        line = self.line
        found = _BACKQUOTED.match(self.text, self.position)
        if not found:
            raise self.unterminated("`", line)
        self.position = found.end()
        text = re.sub(r'\\([$`\\"])' if quoted else r"\\([$`\\])", r"\1", found[1])
        with self.nested():
            inner = type(self)(text, first_line=line, depth=self._depth)
            script = inner.nested_script()
        if inner.peek():
            raise ShellSyntaxError(line, f"syntax error near unexpected token `{inner.peek()}'")
        return Substitution(script, quoted)

    def _braced(self, *, quoted: bool) -> Parameter:
        start, line = self.position - 2, self.line
        name = self.match(_BRACED_NAME)
        if self.peek() == "":
            raise self.unterminated("}", line)
        operator = self.match(_DEFAULT_OPERATOR)
        if name and (operator or self.peek() == "}"):
            return self._braced_rest(name[0], operator[0] if operator else "", line, quoted=quoted)
        text = self.text[start : self._end_of_braces()]
        known = name and (name[0] in "#!" or self.peek() in ":?#%/^,@[")
        if known:
            raise UnsupportedError(line, f"parameter expansion `{text}'")
        raise BadSubstitutionError(line, text)

    def _end_of_braces(self) -> int:
        end = self.text.find("}", self.position)
        if end < 0:
            raise self.unterminated("}", self.line)
        return end + 1

    def _braced_rest(self, name: str, operator: str, line: int, *, quoted: bool) -> Parameter:
        with self.nested():
            word = self._segments(_BRACED[quoted])
        if not self.accept("}"):
            raise self.unterminated("}", line)
        return Parameter(name, operator, word, quoted)
