"""``python -m pytest_httpconc.scoring.child RESULTS ARGUMENTS...``: contracts in a pytest of their own."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest

from pytest_httpconc.collecting import is_contract, known_of
from pytest_httpconc.contract import ClientContract
from pytest_httpconc.contract.selection import reason_against
from pytest_httpconc.findings import CheckFailed
from pytest_httpconc.scoring.families import family_of
from pytest_httpconc.scoring.results import Outcome, Ran, Test, write

__all__ = ["main"]

_LONGEST_REASON: Final = 200


class _Recorder:
    """A pytest plugin that runs the contracts' own tests alone, and remembers what came of them."""

    def __init__(self) -> None:
        self._contracts: dict[str, type[ClientContract]] = {}  #: by where they were collected, as names may be the same
        self._tests: dict[tuple[str, str], Test] = {}
        self._selected: list[pytest.Item] = []
        self.errors: list[str] = []

    @property
    def ran(self) -> list[Ran]:
        """The contracts that ran, in the order of their file."""
        return [
            Ran(
                contract=contract.__name__,
                is_async=contract.is_async(),
                tests=tuple(test for (owner, _), test in self._tests.items() if owner == place),
            )
            for place, contract in self._contracts.items()
        ]

    @property
    def not_run(self) -> list[str]:
        """What keeps the tests from being a score: those that were to run, and have not."""
        names = [item.name for item in self._selected if (_place_of(item), item.name) not in self._tests]
        return [f"{len(names)} of {len(self._selected)} tests have not run, the first {names[0]}"] if names else []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.errors.append(f"{report.nodeid}: {_last_line(str(report.longrepr))}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        own = [item for item in items if isinstance(item, pytest.Function) and is_contract(item.cls)]
        items[:] = [item for item in own if family_of(item.originalname) is not None]
        for item in own:
            self._contracts[_place_of(item)] = item.cls
            reason = reason_against(item)
            if reason is not None:
                self._note(item, Outcome.INAPPLICABLE, reason=reason)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._selected = session.items

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.errors.append(f"{excinfo.typename}: {_first_line(str(excinfo.value))}")  # of pytest.exit, too

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Function, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        error = None if call.excinfo is None else call.excinfo.value
        if report.skipped and not hasattr(report, "wasxfail"):
            self._note(item, Outcome.INAPPLICABLE, reason=str(error))
        elif report.skipped:
            reasons = known_of(item)
            self._note(item, Outcome.KNOWN, tuple(sorted(reasons)), "; ".join(reasons.values()))
        elif report.failed and error is not None:
            findings = error.findings if isinstance(error, CheckFailed) else ()
            codes = tuple(sorted({finding.code for finding in findings}))
            reason = findings[0].summary if findings else f"{type(error).__name__}: {error}"
            self._note(item, Outcome.FAILED, codes, reason)
        elif report.when == "call":  # one that is known to fail, and passes, has passed
            self._note(item, Outcome.PASSED)
        return report

    def _note(self, item: pytest.Item, outcome: Outcome, codes: tuple[str, ...] = (), reason: str = "") -> None:
        assert isinstance(item, pytest.Function), "others were left out"
        family = family_of(item.originalname)
        if family is not None:
            self._tests[_place_of(item), item.name] = Test(
                name=item.name, family=family, outcome=outcome, codes=codes, reason=_first_line(reason)
            )


def _place_of(item: pytest.Item) -> str:
    """Where the class of a test was collected."""
    assert item.parent is not None, "a test has its class"
    return item.parent.nodeid


def _first_line(text: str) -> str:
    line = text.partition("\n")[0]
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}..."


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2].removeprefix("E").strip()


def main(results: str, *arguments: str) -> int:
    """Run pytest with these arguments, and write what came of the contracts among the tests."""
    recorder = _Recorder()
    status = pytest.main([*arguments], plugins=[recorder])
    write(recorder.ran, [*recorder.errors, *recorder.not_run], Path(results))
    return int(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
