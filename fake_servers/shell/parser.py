"""Reads commands: lists, pipelines, redirections, and the line between wrong and merely unsupported."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fake_servers.shell.syntax import (
    Assignment,
    Command,
    CommandList,
    CompoundCommand,
    ListItem,
    Literal,
    Pipeline,
    Redirection,
    Script,
    ShellError,
    ShellSyntaxError,
    SimpleCommand,
    UnsupportedError,
    Word,
)
from fake_servers.shell.words import METACHARACTERS, WordReader

_BLANK = re.compile(r"(?:[ \t]|\\\n)*(?:#[^\n]*)?")
_REDIRECTION = re.compile(r"([0-9]*)(<<<|<<-?|<>|<&|<\(|>\(|<|>>|>\||>&|>)|(&>>?)")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_ARRAY_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\+=|\[[^]\s]*\]\+?=|=\()")
_FUNCTION = re.compile(r"[ \t]*\([ \t]*\)")
_RESERVED = re.compile(rf"([a-z]+|\[\[|[{{}}!])(?=[{re.escape(METACHARACTERS)}]|$)")
_TOKEN = re.compile(rf"\n|;;&|;;|;&|&&|\|\||\|&|<<|>>|[;&|()<>]|[^{re.escape(METACHARACTERS)}]+")
_UNSUPPORTED_REDIRECTIONS = {
    "<<": "here-documents `<<'",
    "<<-": "here-documents `<<-'",
    "<<<": "here-strings `<<<'",
    "<>": "read-write redirection `<>'",
    "<&": "duplicating input `<&'",
    "<(": "process substitution `<('",
    ">(": "process substitution `>('",
}
_UNSUPPORTED_WORDS = {
    "if": "`if' commands",
    "for": "`for' loops",
    "while": "`while' loops",
    "until": "`until' loops",
    "case": "`case' commands",
    "select": "`select' loops",
    "function": "function definitions",
    "time": "`time'",
    "coproc": "coprocesses",
    "[[": "`[[' conditions",
}
_MISPLACED_WORDS = frozenset({"then", "else", "elif", "fi", "do", "done", "esac", "}"})
_RESERVED_WORDS = frozenset({*_UNSUPPORTED_WORDS, *_MISPLACED_WORDS, "{", "!"})


def parse(text: str) -> Iterator[CommandList]:
    """Read one line of commands after another, as bash does: what precedes an error has been run by then.

    Raises:
        ShellSyntaxError: the text is no shell command.
        UnsupportedError: it is one, of a kind that this shell does not know.
        BadSubstitutionError: a `${...}` names no parameter.
    """
    parser = _Parser(text)
    while parser.has_more():
        yield parser.complete_line()


class _Parser(WordReader):
    def has_more(self) -> bool:
        self._skip_newlines()
        return bool(self.peek())

    def complete_line(self) -> CommandList:
        commands = self._list(one_line=True)
        if self.peek() not in ("", "\n"):
            raise self._unexpected()
        return commands

    def nested_script(self) -> Script:
        self._skip_newlines()
        return () if self.peek() in ("", ")") else self._list()

    def _skip_blanks(self) -> None:
        self.match(_BLANK)

    def _skip_newlines(self) -> None:
        self._skip_blanks()
        while self.accept("\n"):
            self._skip_blanks()

    def _unexpected(self, *, at_end: str = "") -> ShellError:
        """The error of the token at the cursor; `at_end` is what the end of the text counts as."""
        token = _TOKEN.match(self.text, self.position)
        name = token[0] if token else at_end
        if not name:
            return ShellSyntaxError(self.line + 1, "syntax error: unexpected end of file")
        name = "newline" if name == "\n" else name
        source = self.text.split("\n")[self.line - self._first_line]
        near = f"syntax error near unexpected token `{name}'\nbash: -c: line {self.line}: `{source}'"
        return ShellSyntaxError(self.line, near)

    def _unsupported(self, feature: str) -> ShellError:
        return UnsupportedError(self.line, feature)

    def _list(self, *, one_line: bool = False) -> CommandList:
        items = [ListItem(";", self._pipeline())]
        while connector := self._connector(one_line=one_line):
            items.append(ListItem(connector, self._pipeline()))
        return tuple(items)

    def _connector(self, *, one_line: bool) -> str:
        """The connector before the next pipeline, or nothing at the end of the list."""
        self._skip_blanks()
        for connector in ("&&", "||"):
            if self.accept(connector):
                self._skip_newlines()
                return connector
        if self.peek() == "&":
            raise self._unsupported("background commands `&'")
        if not self._separated(one_line=one_line) or self._at_end_of_list(one_line=one_line):
            return ""
        return ";"

    def _separated(self, *, one_line: bool) -> bool:
        if self.peek(2) in (";;", ";&"):
            raise self._unexpected()
        separated = self.accept(";") or (not one_line and self.peek() == "\n")
        if one_line:
            self._skip_blanks()
        else:
            self._skip_newlines()
        return separated

    def _at_end_of_list(self, *, one_line: bool) -> bool:
        return self.peek() in ("", ")") or self._reserved() == "}" or (one_line and self.peek() == "\n")

    def _reserved(self) -> str:
        found = _RESERVED.match(self.text, self.position)
        return found[1] if found and found[1] in _RESERVED_WORDS else ""

    def _pipeline(self) -> Pipeline:
        negated = False
        while self._reserved() == "!":
            self.accept("!")
            self._skip_blanks()
            negated = not negated
        return Pipeline(tuple(self._piped_commands()), negated)

    def _piped_commands(self) -> Iterator[Command]:
        yield self._command()
        self._skip_blanks()
        while self.peek() == "|" and self.peek(2) != "||":
            self.accept("|")
            if self.peek() == "&":
                raise self._unsupported("`|&' pipes")
            self._skip_newlines()
            yield self._command()
            self._skip_blanks()

    def _command(self) -> Command:
        reserved = self._reserved()
        if reserved in _UNSUPPORTED_WORDS:
            raise self._unsupported(_UNSUPPORTED_WORDS[reserved])
        if reserved in _MISPLACED_WORDS:
            raise self._unexpected()
        if self.peek(2) == "((":
            raise self._unsupported("arithmetic commands `(('")
        if reserved == "{" or self.peek() == "(":
            return self._compound()
        return self._simple()

    def _compound(self) -> CompoundCommand:
        subshell = not self.accept("{")
        if subshell:
            self.accept("(")
        with self.nested():
            self._skip_newlines()
            body = self._list()
        if not self.accept(")" if subshell else "}"):
            raise self._unexpected()
        redirections = tuple(self._redirections())
        if self.peek() not in ("", *"\n;&|)") and self._reserved() != "}":
            raise self._unexpected()
        return CompoundCommand(body, subshell, redirections)

    def _redirections(self) -> Iterator[Redirection]:
        self._skip_blanks()
        while redirection := self._redirection():
            yield redirection
            self._skip_blanks()

    def _simple(self) -> SimpleCommand:
        line = self.line
        assignments: list[Assignment] = []
        words: list[Word] = []
        redirections = list(self._redirections())
        while self.peek() not in ("", *METACHARACTERS):
            assignment = None if words else self._assignment()
            if assignment:
                assignments.append(assignment)
            else:
                words.append(self.word())
                self._refuse_function(len(words))
            redirections += self._redirections()
        if not (assignments or words or redirections):
            raise self._unexpected()
        if self.accept("("):
            raise self._unexpected(at_end="newline")
        return SimpleCommand(line, tuple(assignments), tuple(words), tuple(redirections))

    def _assignment(self) -> Assignment | None:
        if found := _ARRAY_ASSIGNMENT.match(self.text, self.position):
            raise self._unsupported(f"assignment `{found[0]}'")
        name = self.match(_ASSIGNMENT)
        return Assignment(name[1], self.word()) if name else None

    def _refuse_function(self, words: int) -> None:
        if words == 1 and _FUNCTION.match(self.text, self.position):
            raise self._unsupported("function definitions")

    def _redirection(self) -> Redirection | None:
        found = self.match(_REDIRECTION)
        if not found:
            return None
        operator = found[2] or found[3].lstrip("&")
        if operator in _UNSUPPORTED_REDIRECTIONS:
            raise self._unsupported(_UNSUPPORTED_REDIRECTIONS[operator])
        descriptors = (1, 2) if found[3] else self._descriptors(found[1], operator)
        self._skip_blanks()
        start = self.position
        target = self.word()
        if not target:
            raise self._unexpected(at_end="newline")
        return _redirection(descriptors, operator, target, self.text[start : self.position])

    def _descriptors(self, digits: str, operator: str) -> tuple[int, ...]:
        descriptor = int(digits[:4] or (0 if operator == "<" else 1))
        if descriptor not in ((0,) if operator == "<" else (1, 2)):
            raise self._unsupported(f"redirection of file descriptor {digits[:4]} with `{operator}'")
        return (descriptor,)


def _redirection(descriptors: tuple[int, ...], operator: str, target: Word, source: str) -> Redirection:
    if operator == ">|":
        operator = ">"
    if operator == ">&" and not _is_descriptor(target):  # `>& file` is an older spelling of `&> file`
        return Redirection((1, 2), ">", target, source)
    return Redirection(descriptors, operator, target, source)


def _is_descriptor(target: Word) -> bool:
    first = target[0]
    return len(target) == 1 and isinstance(first, Literal) and (first.text.isdecimal() or first.text == "-")
