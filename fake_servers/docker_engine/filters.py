"""The parameter ``filters``: ``{"name": ["value", ...]}``, or in an older form ``{"name": {"value": true}}``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

__all__ = ["Filters", "label_matches", "read_filters"]


class Filters:
    """Values by filter; of one filter any value will do, and every filter must be met."""

    def __init__(self, values: Mapping[str, tuple[str, ...]]) -> None:
        self._values = dict(values)

    def get(self, name: str) -> tuple[str, ...]:
        """The values of a filter; none when it is not set."""
        return self._values.get(name, ())

    def allows(self, name: str, test: Callable[[str], bool]) -> bool:
        """Whether a filter is not set, or one of its values passes the test."""
        return name not in self._values or any(test(value) for value in self._values[name])

    def allows_labels(self, labels: Mapping[str, str]) -> bool:
        """Whether every value of the filter ``label`` is met: ``name`` or ``name=value``."""
        return all(label_matches(value, labels) for value in self.get("label"))


def label_matches(wanted: str, labels: Mapping[str, str]) -> bool:
    """Whether there is the label ``name``, or with this value ``name=value``."""
    name, equals, value = wanted.partition("=")
    return name in labels and (not equals or labels[name] == value)


def read_filters(text: str, allowed: Iterable[str]) -> Filters:
    """Read the parameter.

    Raises:
        ValueError: it is malformed, or has a filter that is not allowed.
    """
    try:
        given = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        raise ValueError(f"invalid filter: {text[:99]!r} is not JSON") from None
    if not isinstance(given, dict):
        raise ValueError("invalid filter: it must be an object of lists")
    known = frozenset(allowed)
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(f"invalid filter '{unknown[0]}'")
    return Filters({name: _values(name, values) for name, values in given.items()})


def _values(name: str, values: object) -> tuple[str, ...]:
    found = [value for value, is_set in values.items() if is_set] if isinstance(values, dict) else values
    if not isinstance(found, list) or not all(isinstance(value, str) for value in found):
        raise ValueError(f"invalid filter '{name}': its values must be a list of strings")
    return tuple(found)
