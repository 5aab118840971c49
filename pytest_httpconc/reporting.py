"""The report of a run, by ``--httpconc-report``: collected where the tests run, written where the run ends."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Generator, Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest

import pytest_httpconc
from pytest_httpconc.findings import CheckFailed, Finding
from pytest_httpconc.probe import opening_of
from pytest_httpconc.report.html import render_page
from pytest_httpconc.report.lanes import ServerSeen
from pytest_httpconc.report.model import Figure, Found, Report, TestSeen
from pytest_httpconc.watched import Watched, name_of

__all__ = ["Collector", "Writer", "show_figures", "start"]

_COLLECTOR: Final = "httpconc-collector"
_SEEN: Final = "httpconc_seen"  # on a test's last report, as JSON: pytest-xdist carries it to the controller


class Story:
    """What is known of one test so far."""

    def __init__(self) -> None:
        self.outcome = "passed"
        self.duration = 0.0
        self.message = ""
        self.servers: list[ServerSeen] = []
        self.findings: list[Finding] = []
        self.figures: list[Figure] = []

    def add(self, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
        """Take in what became of setup, call or teardown; the first that goes wrong gives its outcome."""
        self.duration += report.duration
        if self.outcome == "passed" and not report.passed:
            broken = report.failed and report.when != "call"
            self.outcome = "error" if broken else report.outcome
            self._explain(call)

    def _explain(self, call: pytest.CallInfo[None]) -> None:
        if call.excinfo is None:
            return
        if isinstance(call.excinfo.value, CheckFailed):
            self.find(call.excinfo.value.findings)
        else:
            self.message = call.excinfo.exconly().partition("\n")[0]

    def find(self, findings: Iterable[Finding]) -> None:
        """Take in findings; one may be raised, and then be told again."""
        self.findings += [finding for finding in findings if finding not in self.findings]

    def seen(self, item: pytest.Item) -> TestSeen:
        """The test as a report shows it."""
        path, line, _ = item.location
        return TestSeen(
            name=item.nodeid,
            place=path if line is None else f"{path}:{line + 1}",
            outcome=self.outcome,
            duration=self.duration,
            message=self.message,
            servers=self.servers,
            findings=[Found.of(finding) for finding in self.findings],
            figures=self.figures,
        )


_STORY = pytest.StashKey[Story]()


class Collector:
    """Puts what a test's servers saw on the report of its teardown, in each process that runs tests."""

    def collect(self, item: pytest.Item, watched: Iterable[Watched], findings: Iterable[Finding]) -> None:
        """Keep what was recorded, now that the test is over and its servers still run.

        Args:
            item: the test.
            watched: the servers that it used.
            findings: what was found and did not fail it.
        """
        story = _story(item)
        story.servers = [_server(one) for one in watched]
        story.find(findings)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        story = _story(item)
        story.add(report, call)
        if call.when == "teardown":
            del item.stash[_STORY]  # a test that is run again begins anew
            if story.servers or story.findings or story.figures:
                setattr(report, _SEEN, json.dumps(story.seen(item).as_dict()))
        return report


class Writer:
    """Writes the report when the run ends; with pytest-xdist, in the controller.

    Args:
        path: where to, ending in ``.html`` or ``.json``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tests: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if hasattr(report, _SEEN):
            self._tests.append(getattr(report, _SEEN))

    def pytest_sessionfinish(self) -> None:
        report = Report(
            created_at=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
            version=pytest_httpconc.__version__,
            tests=[json.loads(test) for test in self._tests],
        )
        text = report.as_json() if self._path.suffix == ".json" else render_page(report)
        self._path.write_text(text, encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_sep("-", f"httpconc report: {self._path}")


def start(config: pytest.Config) -> None:
    """Have the report written that a run's options ask for.

    Raises:
        pytest.UsageError: its file can't be written, or ends neither in ``.html`` nor in ``.json``.
    """
    config.pluginmanager.register(Collector(), _COLLECTOR)
    if not hasattr(config, "workerinput"):
        option = config.getoption("httpconc_report")
        folder = config.invocation_params.dir if option else config.rootpath
        config.pluginmanager.register(Writer(_writable(option or config.getini("httpconc_report"), folder)))


def collect(item: pytest.Item, watched: Iterable[Watched], findings: Iterable[Finding]) -> None:
    """Keep what a test's servers saw, if a report was asked for; see `Collector.collect`."""
    collector = item.config.pluginmanager.get_plugin(_COLLECTOR)
    if collector is not None:
        collector.collect(item, watched, findings)


def show_figures(item: pytest.Item, figures: Iterable[Figure]) -> None:
    """Have a report show figures with a test, beside their baselines; they are forgotten where there is no report."""
    _story(item).figures += figures


def _story(item: pytest.Item) -> Story:
    return item.stash.setdefault(_STORY, Story())


def _server(watched: Watched) -> ServerSeen:
    server = watched.server
    return ServerSeen.of(
        watched.recorded, name=name_of(server), opened=lambda connection: str(opening_of(server, connection) or "")
    )


def _writable(file: str, folder: Path) -> Path:
    path = folder / Path(os.path.expandvars(file)).expanduser()
    if path.suffix not in (".html", ".json"):
        raise pytest.UsageError(
            f"httpconc-report={file} is neither .html nor .json; give a file as in --httpconc-report=report.html"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
    except OSError as error:
        raise pytest.UsageError(
            f"httpconc-report={file} can't be written: {error.strerror or error}; give a file in a folder that can"
        ) from None
    return path
