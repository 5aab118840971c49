"""``"METHOD /path"`` patterns: which exchanges a rule, a query or a handler is about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from fake_servers.errors import ScenarioError

__all__ = ["ANY", "Pattern", "Router"]

Target = TypeVar("Target")

_SHAPE = re.compile(r"(?P<method>\*|[A-Z][A-Z-]*) (?P<path>/\S*|\*)")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed ``on``: ``*`` stands for one path segment, ``**`` at the end for any rest, ``"*"`` for all."""

    text: str
    method: str | None
    path: str | None
    regex: re.Pattern[str] | None

    @staticmethod
    @lru_cache(maxsize=4096)
    def parse(text: str) -> Pattern:
        """Read a pattern such as ``"POST /execute"``, ``"GET /jobs/*"``, ``"* /v1/**"`` or ``"*"``.

        Raises:
            ScenarioError: the text has another form.
        """
        if text == "*":
            return Pattern(text, None, None, None)
        shape = _SHAPE.fullmatch(text) if isinstance(text, str) else None
        if shape is None:
            raise ScenarioError(
                f"on={text!r} is not a pattern; allowed are 'METHOD /path' with the method in capitals, "
                "'*' for one path segment, '**' for any rest, or '*' alone, as in on='POST /execute'"
            )
        method = None if shape["method"] == "*" else shape["method"]
        path = None if shape["path"] == "*" else shape["path"]
        return Pattern(text, method, path, _path_regex(path) if path and "*" in path else None)

    @property
    def is_exact(self) -> bool:
        """Whether the pattern names one method and one path."""
        return self.method is not None and self.path is not None and self.regex is None

    def matches(self, method: str, path: str) -> bool:
        """Whether a request with this method and path is meant."""
        if self.method is not None and method != self.method:
            return False
        return self.matches_path(path)

    def matches_path(self, path: str) -> bool:
        """Whether a request with this path is meant, whatever its method."""
        if self.regex is not None:
            return self.regex.fullmatch(path) is not None
        return self.path is None or path == self.path


ANY = Pattern.parse("*")


class Router(Generic[Target]):
    """Finds what is registered for a request; an exact path goes before a pattern, then first come, ``"*"`` last."""

    def __init__(self) -> None:
        self._exact: dict[tuple[str, str], Target] = {}
        self._patterns: dict[Pattern, Target] = {}

    def add(self, text: str, target: Target) -> None:
        """Register ``target`` for a pattern; a pattern registered again is replaced."""
        pattern = Pattern.parse(text)
        if pattern.method is not None and pattern.path is not None and pattern.regex is None:
            self._exact[pattern.method, pattern.path] = target
        else:
            self._patterns[pattern] = target

    def find(self, method: str, path: str) -> Target | None:
        """What is registered for this request; a HEAD falls back to GET."""
        target = self._exact.get((method, path))
        if target is not None:
            return target
        for pattern, candidate in self._patterns.items():
            if pattern.text != "*" and pattern.matches(method, path):
                return candidate
        return self.find("GET", path) if method == "HEAD" else self._patterns.get(ANY)

    def registered(self, text: str) -> Target | None:
        """What is registered for a pattern."""
        pattern = Pattern.parse(text)
        if pattern.is_exact:
            return self._exact.get((pattern.method or "", pattern.path or ""))
        return self._patterns.get(pattern)

    def methods(self, path: str) -> list[str]:
        """The methods that are registered for a path."""
        return sorted({p.method or "*" for p in self._all() if p.matches_path(path)})

    def __iter__(self) -> Iterator[str]:
        return (pattern.text for pattern in self._all())

    def _all(self) -> Iterator[Pattern]:
        yield from (Pattern.parse(f"{method} {path}") for method, path in self._exact)
        yield from self._patterns


def _path_regex(path: str) -> re.Pattern[str]:
    body, rest = (path[:-3], r"(?:/.*)?") if path.endswith("/**") else (path, "")
    segments = body.split("/")
    if any("*" in segment and segment != "*" for segment in segments):
        raise ScenarioError(
            f"path {path!r}: '*' stands for one whole segment and '**' only at the end, as in '/jobs/*' or '/v1/**'"
        )
    return re.compile("/".join("[^/]+" if s == "*" else re.escape(s) for s in segments) + rest, re.DOTALL)
