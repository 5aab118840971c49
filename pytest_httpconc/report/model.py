"""What a report shows of tests: frozen values, made from what was seen and found, that JSON can carry."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, NoReturn

from fake_servers.errors import ScenarioError
from fake_servers.words import Word
from pytest_httpconc.findings import Finding
from pytest_httpconc.printable import printable
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
            content = json.loads(text, parse_constant=_refuse_constant)
            if content["format"] != VERSION:
                raise ScenarioError(f"{name} has format {content['format']!r}, and this version reads {VERSION}")
            return cls(
                title=printable(content["title"]),
                created_at=printable(content["created_at"]),
                version=printable(content["version"]),
                tests=[_checked(test) for test in content["tests"]],
            )
        except ScenarioError:
            raise
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ScenarioError(
                f"{name} is no report ({type(error).__name__}: {error}); give what "
                "pytest --httpconc-report=FILE.json has written"
            ) from None

    @classmethod
    def joined(cls, reports: Sequence[Report]) -> Report:
        """The tests of several runs, at least one, as one report: as old as the last."""
        return replace(reports[-1], tests=[test for report in reports for test in report.tests])

    def from_file(self, name: str) -> Report:
        """The same, with the name of its file at the place of each test: other files may have the same tests."""
        return replace(self, tests=[{**test, "place": f"{name}: {test['place']}"} for test in self.tests])


_TEXTS: Final = ("name", "place", "outcome", "message")
_LISTS: Final = ("servers", "findings", "figures")
_FOUND: Final = tuple(field.name for field in fields(Found))


def _checked(test: Any) -> dict[str, Any]:
    """A test as `TestSeen.as_dict` has it, of which a later version may know more.

    Raises:
        TypeError: something in it is of another kind.
        KeyError: something is missing.
    """
    texts = {key: _of_kind(str, test[key]) for key in _TEXTS}
    _of_kind((int, float), test["duration"])
    lists = {key: [_of_kind(dict, one) for one in _of_kind(list, test[key])] for key in _LISTS}
    for server in lists["servers"]:
        for key in ("lanes", "bars", "counts"):
            _of_kind(dict, server[key])
    for figure in lists["figures"]:
        _of_kind(str, figure["name"])
    lists["findings"] = [{key: found[key] for key in _FOUND} for found in lists["findings"]]
    for found in lists["findings"]:
        for line in _of_kind(list, found["evidence"]):
            _of_kind(str, line)
        for key in ("code", "statement", "summary", "hint", "server"):
            _of_kind(str, found[key])
    return {**test, **texts, **lists}


def _of_kind(kind: type | tuple[type, ...], value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is out of place")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
