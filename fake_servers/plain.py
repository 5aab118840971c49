"""Scenarios as plain data, and back: tables, lists, text and numbers, as TOML and JSON have them.

The form follows from the dataclasses: a field is a key, what has its default is left out, and faults and latencies
name their class as ``kind``. What is allowed is what the classes themselves allow.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

from fake_servers import faults, latency
from fake_servers.errors import ScenarioError
from fake_servers.faults import Fault
from fake_servers.latency import Fixed, Latency

__all__ = ["Misfit", "Path", "from_plain", "kinds_of", "not_known", "to_plain"]

Value = TypeVar("Value")
Path = tuple[str | int, ...]


def _kinds(module: types.ModuleType) -> dict[str, type]:
    public = {name: getattr(module, name) for name in module.__all__}
    return {name: kind for name, kind in public.items() if isinstance(kind, type) and dataclasses.is_dataclass(kind)}


#: What is written with its ``kind``: the word for it, and the classes there are.
_KINDS: Final[dict[type, tuple[str, dict[str, type]]]] = {
    Fault: ("fault", _kinds(faults)),
    Latency: ("latency", _kinds(latency)),
}


def kinds_of(base: type) -> Mapping[str, type]:
    """The classes that a ``kind`` may name, by their names: those of faults or those of latencies."""
    return _KINDS[base][1]


class Misfit(ScenarioError):
    """Plain data that is no scenario; ``path`` is where in it, and ``problem`` what is wrong there."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
        super().__init__(f"{place}: {problem}" if place else problem)


def to_plain(value: object) -> Any:
    """A scenario, or a part of one, as plain data.

    Raises:
        ScenarioError: it holds something that has no such form, such as a latency of the user's own.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, re.Pattern):
        return {"pattern": value.pattern, "flags": value.flags}
    if isinstance(value, Mapping):
        return {str(key): to_plain(part) for key, part in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((to_plain(part) for part in value), key=repr)
    if isinstance(value, (tuple, list)):
        return [to_plain(part) for part in value]
    if type(value) is Fixed:
        return value.seconds
    return _kind_of(value) | _settings(value)


def _text(data: bytes) -> str | dict[str, str]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(data).decode()}


def _kind_of(value: object) -> dict[str, str]:
    name = type(value).__name__
    if any(kinds.get(name) is type(value) for _, kinds in _KINDS.values()):
        return {"kind": name}
    if dataclasses.is_dataclass(value) and not (isinstance(value, Fault) or hasattr(value, "sample")):
        return {}
    raise ScenarioError(
        f"{value!r} can't be written to a file; what can is of fake_servers.faults and fake_servers.latency"
    )


def _settings(value: Any) -> dict[str, Any]:
    given = ((field, getattr(value, field.name)) for field in dataclasses.fields(value) if field.init)
    return {field.name: to_plain(part) for field, part in given if part != field.default}


def from_plain(kind: type[Value], data: object) -> Value:
    """The value of a dataclass, or of another type that a field may have, from plain data.

    Raises:
        Misfit: the data does not fit it.
    """
    value: Value = _read(kind, data, ())
    return value


def _read(hint: Any, data: Any, path: Path) -> Any:
    """What a field holds, by its type; what its class reads itself, such as numbers, is left as it is."""
    choices = tuple(_alternatives(hint))
    if data is None and types.NoneType in choices:
        return None
    choices = tuple(choice for choice in choices if choice is not types.NoneType)
    for choice in choices:
        if choice in _KINDS:
            return _read_kind(choice, data, path)
        if get_origin(choice) is tuple:
            return _read_tuple(get_args(choice), data, path)
        if choice is bytes:
            return _read_bytes(data, path)
        if choice is str and not isinstance(data, str) and len(choices) == 1:
            raise Misfit(path, f"{data!r} is no text")
        if get_origin(choice) is re.Pattern and isinstance(data, Mapping):
            return _made(re.compile, dict(data), path)
        if isinstance(choice, type) and issubclass(choice, Enum):
            return _read_word(choice, data, path)
        if isinstance(choice, type) and dataclasses.is_dataclass(choice):
            return _read_fields(choice, data, path)
    return data


def _alternatives(hint: Any) -> Iterable[Any]:
    if get_origin(hint) in {Union, types.UnionType}:
        return (choice for part in get_args(hint) for choice in _alternatives(part))
    return (hint,)


def _read_kind(base: type, data: Any, path: Path) -> Any:
    word, kinds = _KINDS[base]
    if base is Latency and not isinstance(data, (str, Mapping)):
        return _made(latency.of, {"value": data}, path)
    table = {"kind": data} if isinstance(data, str) else data
    if not isinstance(table, Mapping) or "kind" not in table:
        example = '{ kind = "Reset" }' if base is Fault else 'a number of seconds or { kind = "Uniform", ... }'
        raise Misfit(path, f"{data!r} is no {word}; write {example}, where the kinds are {', '.join(sorted(kinds))}")
    name = table["kind"]
    if not isinstance(name, str) or name not in kinds:
        raise Misfit((*path, "kind"), not_known(f"{word} {name!r}", name, kinds))
    return _read_fields(kinds[name], {key: value for key, value in table.items() if key != "kind"}, path)


def _read_tuple(hints: tuple[Any, ...], data: Any, path: Path) -> tuple[Any, ...]:
    if not isinstance(data, (list, tuple)):
        raise Misfit(path, f"{data!r} is no list")
    if hints[1:] == (...,):
        hints = (hints[0],) * len(data)
    if len(data) != len(hints):
        raise Misfit(path, f"{data!r} has {len(data)} parts and not {len(hints)}")
    parts = zip(hints, data, strict=True)
    return tuple(_read(hint, part, (*path, number)) for number, (hint, part) in enumerate(parts))


def _read_bytes(data: Any, path: Path) -> bytes:
    if isinstance(data, Mapping) and set(data) == {"base64"}:
        return _made(lambda text: b64decode(text, validate=True), {"text": data["base64"]}, path)
    if isinstance(data, str):
        return data.encode("utf-8", "surrogateescape")
    raise Misfit(path, f'{data!r} is no text; bytes that are none are written as {{ base64 = "AP8=" }}')


def _read_word(kind: type[Enum], data: Any, path: Path) -> Enum:
    members = kind.__members__
    if not isinstance(data, str) or data not in members:
        raise Misfit(path, not_known(f"{path[-1]}={data!r}", data, members))
    return members[data]


def _read_fields(kind: type[Value], data: Any, path: Path) -> Value:
    if not isinstance(data, Mapping):
        raise Misfit(path, f"{data!r} is no table of the settings of {kind.__name__}")
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}  # type: ignore[arg-type]  # it is one
    for key in data:
        if key not in fields:
            raise Misfit((*path, key), not_known(f"{key!r} in {kind.__name__}", key, fields))
    for name, field in fields.items():
        if name not in data and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise Misfit(path, f"{kind.__name__} needs {name!r}")
    hints = get_type_hints(kind)
    return _made(kind, {key: _read(hints[key], value, (*path, key)) for key, value in data.items()}, path)


def _made(make: Callable[..., Value], arguments: dict[str, Any], path: Path) -> Value:
    """What is made of arguments; what speaks against that is told of the argument that its message begins with."""
    try:
        return make(**arguments)
    except ScenarioError as error:
        blamed = str(error).partition("=")[0]
        raise Misfit((*path, blamed) if blamed in arguments else path, str(error)) from None
    except (TypeError, ValueError) as error:
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        raise Misfit(path, f"{given} can't be read: {error}") from None


def not_known(what: str, given: object, allowed: Iterable[str]) -> str:
    """The message for a name that is not one of those there are."""
    names = sorted(allowed)
    close = difflib.get_close_matches(given, names, 1) if isinstance(given, str) else []
    guess = f"; did you mean {close[0]!r}?" if close else ""
    return f"{what} is not known; allowed are {', '.join(names) or 'none'}{guess}"
