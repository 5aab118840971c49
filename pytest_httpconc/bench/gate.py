"""The gate: what is asked for on the command line, every result of the run, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pytest_httpconc.bench.baseline import Entry, MissingBaselineError, load, save
from pytest_httpconc.bench.figures import Measurement
from pytest_httpconc.bench.measuring import Judge
from pytest_httpconc.bench.orders import QUICK, RECORDING, THOROUGH, Depth
from pytest_httpconc.bench.results import Result
from pytest_httpconc.bench.verdicts import Judgement, Verdict, judge

__all__ = ["NOT_JUDGED", "Gate"]

#: The exit status of a run that has a benchmark which is not in the baseline.
NOT_JUDGED: Final = 13


@dataclass(slots=True, kw_only=True)
class Gate:
    """One run of the gate.

    Args:
        path: the baseline.
        judges: whether benchmarks are compared with it; else each runs once, as a test.
        updates: whether they become it instead.
        allows_new: whether one that is not in it may pass.
    """

    path: Path
    judges: bool = False
    updates: bool = False
    allows_new: bool = False
    results: list[Result] = field(default_factory=list)
    _entries: dict[str, Entry] | None = None

    @property
    def depth(self) -> Depth:
        """How thoroughly benchmarks are run."""
        if self.updates:
            return RECORDING
        return THOROUGH if self.judges else QUICK

    @property
    def judge(self) -> Judge | None:
        """What compares with the baseline; None where nothing is judged."""
        return self._judge if self.judges and not self.updates else None

    @property
    def has_baseline(self) -> bool:
        """Whether there is to be one, or it is to be made."""
        return self.judges or self.updates

    def entries(self) -> dict[str, Entry]:
        """The baseline; an empty one where it is to be made.

        Raises:
            BaselineError: it can't be used.
        """
        if self._entries is None:
            try:
                self._entries = load(self.path)
            except MissingBaselineError:
                if not self.updates:
                    raise
                self._entries = {}
        return self._entries

    def update(self) -> int:
        """Write what was measured into the baseline, and keep the rest; return how many entries are new or other.

        Raises:
            BaselineError: it can't be used, or written.
        """
        measured = {result.name: Entry.from_json(result.entry) for result in self.results}
        before = self.entries()
        if measured:
            save(self.path, {**before, **measured})
        return sum(before.get(name) != entry for name, entry in measured.items())

    @property
    def has_regression(self) -> bool:
        """Whether a benchmark is worse, be it that its test has caught the error."""
        return any(result.verdict is Verdict.WORSE for result in self.results)

    @property
    def has_unjudged(self) -> bool:
        """Whether a benchmark was not judged that should have been."""
        return not self.allows_new and any(result.verdict is Verdict.NEW for result in self.results)

    @property
    def not_run(self) -> list[str]:
        """The benchmarks of the baseline that did not run."""
        ran = {result.name for result in self.results}
        return [name for name in self._entries or () if name not in ran]

    def _judge(self, name: str, measured: Measurement) -> tuple[Judgement, ...]:
        return judge(measured, self.entries().get(name))
