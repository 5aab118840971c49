"""What a report shows of tests: frozen values, made from what was seen and found, that JSON can carry."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from fake_servers.errors import ScenarioError
from fake_servers.words import Word
from pytest_httpconc.findings import Finding
from pytest_httpconc.report.lanes import DIGITS, ServerSeen

__all__ = ["Figure", "Found", "Report", "TestSeen", "Verdict"]

VERSION: Final = 1  #: of the JSON form; another number means that a field was renamed or taken away


class Verdict(Word):
    """What a figure is beside its baseline."""

    HELD = "held"
    REGRESSED = "regressed"
    IMPROVED = "improved"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured figure beside the range that its baseline allows.

    Args:
        name: what was measured, as in ``"speedup"``.
        value: what it came to.
        low: where its interval begins; None where there is no interval.
        high: where it ends.
        baseline_low: the least that the baseline has or allows; None where there is no bound.
        baseline_high: the most.
        unit: of all these numbers, as in ``"s"`` or ``"x"``; empty for a count.
        verdict: what came of the comparison; None where none was asked for.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    baseline_low: float | None = None
    baseline_high: float | None = None
    unit: str = ""
    verdict: Verdict | None = None

    def __post_init__(self) -> None:
        given = (self.value, self.low, self.high, self.baseline_low, self.baseline_high)
        if not all(number is None or math.isfinite(number) for number in given):
            raise ScenarioError(f"{self.name!r} has a number that is not finite; give None where there is no bound")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A finding, and which lanes and bars of which of the test's servers it is about."""

    code: str
    statement: str
    summary: str
    evidence: Sequence[str]
    hint: str
    server: str
    connections: Sequence[int]
    exchanges: Sequence[int]

    @classmethod
    def of(cls, finding: Finding) -> Found:
        """A finding with its records replaced by their numbers."""
        return cls(
            code=finding.code,
            statement=finding.statement,
            summary=finding.summary,
            evidence=list(finding.evidence),
            hint=finding.hint,
            server=finding.server,
            connections=[c.number for c in finding.connections],
            exchanges=[e.number for e in finding.exchanges],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSeen:
    """A test, and what it did to its servers.

    Args:
        name: pytest's id of it.
        place: file and line.
        outcome: ``"passed"``, ``"failed"`` or ``"skipped"``; ``"error"`` where its setup or teardown failed.
        duration: seconds of setup, call and teardown together.
        message: why it failed, in one line.
        servers: those that it used.
        findings: what was found, whether it failed the test or not.
        figures: what was measured.
    """

    __test__ = False

    name: str
    place: str = ""
    outcome: str = "passed"
    duration: float = 0.0
    message: str = ""
    servers: Sequence[ServerSeen] = ()
    findings: Sequence[Found] = ()
    figures: Sequence[Figure] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "place": self.place,
            "outcome": self.outcome,
            "duration": round(self.duration, DIGITS),
            "message": self.message,
            "servers": [server.as_dict() for server in self.servers],
            "findings": [asdict(found) for found in self.findings],
            "figures": [asdict(figure) for figure in self.figures],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A test run.

    Args:
        title: over the page.
        created_at: when it ended, in words.
        version: of pytest-httpconc.
        tests: those that used a server, as `TestSeen.as_dict` has them: they may come from other processes.
    """

    title: str = "pytest-httpconc report"
    created_at: str = ""
    version: str = ""
    tests: Sequence[dict[str, Any]] = ()

    def as_json(self) -> str:
        """The whole report as JSON, in ASCII."""
        content = {
            "format": VERSION,
            "title": self.title,
            "created_at": self.created_at,
            "version": self.version,
            "tests": list(self.tests),
        }
        return json.dumps(content, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: bytes, *, name: str) -> Report:
        """A report that `as_json` has written.

        Args:
            text: what was written.
            name: of its file, for errors.

        Raises:
            ScenarioError: it is no report, or another version's.
        """
        try:
            content = json.loads(text)
            version = content["format"]
            report = cls(
                title=str(content["title"]),
                created_at=str(content["created_at"]),
                version=str(content["version"]),
                tests=[_checked(test) for test in content["tests"]],
            )
        except (ValueError, TypeError, KeyError) as error:
            raise ScenarioError(
                f"{name} is no report ({type(error).__name__}: {error}); give what "
                "pytest --httpconc-report=FILE.json has written"
            ) from None
        if version != VERSION:
            raise ScenarioError(f"{name} has format {version!r}, and this version reads {VERSION}")
        return report

    @classmethod
    def joined(cls, reports: Sequence[Report]) -> Report:
        """The tests of several runs, at least one, as one report: as old as the last."""
        return replace(reports[-1], tests=[test for report in reports for test in report.tests])


def _checked(test: Any) -> dict[str, Any]:
    """A test as `TestSeen.as_dict` has it."""
    for key in ("servers", "figures"):
        list(test[key])
    for found in test["findings"]:
        Found(**found)
    return {**test, **{key: str(test[key]) for key in ("name", "outcome", "message")}}
