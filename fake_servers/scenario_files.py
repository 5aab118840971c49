"""Scenario files: TOML, with a version, and with errors that name the line.

See docs/scenario-files.md for the format, and `plain` for how it follows from the classes.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from fake_servers.errors import ScenarioError
from fake_servers.plain import Misfit, from_plain, to_plain
from fake_servers.plain import Path as Place

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["FORMAT", "check_format", "read", "write"]

FORMAT: Final = 1

Value = TypeVar("Value")

_AT_LINE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def write(scenario: Any) -> str:
    """A scenario as the text of a file.

    Raises:
        ScenarioError: it holds something that can't be written.
    """
    import tomlkit

    document = tomlkit.document()
    document.update(format=FORMAT, seed=scenario.seed)
    injections = tomlkit.aot()
    for injection in to_plain(scenario.injections):
        table = tomlkit.table()
        for key, value in injection.items():
            table[key] = _inline(value)
        injections.append(table)
    if injections:
        document.add(tomlkit.nl())
        document["injections"] = injections
    return tomlkit.dumps(document)


def _inline(value: Any) -> Any:
    import tomlkit

    if not isinstance(value, dict):
        return value
    table = tomlkit.inline_table()
    table.update({key: _inline(part) for key, part in value.items()})
    return table


def read(kind: type[Value], source: str | os.PathLike[str]) -> Value:
    """A scenario from the text of a file, or from the path of one.

    Args:
        kind: the class.
        source: TOML, or a path: one that is a `os.PathLike`, ends in ``.toml``, or can't be TOML.

    Raises:
        ScenarioError: the file can't be read, is not TOML or no scenario; the message has file and line.
    """
    name, text = _text_of(source)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = _AT_LINE.search(str(error))
        number = int(line[1]) if line and line[1] else text.count("\n") + 1
        raise ScenarioError(f"{_at(name, number)}: this is not TOML: {_AT_LINE.sub('', str(error))}") from None
    try:
        check_format(data, FORMAT)
        return from_plain(kind, {key: value for key, value in data.items() if key != "format"})
    except Misfit as misfit:
        raise ScenarioError(f"{_at(name, _line_of(misfit.path, text))}: {misfit.problem}") from None


def check_format(data: Mapping[str, Any], known: int) -> None:
    """Make sure that a file's format is one that this version knows; one that says nothing has the present one.

    Raises:
        Misfit: it is another.
    """
    given = data.get("format", known)
    if type(given) is not int or not 1 <= given <= known:
        newer = "; a later version of pytest-httpconc may know it" if isinstance(given, int) and given > known else ""
        raise Misfit(("format",), f"format={given!r} is not known; allowed is {known}{newer}")


def _text_of(source: str | os.PathLike[str]) -> tuple[str | None, str]:
    if isinstance(source, str) and _is_toml(source):
        return None, source
    path = os.fspath(source)
    try:
        return path, Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ScenarioError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path} can't be read: it is not UTF-8 at byte {error.start}") from None


def _is_toml(source: str) -> bool:
    return "\n" in source or not source.strip() or ("=" in source and not source.endswith(".toml"))


def _at(name: str | None, line: int) -> str:
    return f"line {line}" if name is None else f"{name}:{line}"


def _line_of(place: Place, text: str) -> int:
    """The line of the statement that has brought a place, or what is nearest to it, into the document.

    A parser tells no lines, but the first lines of a document are a document wherever a statement ends: the
    statement begins after the longest of those that do not have the place yet.
    """
    whole = tomllib.loads(text)
    while not _has(whole, place):
        place = place[:-1]
    lines = text.split("\n")
    start = 0
    for number in range(len(lines) + 1):
        try:
            document = tomllib.loads("\n".join(lines[:number]))
        except tomllib.TOMLDecodeError:
            continue  # in the middle of a statement
        if _has(document, place):
            break
        start = number
    return next((n for n, line in enumerate(lines[start:], start + 1) if _says_something(line)), len(lines))


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _has(document: Any, place: Place) -> bool:
    for step in place:
        if isinstance(step, int):
            if not isinstance(document, list) or step >= len(document):
                return False
        elif not isinstance(document, dict) or step not in document:
            return False
        document = document[step]
    return True
