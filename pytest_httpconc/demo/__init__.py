"""The plugin at work on the clients that ship with it: the wrong ones are caught, the repaired one is cleared."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from pytest_httpconc.findings import CheckFailed, Finding

__all__ = ["Verdict", "run"]

_HERE: Final = Path(__file__).parent
_ARGUMENTS: Final = (
    str(_HERE / "test_remote_docker.py"),
    f"--config-file={_HERE / 'pytest.ini'}",
    f"--rootdir={_HERE}",
    *("-p", "pytest_httpconc.plugin", "-p", "no:terminal", "-p", "no:cacheprovider"),
)


_SETTINGS: Final = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one client in one test: what was found, and what should have been."""

    test: str
    client: str
    findings: tuple[Finding, ...]
    failure: str
    expected: str

    @property
    def is_right(self) -> bool:
        """Whether just the mistake that the client has was found."""
        return self.found == self.expected

    @property
    def found(self) -> str:
        """The code of what was found; empty if the client was cleared."""
        return self.findings[0].code if self.findings else self.failure

    def __str__(self) -> str:
        if not self.found:
            verdict = "cleared"
        elif self.findings:
            verdict = f"CAUGHT   {self.found} {self.findings[0].statement}"
        else:
            verdict = f"CAUGHT   {self.failure}"
        wrong = "" if self.is_right else f"   (should be: {self.expected or 'cleared'})"
        return f"  {self.client:<24}{verdict}{wrong}"


class _Collector:
    """A pytest plugin that gathers the verdicts, from the body of a test or from the checks at its end."""

    def __init__(self) -> None:
        self.verdicts: dict[str, Verdict] = {}
        self.details: list[str] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.when == "call" or report.failed:
            self._note(item, call)
        return report

    def _note(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        error = None if call.excinfo is None else call.excinfo.value
        findings = error.findings if isinstance(error, CheckFailed) else ()
        failure = "" if error is None or findings else str(error) or type(error).__name__
        if error is not None:
            self.details.append(str(error))
        parameters = item.callspec.params  # type: ignore[attr-defined]  # every test of the demo has parameters
        self.verdicts[item.nodeid] = Verdict(
            test=item.obj.__doc__ or item.name,  # type: ignore[attr-defined]  # pytest.Function has it
            client=parameters["client"].__name__,
            findings=findings,
            failure=failure,
            expected=parameters["expected"],
        )


def run(*, verbose: bool = False) -> int:
    """Run every client through the tests, print the verdicts, and return 0 if each is right.

    Args:
        verbose: whether to print every finding in full, and not only the first.
    """
    collector = _Collector()
    with _only_our_plugin():
        status = pytest.main([*_ARGUMENTS], plugins=[collector])
    if status not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        print(f"httpconc demo: the tests did not run to their end; pytest ended with status {status}")
        return 1
    verdicts = list(collector.verdicts.values())
    _print(verdicts, collector.details if verbose else collector.details[:1])
    return 0 if all(verdict.is_right for verdict in verdicts) else 1


@contextmanager
def _only_our_plugin() -> Iterator[None]:
    """Keep out what else is installed or set for pytest: the verdicts are the same everywhere."""
    saved = {name: os.environ.pop(name, None) for name in _SETTINGS}
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        yield
    finally:
        del os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"]
        os.environ.update({name: value for name, value in saved.items() if value is not None})


def _print(verdicts: list[Verdict], details: list[str]) -> None:
    for test in dict.fromkeys(verdict.test for verdict in verdicts):
        print(test)
        print(*(verdict for verdict in verdicts if verdict.test == test), sep="\n", end="\n\n")
    print("What a finding says:" if len(details) == 1 else "What the findings say:", end="\n\n")
    print(*details, sep="\n\n", end="\n\n")
    caught = sum(bool(verdict.found) for verdict in verdicts)
    wrong = sum(not verdict.is_right for verdict in verdicts)
    verdict = "each as it should be" if not wrong else f"{wrong} of them wrongly"
    print(f"{len(verdicts)} verdicts: {caught} caught, {len(verdicts) - caught} cleared, {verdict}")
