"""Whether connections leak: judged by the floor to which their number falls back, and never by its peaks.

Bursts of requests take connections and give them back: the count goes up and down, and its floor stays. The floor of a
pool that fills rises more and more slowly, and then stays; that of a leak rises for ever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import copysign, inf, sqrt
from statistics import fmean, linear_regression, stdev
from typing import Final

from fake_servers.words import Word

__all__ = ["FEWEST", "History", "Trend", "Verdict", "judge"]

#: The series is cut into so many blocks of time, and the floor is the least count of each. The first quarter counts for
#: nothing: a pool may fill.
_BLOCKS: Final = 24
_SETTLING: Final = _BLOCKS // 4
_PART: Final = _BLOCKS // 4
#: Counts that a verdict takes.
FEWEST: Final = _BLOCKS
#: Standard deviations. Level pools whose connections live for up to as long as they are watched (Poisson arrivals,
#: exponential lives) get there at fewer than one look in 1,000, and in fewer than one run in 100 at any of its looks.
_CERTAIN: Final = 5.0
#: A leak does not slow down: in the last part it grows by more than this much of its growth in the one before.
_FADING: Final = 0.7


class Trend(Word):
    """What becomes of a number of connections."""

    LEAK = "leak"
    LEVEL = "level"
    FILLING = "filling"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The trend of a series of counts.

    Args:
        trend: in a word.
        rate: connections per second by which the floor has risen of late; 0.0 where it is level or not known.
    """

    trend: Trend
    rate: float = 0.0

    def __str__(self) -> str:
        if self.trend is Trend.LEAK:
            return f"leak: {self._pace} that never go away"
        if self.trend is Trend.FILLING:
            return f"filling: {self._pace} of late, and more slowly than before"
        return "level" if self.trend is Trend.LEVEL else "too early to tell"

    @property
    def _pace(self) -> str:
        each_minute = self.rate * 60
        return f"{f'{each_minute:,.0f}' if each_minute >= 100 else f'{each_minute:.3g}'} more connections a minute"


def judge(counts: Sequence[int], *, interval: float) -> Verdict:
    """Tell a leak from a level pool, and from one that is filling.

    The floor rises if one of two tests says so. Connections live for longer than a look, so that counts follow those
    before them: Mann and Kendall's test is corrected for that, and the steps' is one against a walk at random, which
    wanders more than any level pool. The first sees a leak under noise; the second soon sees one that is steady. It is
    a leak's if it rises, in the end, about as fast as before.

    Args:
        counts: connections, at instants that are equally far apart; a verdict takes 24 or more. Bursts that take longer
            than about a quarter of the whole can't be told from a leak.
        interval: seconds between two of them, above 0.
    """
    if len(counts) < FEWEST:
        return Verdict(trend=Trend.UNKNOWN)
    floor = _floor(counts)[_SETTLING:]
    if max(_by_order(floor), _by_steps(floor)) < _CERTAIN:
        return Verdict(trend=Trend.LEVEL)
    first, second, last = (fmean(floor[part : part + _PART]) for part in range(0, len(floor), _PART))
    rate = (last - second) / (len(counts) / _BLOCKS * _PART * interval)
    if last - second > _FADING * (second - first) and rate > 0:
        return Verdict(trend=Trend.LEAK, rate=rate)
    return Verdict(trend=Trend.FILLING, rate=max(rate, 0.0))


def _floor(counts: Sequence[int]) -> list[int]:
    edges = [len(counts) * block // _BLOCKS for block in range(_BLOCKS + 1)]
    return [min(counts[begin:end]) for begin, end in pairwise(edges)]


def _by_order(values: Sequence[int]) -> float:
    """How many standard deviations above chance the later values are greater than the earlier ones.

    H. B. Mann, "Nonparametric tests against trend", Econometrica 13, 1945; with the correction for ties of R. O.
    Gilbert, "Statistical Methods for Environmental Pollution Monitoring", 1987, section 16.4.4, and that for
    autocorrelation of S. Yue and C. Wang, "The Mann-Kendall test modified by effective sample size", Water Resources
    Management 18, 2004.
    """
    number = len(values)
    score = sum((later > earlier) - (later < earlier) for earlier, later in combinations(values, 2))
    tied = sum(t * (t - 1) * (2 * t + 5) for t in Counter(values).values())
    variance = (number * (number - 1) * (2 * number + 5) - tied) / 18
    independent = (score - copysign(1, score)) / sqrt(variance) if score else 0.0
    follows = _autocorrelation(values)
    return independent * sqrt((1 - follows) / (1 + follows))


def _autocorrelation(values: Sequence[int]) -> float:
    """How much each value follows the one before it, besides a linear trend; 0.0 to 1.0, as for an AR(1) process.

    What few values show is too little; the correction is that of M. G. Kendall, "Note on bias in the estimation of
    autocorrelation", Biometrika 41, 1954, for a series whose trend is estimated too.
    """
    number = len(values)
    slope, start = linear_regression(range(number), values)
    rest = [value - start - slope * at for at, value in enumerate(values)]
    squares = sum(one * one for one in rest)
    shown = sum(one * other for one, other in pairwise(rest)) / squares if squares else 0.0
    return min(1.0, max(0.0, (number * shown + 2) / (number - 4)))


def _by_steps(values: Sequence[int]) -> float:
    """How many standard errors the mean step is above that of a walk at random, 0 (Student's t)."""
    steps = [later - earlier for earlier, later in pairwise(values)]
    mean, error = fmean(steps), stdev(steps) / sqrt(len(steps))
    return mean / error if error else copysign(inf, mean) if mean else 0.0


class History:
    """A series of counts, of any length: when it is full, each two become their floor.

    Args:
        most: how many are kept, an even number.
    """

    def __init__(self, *, most: int = 4096) -> None:
        self._most = most
        self._stride = 1
        self._pending: list[int] = []
        self._floors: list[int] = []
        self._added = 0
        self._first_at = self._last_at = 0.0

    def add(self, count: int, *, at: float) -> None:
        """Take in the next count, at an instant in seconds; they should be about equally far apart."""
        self._first_at, self._last_at = self._first_at if self._added else at, at
        self._added += 1
        self._pending.append(count)
        if len(self._pending) == self._stride:
            self._floors.append(min(self._pending))
            self._pending.clear()
        if len(self._floors) == self._most:
            self._floors = [min(pair) for pair in zip(self._floors[::2], self._floors[1::2], strict=True)]
            self._stride *= 2

    def verdict(self) -> Verdict:
        """What is to be said by now."""
        between = (self._last_at - self._first_at) / max(1, self._added - 1) or 1.0
        return judge(self._floors, interval=between * self._stride)
