"""One call of the Engine API as its handlers see it, and the errors that it is answered with."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from fake_servers.docker_engine.filters import Filters, read_filters
from fake_servers.docker_engine.times import read_instant
from fake_servers.http import Request, Response
from fake_servers.service import Answer
from fake_servers.validation import Field, Invalid, read

__all__ = ["Call", "EngineError", "Routes", "error_response", "is_versioned", "read_fields", "unversioned"]

Routes: TypeAlias = "dict[str, Callable[[Call], Awaitable[Answer]]]"  #: by method and path, names in braces

_VERSION: Final = re.compile(r"/v[0-9]+\.[0-9]+(?=/|$)")
_FALSE: Final = frozenset({"", "0", "no", "false", "none"})
_NUMBER: Final = re.compile(r"[-+]?[0-9]{1,18}")


class EngineError(Exception):
    """A call that is answered with an error, ``{"message": ...}``."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def error_response(status: int, message: str) -> Response:
    """An error in the engine's shape; a 304 has no body."""
    return Response(status=304) if status == 304 else Response.json({"message": message}, status=status)


def unversioned(path: str) -> str:
    """The path without ``/v1.47`` or the like at its start."""
    return _VERSION.sub("", path, count=1)


def is_versioned(path: str) -> bool:
    """Whether the path begins with a version."""
    return _VERSION.match(path) is not None


class Call:
    """A request, the names in its path, and its parameters read as the engine reads them."""

    def __init__(self, request: Request, names: Iterable[str]) -> None:
        self.request = request
        self.names = tuple(_clean(unquote(name)) for name in names)
        self._query = {_clean(name): _clean(value) for name, value in request.query.items()}

    @property
    def name(self) -> str:
        """The first name in the path."""
        return self.names[0]

    @property
    def upgrades(self) -> bool:
        """Whether the client asked for the connection to become a plain stream of bytes."""
        return "upgrade" in self.request.headers.get("Connection", "").lower()

    def text(self, name: str, default: str = "") -> str:
        """A parameter as it is."""
        return self._query.get(name, default)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A parameter that is true unless it is empty, 0, no, false or none."""
        value = self._query.get(name)
        return default if value is None else value.strip().lower() not in _FALSE

    def number(self, name: str, default: int | None = None) -> int | None:
        """A parameter that is a whole number.

        Raises:
            EngineError: 400, it is something else.
        """
        value = self._query.get(name, "")
        if not value:
            return default
        if not _NUMBER.fullmatch(value):
            raise EngineError(400, f"invalid parameter '{name}': {value!r} is not a whole number")
        return int(value)

    def instant(self, name: str) -> float | None:
        """A parameter that is an instant, in seconds since 1970; None when there is none.

        Raises:
            EngineError: 400, it is something else.
        """
        try:
            return read_instant(self._query.get(name, ""))
        except ValueError as error:
            raise EngineError(400, f"invalid parameter '{name}': {error}") from None

    def filters(self, allowed: Iterable[str]) -> Filters:
        """The parameter ``filters``.

        Raises:
            EngineError: 400, it is malformed or has a filter that is not allowed.
        """
        try:
            return read_filters(self._query.get("filters", ""), allowed)
        except ValueError as error:
            raise EngineError(400, str(error)) from None

    def body(self, fields: Iterable[Field], *, required: bool = True) -> dict[str, Any]:
        """The fields of the JSON body; one that is null counts as left out.

        Raises:
            EngineError: 400, it is no JSON object, or a field is missing or wrong.
        """
        if not self.request.body.strip():
            if required:
                raise EngineError(400, "invalid JSON: got EOF while reading request body")
            return read({}, fields, at=())
        return read_fields(self._decoded(), fields)

    def _decoded(self) -> Any:
        try:
            value = self.request.json()
            json.dumps(value)  # what is kept of it must be able to leave again
        except (ValueError, RecursionError) as error:
            raise EngineError(400, f"invalid JSON: {error}") from None
        return value


def read_fields(value: Any, fields: Iterable[Field], *at: str) -> dict[str, Any]:
    """Read the fields of an object; one that is null counts as left out.

    Raises:
        EngineError: 400, with the field named.
    """
    present = {name: item for name, item in value.items() if item is not None} if isinstance(value, dict) else value
    try:
        return read(present, fields, at=at)
    except Invalid as invalid:
        problem = invalid.problems[0]
        place = ".".join(str(part) for part in problem["loc"]) or "request body"
        raise EngineError(400, f"invalid JSON: {place}: {problem['msg']}") from None


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
