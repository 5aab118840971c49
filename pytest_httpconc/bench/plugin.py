"""The gate as pytest sees it: options, which tests are benchmarks, and the outputs at the end.

As thin as the other plugin, which loads it: what it needs is imported on first use.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from pytest_httpconc.bench.gate import Gate

GATE = pytest.StashKey["Gate"]()
RESULTS = pytest.StashKey[list[Any]]()
#: What makes the fixture's harness of a test's name, where another process says when; see `revisions.worker`.
HARNESS = pytest.StashKey[Any]()
_FIXTURES = frozenset({"benchmark", "httpconc_benchmark"})
_ATTRIBUTE = "httpconc_benchmarks"
_MISSING = object()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("httpconc benchmarks")
    group.addoption(
        "--benchmark",
        action="store_true",
        dest="httpconc_gate",
        help="run the benchmarks alone, and fail those that are worse than the baseline",
    )
    group.addoption(
        "--httpconc-baseline", metavar="FILE", help="the baseline (default: httpconc-baseline.json in the root folder)"
    )
    group.addoption(
        "--httpconc-update-baseline",
        action="store_true",
        help="with --benchmark: write what is measured into the baseline, judging nothing",
    )
    group.addoption(
        "--httpconc-allow-new", action="store_true", help="let benchmarks pass that are not in the baseline yet"
    )
    group.addoption("--httpconc-benchmark-json", metavar="FILE", help="write all figures of benchmarks as JSON")
    parser.addini("httpconc_baseline", "the baseline of --benchmark, from the root folder", default="")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("httpconc_update_baseline") and not config.getoption("httpconc_gate"):
        raise pytest.UsageError("--httpconc-update-baseline needs --benchmark")
    has_fixture = config.getoption("benchmark_storage", _MISSING) is not _MISSING
    if config.getoption("httpconc_gate") and not (has_fixture and find_spec("scipy")):
        raise pytest.UsageError(
            "--benchmark needs pytest-benchmark and scipy; install them by pip install 'pytest-httpconc[bench]'"
        )
    path = config.getoption("httpconc_benchmark_json")
    if path and not (config.invocation_params.dir / path).parent.is_dir():
        raise pytest.UsageError(f"--httpconc-benchmark-json={path} can't be written: there is no such folder")
    if not has_fixture:
        config.addinivalue_line("markers", "benchmark: a test that pytest --benchmark runs")
        config.pluginmanager.import_plugin("pytest_httpconc.bench.no_fixture")
    else:
        config.pluginmanager.import_plugin("pytest_httpconc.bench.fixture")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Reporting(config), "httpconc_reporting")


def gate_of(config: pytest.Config) -> Gate:
    """The gate of this run."""
    if GATE not in config.stash:
        from pytest_httpconc.bench.gate import Gate

        config.stash[GATE] = Gate(
            path=_baseline(config),
            judges=config.getoption("httpconc_gate"),
            updates=config.getoption("httpconc_update_baseline"),
            allows_new=config.getoption("httpconc_allow_new"),
        )
    return config.stash[GATE]


def _baseline(config: pytest.Config) -> Path:
    given = config.getoption("httpconc_baseline")
    if given:
        return config.invocation_params.dir / str(given)
    return config.rootpath / str(config.getini("httpconc_baseline") or "httpconc-baseline.json")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("httpconc_gate"):
        return
    chosen = [item for item in items if _is_benchmark(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen


def _is_benchmark(item: pytest.Item) -> bool:
    marked = item.get_closest_marker("benchmark") is not None
    return marked or not _FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    config = session.config
    distributed = config.getoption("dist", "no") != "no"
    if not config.getoption("httpconc_gate") or config.option.collectonly or not (session.items or distributed):
        return
    if not gate_of(config).has_baseline:
        return
    from pytest_httpconc.bench.baseline import BaselineError

    try:
        gate_of(config).entries()
    except BaselineError as error:
        pytest.exit(f"httpconc: {error}", returncode=error.exit_status)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call" and RESULTS in item.stash:
        results = item.stash[RESULTS]
        setattr(report, _ATTRIBUTE, [result.as_dict() for result in results])
        if report.passed and not results and item.config.getoption("httpconc_gate"):
            report.outcome = "failed"
            report.longrepr = (
                f"{item.name} has httpconc_benchmark, and measured nothing: call its run or compare, and await "
                "run_in_loop and compare_in_loop"
            )
    return report


class Reporting:
    """What only the process does that the user started, where others run the tests."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._said: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = getattr(report, _ATTRIBUTE, ())
        if found and (report.passed or not gate_of(self._config).updates):
            from pytest_httpconc.bench.results import Result

            gate_of(self._config).results += [Result.from_dict(values) for values in found]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if GATE not in self._config.stash or not gate_of(self._config).results:
            return
        from pytest_httpconc.bench.baseline import BaselineError
        from pytest_httpconc.bench.gate import NOT_JUDGED

        gate = gate_of(self._config)
        gate.results.sort(key=lambda result: result.name)
        passed = session.exitstatus == pytest.ExitCode.OK
        if gate.updates:
            try:
                self._said.append(f"{gate.path}: {gate.update()} of {len(gate.results)} benchmarks are new or changed")
            except BaselineError as error:
                self._said.append(f"httpconc: {error}")
                session.exitstatus = error.exit_status if passed else session.exitstatus
        elif gate.has_regression and passed:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        elif gate.has_unjudged and passed:
            session.exitstatus = NOT_JUDGED
        self._write(gate)

    def _write(self, gate: Gate) -> None:
        from pytest_httpconc.bench import ci

        path = self._config.getoption("httpconc_benchmark_json")
        if path:
            (self._config.invocation_params.dir / path).write_text(ci.as_json(gate.results), encoding="utf-8")
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        if summary and gate.judges:
            ci.append_summary(gate.results, Path(summary))

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        gate = self._config.stash.get(GATE, None)
        if gate is None or not gate.judges or not (gate.results or gate.not_run):
            return
        from pytest_httpconc.bench import ci, tables

        terminalreporter.section("httpconc benchmarks")
        for line in (*tables.as_text(gate.results), *tables.notes(gate.results), *self._said):
            terminalreporter.write_line(line)
        if gate.has_unjudged:
            terminalreporter.write_line(
                "not judged: add them by --httpconc-update-baseline, or let them pass by --httpconc-allow-new"
            )
        if gate.not_run and not gate.updates:
            terminalreporter.write_line(f"in the baseline, but not run: {', '.join(gate.not_run)}")
        if os.environ.get("GITHUB_ACTIONS"):
            root = Path(os.environ.get("GITHUB_WORKSPACE") or self._config.rootpath)
            for line in ci.regressions_on_lines(gate.results, root):
                terminalreporter.write_line(line)
