"""What was measured: one round, one side over its rounds, and two sides beside each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pytest_httpconc.bench.stats import FLOOR, Count, Ratio, paired_ratio, percentile, steady_ratio

__all__ = ["COUNTS", "Comparison", "Figures", "Measurement", "Round", "Seen", "beside", "cpu_ratio"]

#: The counts of a round, by their names in a baseline.
COUNTS: Final = ("requests", "executions", "resends", "connections", "opened", "peak_in_flight")
_LEAST_CPU: Final = 1e-7  # seconds: below a clock's resolution, a ratio needs something to divide by


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a server saw of one round of calls.

    Args:
        requests: that arrived.
        executions: of handlers.
        resends: requests that were sent again after one that failed.
        connections: that the requests came on.
        opened: those of them that were not open before the round.
        peak_in_flight: the most exchanges in flight together.
        service_time: the sum of all exchanges' service times, in seconds.
        makespan: seconds from the first request received to the last response finished.
    """

    requests: int
    executions: int
    resends: int = 0
    connections: int
    opened: int = 0
    peak_in_flight: int
    service_time: float = 0.0
    makespan: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Round(Seen):
    """What one round of calls did and took; what it did, as `Seen` has it.

    Args:
        seconds: from the first call's begin to the last one's end, on the loop's clock for calls in a loop.
        durations: of each call, in seconds.
        cpu: seconds of CPU of the client's process, less what serving took in the same process.
        pass_cpu: the same of the calls made once more, answered at once; None where they were not.
        memory: the most bytes that the client's process held in memory.
    """

    seconds: float
    durations: tuple[float, ...]
    cpu: float = 0.0
    pass_cpu: float | None = None
    memory: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One side over its rounds. Times are medians over the rounds, percentiles those of all calls together.

    Args:
        calls: in a round.
        concurrency: how many calls may go on together.
        rounds: how many were measured.
        counts: by name, with the range seen; see `Round`.
        seconds: of a round.
        p50: of the calls' durations, in seconds; so are ``p90``, ``p99`` and ``longest``.
        cpu: seconds of CPU for a call, where little else disturbed it: of a round at the lower fifth; see `Work`.
        peak_memory: the most bytes that the process held in any round; the other side's leftovers are among them.
        speedup: the sum of service times divided by the makespan.
        virtual_seconds: of a round on a virtual clock; None on a real one.
        peak_is_certain: whether a rendezvous or a virtual clock has made the peak in flight certain.
    """

    calls: int
    concurrency: int
    rounds: int
    counts: Mapping[str, Count]
    seconds: float
    p50: float
    p90: float
    p99: float
    longest: float
    cpu: float
    peak_memory: int
    speedup: float
    virtual_seconds: float | None = None
    peak_is_certain: bool = False

    @classmethod
    def of(cls, rounds: Sequence[Round], *, concurrency: int, peak: int = 0, virtual: bool = False) -> Figures:
        """The figures of some rounds, at least one.

        Args:
            rounds: what was measured.
            concurrency: how many calls may go on together.
            peak: the exchanges in flight together that a rendezvous has proved; 0 if there was none.
            virtual: whether the clock was.
        """
        durations = [duration for one in rounds for duration in one.durations]
        calls = len(rounds[0].durations)
        counts = {name: Count(getattr(one, name) for one in rounds) for name in COUNTS}
        if peak:
            counts["peak_in_flight"] = Count([peak])
        seconds = _median(rounds, lambda one: one.seconds)
        return cls(
            calls=calls,
            concurrency=concurrency,
            rounds=len(rounds),
            counts=counts,
            seconds=seconds,
            p50=percentile(durations, 50),
            p90=percentile(durations, 90),
            p99=percentile(durations, 99),
            longest=max(durations),
            cpu=percentile([one.cpu for one in rounds], FLOOR) / calls,
            peak_memory=max(one.memory for one in rounds),
            speedup=_median(rounds, lambda one: one.service_time / one.makespan if one.makespan else 0.0),
            virtual_seconds=round(seconds, 6) if virtual else None,
            peak_is_certain=virtual or peak > 0,
        )

    @property
    def certain_counts(self) -> dict[str, Count]:
        """The counts that no clock decides."""
        return {n: count for n, count in self.counts.items() if n != "peak_in_flight" or self.peak_is_certain}

    @property
    def connections(self) -> Count:
        """The connections that a round's requests came on."""
        return self.counts["connections"]

    @property
    def connections_opened(self) -> Count:
        """The connections that were opened in a round; those that a pool has kept from the one before are not."""
        return self.counts["opened"]

    @property
    def requests(self) -> Count:
        """The requests of a round."""
        return self.counts["requests"]

    @property
    def executions(self) -> Count:
        """The executions of a round."""
        return self.counts["executions"]

    @property
    def resends(self) -> Count:
        """The requests of a round that were sent again after one that failed."""
        return self.counts["resends"]

    @property
    def peak_in_flight(self) -> Count:
        """The most exchanges in flight together."""
        return self.counts["peak_in_flight"]

    @property
    def requests_per_connection(self) -> float:
        """How often a connection was used in a round; 0 if there was none."""
        return self.requests.typical / self.connections.typical if self.connections.typical else 0.0

    @property
    def efficiency(self) -> float:
        """The speedup divided by the calls that may go on together: 1 for a client that waits for nothing."""
        return self.speedup / min(self.calls, self.concurrency)

    @property
    def throughput(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it; a count is a number, or ``[least, most]``."""
        return {
            "calls": self.calls,
            "concurrency": self.concurrency,
            "rounds": self.rounds,
            "counts": {n: c.most if c.least == c.most else [c.least, c.most] for n, c in self.counts.items()},
            "requests_per_connection": self.requests_per_connection,
            "seconds": self.seconds,
            "p50": self.p50,
            "p90": self.p90,
            "p99": self.p99,
            "max": self.longest,
            "throughput": self.throughput,
            "cpu_per_call": self.cpu,
            "peak_memory": self.peak_memory,
            "speedup": self.speedup,
            "efficiency": self.efficiency,
            "virtual_seconds": self.virtual_seconds,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One side, measured.

    Args:
        candidate: its figures.
        relative_cpu: its CPU for a call divided by that of the reference, a call by the standard library and some work,
            measured in turns; None where no reference was run, or only the reference has passes.
        waking: the reference's CPU for a call divided by that of its work without the call: how dear it was to wait and
            be woken, on this machine and beside what else it did.
        exact_cpu: whether CPU was measured in passes of its own, and so depends little on the machine's state.
        settled: whether the interval of every ratio became narrow enough.
    """

    candidate: Figures
    relative_cpu: Ratio | None = None
    waking: Ratio | None = None
    exact_cpu: bool = False
    settled: bool = False

    @property
    def ratios(self) -> dict[str, Ratio]:
        """Every ratio by name."""
        measured = {"relative_cpu": self.relative_cpu, "waking": self.waking}
        return {name: ratio for name, ratio in measured.items() if ratio is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Measurement):
    """Two sides, measured in turns; each ratio has its interval.

    Args:
        baseline: the other side's figures.
        speedup: how many times faster a round of the candidate is: the baseline's seconds divided by its own. The
            ratio of throughputs is the same.
        efficiency: the candidate's efficiency divided by the baseline's.
        cpu: the candidate's CPU for a call divided by the baseline's; so are ``p50``, ``p90`` and ``p99``.
    """

    baseline: Figures
    speedup: Ratio
    efficiency: Ratio
    cpu: Ratio
    p50: Ratio
    p90: Ratio
    p99: Ratio

    @property
    def ratios(self) -> dict[str, Ratio]:
        names = ("speedup", "efficiency", "cpu", "p50", "p90", "p99")
        return {**Measurement.ratios.__get__(self), **{name: getattr(self, name) for name in names}}


def beside(
    one: Measurement, baseline: Figures, *, candidate_rounds: Sequence[Round], rounds: Sequence[Round]
) -> Comparison:
    """A measurement beside another side's, with every ratio over paired rounds.

    Args:
        one: the candidate's.
        baseline: the other side's figures.
        candidate_rounds: the candidate's rounds.
        rounds: the other side's, in the same order.
    """

    def ratio(figure: Callable[[Round], float]) -> Ratio:
        return paired_ratio([figure(r) for r in candidate_rounds], [figure(r) for r in rounds])

    return Comparison(
        candidate=one.candidate,
        relative_cpu=one.relative_cpu,
        waking=one.waking,
        exact_cpu=one.exact_cpu,
        baseline=baseline,
        speedup=paired_ratio([r.seconds for r in rounds], [r.seconds for r in candidate_rounds]),
        efficiency=ratio(lambda r: r.service_time / r.makespan if r.makespan else 1.0),
        cpu=cpu_ratio(candidate_rounds, rounds),
        p50=ratio(lambda r: percentile(r.durations, 50)),
        p90=ratio(lambda r: percentile(r.durations, 90)),
        p99=ratio(lambda r: percentile(r.durations, 99)),
    )


def cpu_ratio(candidate: Sequence[Round], other: Sequence[Round]) -> Ratio:
    """CPU for a call of one side divided by the other's, over paired rounds."""
    return steady_ratio([_cpu_for_call(one) for one in candidate], [_cpu_for_call(one) for one in other])


def _cpu_for_call(one: Round) -> float:
    return max(one.cpu, _LEAST_CPU) / len(one.durations)


def _median(rounds: Sequence[Round], figure: Callable[[Round], float]) -> float:
    return percentile([figure(one) for one in rounds], 50)
