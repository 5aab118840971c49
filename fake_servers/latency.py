"""How long a server takes: distributions of durations in seconds, sampled with a seeded generator.

A distribution is a small value; it holds no state, so the same generator gives the same durations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from fake_servers.errors import ScenarioError

__all__ = [
    "Empirical",
    "Exponential",
    "Fixed",
    "Latency",
    "Lognormal",
    "Normal",
    "Uniform",
    "empirical",
    "exponential",
    "fixed",
    "lognormal",
    "normal",
    "of",
    "uniform",
]


class Latency(Protocol):
    """Anything that yields a duration in seconds, 0 or more, from a generator."""

    def sample(self, random: Random) -> float: ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always ``seconds``."""

    seconds: float

    def __post_init__(self) -> None:
        _check(seconds=self.seconds)

    def sample(self, random: Random) -> float:
        return self.seconds


@dataclass(frozen=True, slots=True)
class Uniform:
    """Any duration from ``low`` to ``high`` seconds, equally likely."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check(low=self.low, high=self.high)
        if self.high < self.low:
            raise ScenarioError(f"high={self.high!r} is below low={self.low!r}, as it must not be")

    def sample(self, random: Random) -> float:
        return random.uniform(self.low, self.high)


@dataclass(frozen=True, slots=True)
class Normal:
    """Normally distributed around ``mean`` with deviation ``stdev`` seconds; what would be negative is 0."""

    mean: float
    stdev: float

    def __post_init__(self) -> None:
        _check(mean=self.mean, stdev=self.stdev)

    def sample(self, random: Random) -> float:
        return max(0.0, random.gauss(self.mean, self.stdev))


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Skewed as service times are: ``median`` seconds, and ``sigma`` of the logarithm (0.4 is mild, 1 heavy)."""

    median: float
    sigma: float

    def __post_init__(self) -> None:
        _check(median=self.median, sigma=self.sigma)
        if self.median == 0:
            raise ScenarioError("median=0 has no logarithm; give a median above 0, as in median=0.05")

    def sample(self, random: Random) -> float:
        return random.lognormvariate(math.log(self.median), self.sigma)


@dataclass(frozen=True, slots=True)
class Exponential:
    """Memoryless, with this ``mean`` in seconds."""

    mean: float

    def __post_init__(self) -> None:
        _check(mean=self.mean)

    def sample(self, random: Random) -> float:
        return random.expovariate(1 / self.mean) if self.mean else 0.0


@dataclass(frozen=True, slots=True)
class Empirical:
    """One of the ``samples`` that were measured somewhere, in seconds, each equally likely."""

    samples: tuple[float, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.samples:
            raise ScenarioError("samples=() is empty; give at least one duration, as in empirical([0.02, 0.05])")
        for sample in self.samples:
            _check(sample=sample)

    def sample(self, random: Random) -> float:
        return random.choice(self.samples)


def fixed(seconds: float) -> Fixed:
    """Always ``seconds``."""
    return Fixed(seconds)


def uniform(low: float, high: float) -> Uniform:
    """Any duration from ``low`` to ``high`` seconds, equally likely."""
    return Uniform(low, high)


def normal(mean: float, stdev: float) -> Normal:
    """Normally distributed around ``mean`` with deviation ``stdev`` seconds; never below 0."""
    return Normal(mean, stdev)


def lognormal(median: float, sigma: float) -> Lognormal:
    """Skewed as service times are, with this ``median`` in seconds and ``sigma`` of the logarithm."""
    return Lognormal(median, sigma)


def exponential(mean: float) -> Exponential:
    """Memoryless, with this ``mean`` in seconds."""
    return Exponential(mean)


def empirical(samples: Sequence[float]) -> Empirical:
    """One of the measured ``samples``, in seconds."""
    return Empirical(tuple(samples))


def of(value: float | Latency) -> Latency:
    """A distribution from a number of seconds or from a distribution.

    Raises:
        ScenarioError: the value is neither.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Fixed(value)
    if not isinstance(value, (int, float)) and callable(getattr(value, "sample", None)):
        return value
    raise ScenarioError(
        f"latency {value!r} is neither seconds nor a distribution, as in 0.05 or latency.normal(1, 0.2)"
    )


def _check(**durations: float) -> None:
    for name, value in durations.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0:
            raise ScenarioError(f"{name}={value!r} is not a duration; allowed are seconds from 0 up, as in {name}=0.05")
