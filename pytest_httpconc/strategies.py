"""Hypothesis strategies for scenarios: a storm that breaks a client shrinks to the one injection that does.

Everything shrinks towards the simplest: fewer injections, no latency, the fault that is named first, acting once and
at once. Importing this module needs hypothesis.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, get_args

try:
    from hypothesis import strategies as st
    from hypothesis.strategies import SearchStrategy
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(f"{__name__} needs hypothesis; install it by pip install hypothesis") from error

from fake_servers import latency
from fake_servers.errors import ScenarioError
from fake_servers.faults import (
    AtListener,
    AtMoment,
    Disconnect,
    Dribble,
    Fault,
    HalfClose,
    Heartbeats,
    Malformed,
    MalformedPart,
    Moment,
    Refuse,
    Reset,
    Stall,
    Status,
    Throttle,
    WrongCertificate,
    WrongLength,
    WrongReason,
)
from fake_servers.latency import Latency
from fake_servers.scenario import Injection, Scenario

__all__ = ["Drawn", "drawn", "faults", "injections", "latencies", "scenario"]

_DEFAULT_KINDS: Final = (Status, Disconnect, Reset, Stall, WrongLength, Malformed, HalfClose, Dribble, Throttle, Refuse)
_STATUSES: Final = (503, 500, 429, 404)
_MOMENTS: Final = tuple(moment for moment in Moment if moment is not Moment.RESPONSE)
_MOST_AFTER: Final = 2
_LONGEST_HEAD: Final = 400  # bytes, about as many as an answer has


@dataclass(frozen=True, slots=True)
class Drawn:
    """A scenario that was drawn, and when: what starts later has to do with it."""

    scenario: Scenario
    at: float


#: The scenario that was drawn last, alone. Hypothesis runs the smallest failing example last.
drawn: Final[list[Drawn]] = []


def scenario(
    *,
    on: str | Sequence[str] = "*",
    kinds: Iterable[type[Fault] | Fault] = (),
    max_injections: int = 3,
    latency_up_to: float = 0.02,
    max_times: int = 2,
) -> SearchStrategy[Scenario]:
    """Scenarios; a failing test that drew one leaves the smallest as a file.

    Args:
        on: which requests are met, as ``"METHOD /path"``, or several of these to choose from, the simplest first.
        kinds: as for `faults`.
        max_injections: how many injections at most, 1 or more.
        latency_up_to: seconds, 0 for no latency.
        max_times: how often an injection acts at most, 1 or more.

    Raises:
        ScenarioError: an argument is out of range.
    """
    _check("max_injections", max_injections, 1)
    parts = injections(on=on, kinds=kinds, latency_up_to=latency_up_to, max_times=max_times)
    return st.lists(parts, max_size=max_injections).map(lambda some: _remember(Scenario(some)))


def _remember(storm: Scenario) -> Scenario:
    drawn[:] = [Drawn(storm, time.monotonic())]
    return storm


def injections(
    *,
    on: str | Sequence[str] = "*",
    kinds: Iterable[type[Fault] | Fault] = (),
    latency_up_to: float = 0.02,
    max_times: int = 2,
) -> SearchStrategy[Injection]:
    """Injections of one fault or one latency each.

    Args:
        on: as for `scenario`.
        kinds: as for `faults`.
        latency_up_to: seconds, 0 for no latency; faults that take time take no longer either, or 0.02 s.
        max_times: how often one acts at most, 1 or more.

    Raises:
        ScenarioError: an argument is out of range.
    """
    _check("max_times", max_times, 1)
    places = [on] if isinstance(on, str) else list(on)
    for place in places:
        Injection(on=place, latency=latency.fixed(0))  # says what is wrong with a pattern
    if not places:
        raise ScenarioError("on=[] means no request; give at least one pattern, as in on='POST /orders'")
    # One choice for all three: hypothesis deletes what takes no more than five, and so a whole injection.
    when = st.sampled_from(sorted(product(places, range(_MOST_AFTER + 1), range(1, max_times + 1)), key=_simplicity))
    what: SearchStrategy[Fault | Latency] = faults(*kinds, seconds_up_to=latency_up_to or 0.02)
    if latency_up_to:
        what = what | latencies(latency_up_to)
    return st.builds(_injection_of, what, when)


def _simplicity(when: tuple[str, int, int]) -> int:
    _, after, times = when
    return after + times


def _injection_of(what: Fault | Latency, when: tuple[str, int, int]) -> Injection:
    """An injection of a fault or a latency, with what can apply to it."""
    on, after, times = when
    if not isinstance(what, Fault):
        return Injection(on=on, latency=what, after=after, times=times)
    if isinstance(what, AtListener):
        return Injection(fault=what, after=after)
    on = "*" if Injection(fault=what).meets_connections else on
    return Injection(on=on, fault=what, after=after, times=times)


def faults(*kinds: type[Fault] | Fault, seconds_up_to: float = 0.02) -> SearchStrategy[Fault]:
    """Faults of these kinds.

    Args:
        kinds: classes of `fake_servers.faults`, of which all settings are tried, or faults that are taken as they are;
            the simplest first. When none is given: all that need no TLS, end by themselves and take next to no time.
        seconds_up_to: how long those that take time take at most, above 0.

    Raises:
        ScenarioError: an argument is neither, or out of range.
    """
    _seconds("seconds_up_to", seconds_up_to)
    if not seconds_up_to:
        raise ScenarioError("seconds_up_to=0 is out of range; allowed are seconds above 0, as in seconds_up_to=0.02")
    return st.one_of(*(_of_kind(kind, seconds_up_to) for kind in kinds or _DEFAULT_KINDS))


def _of_kind(kind: type[Fault] | Fault, seconds: float) -> SearchStrategy[Fault]:
    if isinstance(kind, Fault):
        return st.just(kind)
    if not (isinstance(kind, type) and issubclass(kind, Fault)):
        raise ScenarioError(f"{kind!r} is no fault; give classes or faults, as in faults(Disconnect, Status(503))")
    if issubclass(kind, AtMoment):
        lasting = {"seconds": st.floats(0, seconds)} if kind is Stall else {}
        return _at_moments(kind, lasting)
    settings = _SETTINGS.get(kind)
    try:
        return st.builds(kind, **settings) if settings is not None else _timed(kind, seconds)
    except TypeError:
        raise ScenarioError(
            f"{kind.__name__} has settings to be chosen; give one with them, as in Redirect('/')"
        ) from None


def _at_moments(kind: type[AtMoment], settings: dict[str, Any]) -> SearchStrategy[Fault]:
    # Executed and not answered comes first: of all moments it is the one that most clients get wrong.
    moments = sorted(_MOMENTS, key=lambda moment: moment is not Moment.EXECUTED)
    return st.builds(kind, at=st.sampled_from(moments), **settings) | st.builds(
        kind, after_bytes=st.integers(0, _LONGEST_HEAD), **settings
    )


def _timed(kind: type[Fault], seconds: float) -> SearchStrategy[Fault]:
    if issubclass(kind, AtListener):
        return st.builds(kind, seconds=st.floats(0, seconds))
    if issubclass(kind, Dribble):
        return st.builds(kind, size=st.integers(64, 512), interval=st.floats(seconds / 100, seconds / 10))
    return st.just(kind())


_SETTINGS: Final[dict[type[Fault], dict[str, SearchStrategy[Any]]]] = {
    Status: {"status": st.sampled_from(_STATUSES)},
    WrongLength: {"delta": st.integers(1, 9) | st.integers(-9, -1)},
    Malformed: {"part": st.sampled_from(get_args(MalformedPart))},
    WrongCertificate: {"reason": st.sampled_from(get_args(WrongReason))},
    Throttle: {"rate": st.sampled_from([1e6, 1e5])},
    Heartbeats: {"interval": st.floats(0.001, 0.05)},
}


def latencies(up_to: float = 0.02) -> SearchStrategy[Latency]:
    """Latencies of a fixed length, or uniformly distributed, of ``up_to`` seconds at most.

    Raises:
        ScenarioError: it is no length.
    """
    _seconds("up_to", up_to)
    lengths = st.floats(0, up_to)
    spread = st.tuples(lengths, lengths).map(lambda pair: latency.uniform(min(pair), max(pair)))
    return lengths.map(latency.fixed) | spread


def _check(name: str, value: int, minimum: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ScenarioError(
            f"{name}={value!r} is out of range; allowed are whole numbers from {minimum} up, as in {name}=2"
        )


def _seconds(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise ScenarioError(f"{name}={value!r} is out of range; allowed are seconds from 0 up, as in {name}=0.02")
