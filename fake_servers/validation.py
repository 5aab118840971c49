"""JSON requests checked field by field; what is wrong is answered 422, in the shape that FastAPI answers with."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fake_servers.http import Request, Response

__all__ = ["Field", "Invalid", "read", "read_body"]

_REQUIRED: Final = object()
_NAMES: Final = {str: "string", dict: "object", list: "array", (int, float): "number", bool: "boolean", int: "integer"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a JSON object.

    Args:
        name: as it stands in the object.
        kind: what it must be; a number must be finite.
        default: what it is where it is left out; without one, it must be there.
        items: what the elements of a list, or the values of an object, must be.
    """

    name: str
    kind: type | tuple[type, ...]
    default: Any = _REQUIRED
    items: type | None = None


class Invalid(ValueError):
    """A request that can't be understood; ``problems`` name the fields."""

    def __init__(self, problems: list[dict[str, Any]]) -> None:
        self.problems = problems
        super().__init__(str(problems))

    def response(self) -> Response:
        """The answer: 422 and every problem."""
        return Response.json({"detail": self.problems}, status=422)


def read_body(request: Request, fields: Iterable[Field]) -> dict[str, Any]:
    """Decode a request's body and read its fields.

    Raises:
        Invalid: it is no JSON object, or a field is missing or wrong.
    """
    try:
        value = request.json()
    except (ValueError, RecursionError) as error:
        raise Invalid([_problem(("body",), f"JSON decode error: {error}", "json_invalid")]) from None
    return read(value, fields, at=("body",))


def read(value: Any, fields: Iterable[Field], *, at: tuple[str, ...]) -> dict[str, Any]:
    """Read fields from a decoded object; a field that is not known is passed over.

    Raises:
        Invalid: it is no object, or a field is missing or wrong.
    """
    if not isinstance(value, Mapping):
        raise Invalid([_problem(at, "Input should be a valid object", "dict_type")])
    result: dict[str, Any] = {}
    problems: list[dict[str, Any]] = []
    for field in fields:
        given = value.get(field.name, _REQUIRED)
        if given is not _REQUIRED:
            problems += _mismatches(given, field, (*at, field.name))
            result[field.name] = given
        elif field.default is not _REQUIRED:
            result[field.name] = copy.copy(field.default) if isinstance(field.default, (list, dict)) else field.default
        else:
            problems.append(_problem((*at, field.name), "Field required", "missing"))
    if problems:
        raise Invalid(problems)
    return result


def _mismatches(value: Any, field: Field, at: tuple[str | int, ...]) -> list[dict[str, Any]]:
    problems = _faults(value, field.kind, at)
    if problems or field.items is None:
        return problems
    elements = value.items() if isinstance(value, dict) else enumerate(value)
    return [problem for key, element in elements for problem in _faults(element, field.items, (*at, key))]


def _faults(value: Any, kind: type | tuple[type, ...], at: tuple[str | int, ...]) -> list[dict[str, Any]]:
    if not _fits(value, kind):
        return [_wrong_type(at, kind)]
    if isinstance(value, (int, float)) and not _is_finite(value):
        return [_problem(at, "Input should be a finite number", "finite_number")]
    if isinstance(value, str) and not _is_text(value):
        message = "Input should be a valid string, unable to parse raw data as a unicode string"
        return [_problem(at, message, "string_unicode")]
    return []


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number that no float can hold
        return False


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can escape
        return False
    return True


def _wrong_type(at: tuple[str | int, ...], kind: type | tuple[type, ...]) -> dict[str, Any]:
    name = _NAMES.get(kind, str(kind))
    return _problem(at, f"Input should be a valid {name}", f"{name}_type")


def _fits(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _problem(at: tuple[str | int, ...], message: str, kind: str) -> dict[str, Any]:
    return {"type": kind, "loc": list(at), "msg": message}
