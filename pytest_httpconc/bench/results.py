"""The result of one benchmark, in plain values: it crosses from worker to controller, and becomes every output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pytest_httpconc.bench.baseline import Entry
from pytest_httpconc.bench.figures import Comparison, Measurement
from pytest_httpconc.bench.verdicts import KEPT_RATIOS, Judgement, Verdict, overall

__all__ = ["Result"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One benchmark's figures and what became of them.

    Args:
        name: in the baseline.
        file: of the benchmark's call.
        line: of the benchmark's call, from 1.
        candidate: figures by name, as JSON has them.
        baseline: the other side's figures; None for a benchmark of one side.
        ratios: by name, each as low, value and high.
        settled: whether the interval of every ratio became narrow enough.
        entry: as the baseline file has it.
        judgements: what each figure is beside the baseline; empty if none was asked for.
    """

    name: str
    file: str
    line: int
    candidate: Mapping[str, Any]
    baseline: Mapping[str, Any] | None
    ratios: Mapping[str, tuple[float, float, float]]
    settled: bool
    entry: Mapping[str, Any]
    judgements: tuple[Judgement, ...] = ()

    @classmethod
    def of(
        cls, name: str, place: tuple[str, int], measured: Measurement, judgements: tuple[Judgement, ...] = ()
    ) -> Result:
        """The result of a measurement."""
        return cls(
            name=name,
            file=place[0],
            line=place[1],
            candidate=measured.candidate.as_dict(),
            baseline=measured.baseline.as_dict() if isinstance(measured, Comparison) else None,
            ratios={n: (ratio.low, float(ratio), ratio.high) for n, ratio in measured.ratios.items()},
            settled=measured.settled,
            entry=Entry.of(measured, KEPT_RATIOS).as_json(),
            judgements=judgements,
        )

    @property
    def verdict(self) -> Verdict | None:
        """The verdict on the benchmark; None if none was asked for."""
        return overall(self.judgements) if self.judgements else None

    @property
    def sentences(self) -> list[str]:
        """What a person is to read: every figure that is not fine."""
        return [j.sentence for j in self.judgements if j.verdict is not Verdict.FINE]

    def as_dict(self) -> dict[str, Any]:
        """In values that cross to another process."""
        return asdict(self) | {
            "judgements": [(j.figure, str(j.verdict), j.sentence) for j in self.judgements],
            "ratios": {name: list(ratio) for name, ratio in self.ratios.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Result:
        """As `as_dict` gave it."""
        judgements = tuple(Judgement(figure, Verdict(verdict), text) for figure, verdict, text in values["judgements"])
        return cls(**{**values, "judgements": judgements})
