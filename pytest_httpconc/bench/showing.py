"""A result's figures beside their baseline, as a report of the run draws them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final

from pytest_httpconc.bench.baseline import Entry
from pytest_httpconc.bench.results import Result
from pytest_httpconc.bench.verdicts import Verdict
from pytest_httpconc.report import model

__all__ = ["figures_of"]

_VERDICTS: Final[Mapping[Verdict, model.Verdict]] = {
    Verdict.FINE: model.Verdict.HELD,
    Verdict.WORSE: model.Verdict.REGRESSED,
    Verdict.UNSURE: model.Verdict.INCONCLUSIVE,
}


def figures_of(result: Result, stored: Entry | None) -> Iterator[model.Figure]:
    """The counts and ratios of a result.

    Args:
        result: of one benchmark.
        stored: what the baseline has of it; None where nothing is judged, or it is new.
    """
    prefix = result.name.partition(" ")[2]
    found = {judgement.figure: _VERDICTS.get(judgement.verdict) for judgement in result.judgements}
    for name, count in result.candidate["counts"].items():
        least, most = (count, count) if isinstance(count, int) else count
        then = None if stored is None else stored.counts.get(name)
        is_other = then is not None and (most < then[0] or least > then[1])
        verdict = found.get(name)
        yield model.Figure(
            name=f"{prefix} {name}".strip(),
            value=most,
            low=least,
            high=most,
            baseline_low=None if then is None else then[0],
            baseline_high=None if then is None else then[1],
            verdict=model.Verdict.IMPROVED if is_other and verdict is model.Verdict.HELD else verdict,
        )
    for name, (low, value, high) in result.ratios.items():
        range_then = None if stored is None else stored.ratios.get(name)
        yield model.Figure(
            name=f"{prefix} {name}".strip(),
            value=value,
            low=_finite(low),
            high=_finite(high),
            baseline_low=None if range_then is None else range_then.low,
            baseline_high=None if range_then is None else range_then.high,
            unit="x",
            verdict=found.get(name),
        )


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
