"""What is checked when a test ends: the marker's arguments, with the ini options as defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from fake_servers.errors import ScenarioError
from pytest_httpconc.findings import check_codes

__all__ = ["Policy"]

Leaks = Literal["fail", "warn", "allow"]
Host = Literal["thread", "loop", "process"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The options of ``@pytest.mark.httpconc(...)``; each is an ini option ``httpconc_...`` too.

    Args:
        leaks: what a leak leads to: ``"fail"``, ``"warn"`` or ``"allow"``.
        max_idle: how many idle connections a pool that outlives the test may keep.
        at_most_once: whether no request with a non-idempotent method may be sent again.
        max_connections: the limit of the client's pool.
        min_concurrency: how many exchanges must have been in flight together.
        min_speedup: the required speedup.
        ignore: codes of findings to pass over.
        host: where the fixtures' servers run: ``"thread"``, ``"loop"`` or ``"process"``; a thread, and with
            ``virtual_time`` the loop, when omitted.
        grace: the longest time in seconds that a check waits for things to settle.
        virtual_time: whether an async test, and its fixtures' servers with it, run on a virtual clock.
    """

    leaks: Leaks = "fail"
    max_idle: int = 0
    at_most_once: bool = False
    max_connections: int | None = None
    min_concurrency: int | None = None
    min_speedup: float | None = None
    ignore: frozenset[str] = frozenset()
    host: Host | None = None
    grace: float = 1.0
    virtual_time: bool = False

    def __post_init__(self) -> None:
        _one_of("leaks", self.leaks, get_args(Leaks))
        _one_of("host", self.host or "thread", get_args(Host))
        _one_of("at_most_once", self.at_most_once, (True, False))
        _one_of("virtual_time", self.virtual_time, (True, False))
        if self.virtual_time and self.host in {"thread", "process"}:
            raise ScenarioError(
                f"virtual_time=True and host={self.host!r} can't go together: beside a {self.host}, a virtual clock "
                "runs ahead; leave host out, or slow nothing down with a server's time_scale=0.01"
            )
        _whole("max_idle", self.max_idle, 0)
        _whole("max_connections", self.max_connections, 1)
        _whole("min_concurrency", self.min_concurrency, 1)
        _seconds_or_factor("min_speedup", self.min_speedup)
        _seconds_or_factor("grace", self.grace)
        object.__setattr__(self, "ignore", check_codes(self.ignore))

    @property
    def needs_a_server(self) -> bool:
        """Whether it asks for something that only a test with a fake server can fulfil."""
        asked = (self.max_connections, self.min_concurrency, self.min_speedup)
        return self.at_most_once or any(value is not None for value in asked)

    @property
    def runs_in_loop(self) -> bool:
        """Whether the fixtures' servers run in the test's own loop."""
        return self.host == "loop" or self.virtual_time

    @property
    def server_host(self) -> Host:
        """Where the fixtures' servers run."""
        return "loop" if self.runs_in_loop else self.host or "thread"

    def with_marker(self, arguments: Mapping[str, Any]) -> Policy:
        """This policy with a marker's keyword arguments in place of its own.

        Raises:
            ScenarioError: an argument is unknown or out of range.
        """
        known = {field.name for field in fields(self)}
        unknown = sorted(set(arguments) - known)
        if unknown:
            raise ScenarioError(
                f"the httpconc marker does not know {', '.join(unknown)}; allowed are {', '.join(sorted(known))}"
            )
        return replace(self, **arguments)

    @classmethod
    def from_ini(cls, values: Mapping[str, Any]) -> Policy:
        """A policy from ini options, by name without ``httpconc_``; those not set keep their defaults.

        Raises:
            ScenarioError: a value can't be read or is out of range.
        """
        return cls(**{name: _read(name, value) for name, value in values.items() if value not in (None, "", [])})


def _read(name: str, value: Any) -> Any:
    if not isinstance(value, str) or name in {"leaks", "host"}:
        return frozenset(value) if isinstance(value, list) else value
    try:
        return float(value) if name in {"min_speedup", "grace"} else int(value)
    except ValueError:
        raise ScenarioError(f"httpconc_{name}={value!r} is not a number, as in httpconc_{name} = 1") from None


def _one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise ScenarioError(f"{name}={value!r} is not known; allowed are {', '.join(map(repr, allowed))}")


def _whole(name: str, value: int | None, minimum: int) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < minimum):
        raise ScenarioError(
            f"{name}={value!r} is out of range; allowed are whole numbers from {minimum} up, as in {name}=2"
        )


def _seconds_or_factor(name: str, value: float | None) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is not None and not (number and math.isfinite(value) and value > 0):
        raise ScenarioError(f"{name}={value!r} is out of range; allowed are numbers above 0, as in {name}=1.5")
