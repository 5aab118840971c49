"""One benchmark under way: when its rounds are enough, and what they amount to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol, TypeAlias

from pytest_httpconc.bench.figures import Figures, Measurement, Round, beside, cpu_ratio
from pytest_httpconc.bench.orders import Depth
from pytest_httpconc.bench.runner import Progress, Rounds, Turns
from pytest_httpconc.bench.verdicts import UNCERTAIN, Judgement, Verdict, overall

__all__ = ["Judge", "Measuring", "Prepared"]

#: Compares a measurement with what is known of the benchmark of this name.
Judge: TypeAlias = "Callable[[str, Measurement], tuple[Judgement, ...]]"
_NARROW: Final = 0.05  # half of an interval's width, as a part of its ratio
_SETTLING: Final = ("speedup", "cpu", "relative_cpu")  # the ratios whose intervals are waited for


class Prepared(Protocol):
    """What is asked of a side beside its rounds, once it is prepared."""

    @property
    def peak(self) -> int:
        """The peak in flight that a rendezvous has proved; 0 if none has."""

    @property
    def has_passes(self) -> bool:
        """Whether CPU is measured in passes of its own."""


class Measuring:
    """The candidate's rounds, the other side's if there is one, and those of the reference and of its work alone.

    Args:
        name: of the benchmark.
        sides: one or two.
        concurrency: of theirs.
        depth: how thoroughly.
        judge: compares with a baseline; None where nothing is judged.
        virtual: whether the clock is.
        passes: whether CPU is to be measured in passes of its own: the reference's is.
    """

    def __init__(
        self,
        name: str,
        sides: Sequence[Prepared],
        *,
        concurrency: int,
        depth: Depth,
        judge: Judge | None = None,
        virtual: bool = False,
        passes: bool = False,
    ) -> None:
        self._name = name
        self._sides = sides
        self._concurrency = concurrency
        self._depth = depth
        self._judge = judge
        self._virtual = virtual
        self._passes = passes

    def turns(self, *, progress: Progress, references: int = 0) -> Turns:
        """Whose round is next; the last ones are the reference's and its work's, where there are ``references``."""
        sides = len(self._sides) + references
        return Turns(sides, self._depth.rules, is_enough=self._is_enough, progress=progress)

    def measured(self, rounds: Rounds) -> Measurement:
        """What the rounds so far amount to: a `Comparison` where there are two sides."""
        in_passes = [[_with_pass_cpu(one) for one in side] for side in rounds]
        if all(side.has_passes for side in self._sides):
            rounds = in_passes
        sides = [self._figures(number, rounds) for number in range(len(self._sides))]
        is_exact = self._sides[0].has_passes
        measured = Measurement(candidate=sides[0], exact_cpu=is_exact)
        if len(rounds) > len(sides) and is_exact == self._passes:
            reference, work = in_passes[len(sides) :]
            # Its work counts twice, as being woken is a smaller part of most clients' CPU than of the reference's.
            unit = [replace(one, cpu=one.cpu + other.cpu) for one, other in zip(reference, work, strict=True)]
            measured = replace(measured, relative_cpu=cpu_ratio(in_passes[0], unit), waking=cpu_ratio(reference, work))
        if len(sides) == 2:
            measured = beside(measured, sides[1], candidate_rounds=rounds[0], rounds=rounds[1])
        return replace(measured, settled=self._is_settled(measured))

    def _figures(self, number: int, rounds: Rounds) -> Figures:
        return Figures.of(
            rounds[number], concurrency=self._concurrency, peak=self._sides[number].peak, virtual=self._virtual
        )

    def judged(self, measured: Measurement) -> tuple[Judgement, ...]:
        """What it is beside its baseline; empty where nothing is judged."""
        return () if self._judge is None else self._judge(self._name, measured)

    def _is_settled(self, measured: Measurement) -> bool:
        waited_for = (ratio for name, ratio in measured.ratios.items() if name in _SETTLING)
        return self._virtual or all(ratio.error <= _NARROW for ratio in waited_for)

    def _is_enough(self, rounds: Rounds, is_late: bool) -> bool:
        measured = self.measured(rounds)
        judgements = self.judged(measured)
        if any(j.verdict is Verdict.WORSE and j.figure not in UNCERTAIN for j in judgements):
            return True  # counts don't change their mind
        if overall(judgements) is Verdict.WORSE:
            return False  # a ratio that is worse is believed after all the rounds that there may be
        # What was not measured becomes no clearer.
        is_clear = not any(j.verdict is Verdict.UNSURE and j.figure in measured.ratios for j in judgements)
        return is_late or (is_clear and (len(rounds[0]) >= self._depth.usual or measured.settled))


def _with_pass_cpu(one: Round) -> Round:
    return one if one.pass_cpu is None else replace(one, cpu=one.pass_cpu)
