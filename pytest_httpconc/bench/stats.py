"""Percentiles, intervals and significance: plain functions of numbers. numpy and scipy do the work."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np

__all__ = ["FLOOR", "Count", "Ratio", "paired_ratio", "percentile", "steady_ratio"]

Array: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

_RESAMPLES: Final = 1000
Statistic: TypeAlias = "Callable[[Array, Array, int], Array]"
#: The percentile of rounds that stands for an undisturbed one.
FLOOR: Final = 20
_CONFIDENCE: Final = 0.95
_SEED: Final = 0  # the interval of the same rounds is the same interval


class Count(int):
    """A count that may vary from round to round: as a number it is the most that was seen.

    Args:
        seen: one value a round, at least one.
    """

    least: int
    typical: int

    def __new__(cls, seen: Iterable[int]) -> Count:
        values = sorted(seen)
        count = super().__new__(cls, values[-1])
        count.least = values[0]
        count.typical = values[len(values) // 2]
        return count

    @property
    def most(self) -> int:
        """The most that was seen."""
        return int(self)

    def __str__(self) -> str:
        return f"{self.least:,}" if self.least == self.most else f"{self.least:,} to {self.most:,}"


class Ratio(float):
    """A ratio with its interval of 95 %.

    Args:
        value: the ratio.
        low: where the interval begins; 0 where one round can't tell.
        high: where it ends; infinite where one round can't tell.
    """

    __slots__ = ("high", "low")

    def __new__(cls, value: float, low: float, high: float) -> Ratio:
        return super().__new__(cls, value)

    def __init__(self, value: float, low: float, high: float) -> None:
        self.low = low
        self.high = high

    @property
    def error(self) -> float:
        """Half of the interval's width as a part of the ratio; infinite where one round can't tell."""
        return (self.high - self.low) / 2 / self if self else math.inf

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"{float(self):.2f} (one round)"
        return f"{float(self):.2f} ({self.low:.2f} to {self.high:.2f})"


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which ``percent`` (0 to 100) of the values lie, interpolated."""
    return float(np.percentile(values, percent))


def paired_ratio(over: Sequence[float], under: Sequence[float]) -> Ratio:
    """The median of the ratios of paired rounds, with its interval.

    Args:
        over: a positive figure of each round.
        under: the same of each round of the other side, in the same order.
    """
    return _with_interval(over, under, lambda a, b, axis: np.median(a / b, axis=axis))


def steady_ratio(over: Sequence[float], under: Sequence[float]) -> Ratio:
    """The ratio of what both sides take on a machine that others use too, with its interval.

    The geometric mean of two ratios that wander for different reasons: that of the rounds at the lower fifth, as what
    disturbs a round only ever adds to its CPU time; and the median over paired rounds, as two in a row meet much the
    same. Over rounds of a busy machine it varied less than either, for calls in a loop and in threads alike.

    Args:
        over: a positive figure of each round.
        under: the same of each round of the other side, in the same order.
    """

    def ratio(a: Array, b: Array, axis: int) -> Array:
        floors = np.percentile(a, FLOOR, axis=axis) / np.percentile(b, FLOOR, axis=axis)
        mean: Array = np.sqrt(floors * np.median(a / b, axis=axis))
        return mean

    return _with_interval(over, under, ratio)


def _with_interval(
    over: Sequence[float], under: Sequence[float], statistic: Callable[[Array, Array, int], Array]
) -> Ratio:
    """A statistic of paired rounds, with the percentile interval of its bootstrap over pairs.

    Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13.
    """
    data = (np.asarray(over, dtype=float), np.asarray(under, dtype=float))
    value = float(statistic(*data, 0))
    if len(over) < 2:
        return Ratio(value, 0.0, math.inf)
    from scipy.stats import bootstrap

    interval = bootstrap(
        data,
        statistic,
        paired=True,
        vectorized=True,
        n_resamples=_RESAMPLES,
        confidence_level=_CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    return Ratio(value, min(float(interval.low), value), max(float(interval.high), value))
