"""The pytest plugin: options, marker, and the checks at the end of a test; its fixtures are in `fixtures`.

Thin, and importing nothing but pytest: whatever it needs is imported on first use, so that a test run
without fake servers pays nothing.
"""

from __future__ import annotations

import inspect
import os
import sys
import warnings
from collections.abc import Generator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from _pytest._code.code import TerminalRepr

from pytest_httpconc.tested import INI_OPTIONS, TEST, Test, marked, policy_of, see_clients, started, watch

if TYPE_CHECKING:
    from pytest_httpconc.findings import Finding
    from pytest_httpconc.strategies import Drawn
    from pytest_httpconc.watched import Watched

pytest_plugins = ("pytest_httpconc.fixtures", "pytest_httpconc.bench.plugin", "pytest_httpconc.collecting")

_RECORDINGS = "folder for the recordings of failing tests, relative to the rootdir, or off (default: .httpconc)"
_REPLAYING = "httpconc-replaying"
_MISSING = object()
_MARKER = (
    "httpconc(*, leaks, max_idle, at_most_once, max_connections, min_concurrency, min_speedup, ignore, host, grace, "
    "virtual_time): "
    "what is checked when a test that used a fake server ends; see the README of pytest-httpconc"
)
_REPORT = "write what the servers saw to FILE.html, one page with timelines and findings, or to FILE.json"


def pytest_addoption(parser: pytest.Parser) -> None:
    for name, (kind, text) in INI_OPTIONS.items():
        parser.addini(f"httpconc_{name}", text, type=kind, default=None)  # type: ignore[arg-type]
    parser.addini("httpconc_report", f"{_REPORT}, below the rootdir (default: none)", default="")
    group = parser.getgroup("httpconc", "HTTP concurrency")
    group.addoption("--httpconc-report", metavar="FILE", default="", help=_REPORT)
    parser.addini("httpconc_recordings", _RECORDINGS, default=".httpconc")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)
    if config.getoption("httpconc_report") or config.getini("httpconc_report"):
        from pytest_httpconc import reporting

        reporting.start(config)
    if os.environ.get("HTTPCONC_REPLAY"):
        from pytest_httpconc import replaying

        config.pluginmanager.register(replaying, _REPLAYING)


def _set_virtual_clock(item: pytest.Item) -> None:
    """Have looptime run the test."""
    asynchronous = inspect.iscoroutinefunction(getattr(item, "obj", None))
    if not (asynchronous or marked(item).virtual_time):
        return  # the ini file means the tests that can have it
    if not asynchronous:
        pytest.fail(
            f"virtual_time needs an async test that pytest-asyncio runs, and {item.name} is none", pytrace=False
        )
    if item.config.getoption("asyncio_mode", _MISSING) is _MISSING:
        pytest.fail(
            "virtual_time needs pytest-asyncio; install it by pip install 'pytest-httpconc[virtual-time]'",
            pytrace=False,
        )
    if item.config.getoption("looptime", _MISSING) is _MISSING:
        pytest.fail(
            "virtual_time needs looptime; install it by pip install 'pytest-httpconc[virtual-time]'", pytrace=False
        )
    item.add_marker("looptime")


# -- one test -------------------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    test = item.stash[TEST] = Test()
    by_default = item.config.getini("httpconc_virtual_time")
    if by_default if item.get_closest_marker("httpconc") is None else policy_of(item).virtual_time:
        _set_virtual_clock(item)
    see_clients()
    for server in started():
        test.watched[server] = watch(server)
    _drawn().clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    test = item.stash.get(TEST, None)
    if call.when == "call" and test is not None:
        test.passed = report.passed
        if report.failed:
            _diagnose(test, report, call)
    if test is not None:
        _record_or_forget(item, test, report, call)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    # After the yield, when every fixture is gone: pytest would finalise a server fixture before a client
    # fixture that was requested ahead of it, and blame the client for what it is about to close.
    __tracebackhide__ = True
    test = item.stash.get(TEST, None)
    try:
        result = yield
        if test is not None and test.passed:
            _check(item, test)
    finally:
        with ExitStack() as ends:  # each of them happens, whatever the others raise
            ends.callback(_forget_stopped)
            if test is not None:
                for server in test.owned:
                    ends.callback(server.stop)
                _report(item, test)
    return result


def _check(item: pytest.Item, test: Test) -> None:
    """Look at every server that the test used; fail it once, with everything that was found."""
    __tracebackhide__ = True
    for server in started():
        server.catch_up()
    used = _used(test)
    if not used:
        if item.get_closest_marker("httpconc") is not None and marked(item).needs_a_server:
            pytest.fail(
                f"the httpconc marker of {item.name} asks for a check, but it sent nothing to a fake server",
                pytrace=False,
            )
        return
    policy = policy_of(item)
    from pytest_httpconc.assertions import raise_on

    for server in test.owned:
        if server.errors:
            raise server.errors[0]
    found = [finding for watched in used for finding in watched.findings(policy)]
    if not _drawn():  # chance has no reason to match
        _warn_of_unmatched([w for w in used if w.server in test.owned or not w.server.is_running])
    if policy.leaks == "warn":
        from pytest_httpconc.findings import LEAKS

        test.told = [finding for finding in found if finding.code in LEAKS]
        _warn(test.told)
        found = [finding for finding in found if finding.code not in LEAKS]
    raise_on(found)


def _diagnose(test: Test, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
    """Add what the servers know to the report of a test that failed in its body."""
    from pytest_httpconc.findings import CheckFailed

    if call.excinfo is not None and call.excinfo.errisinstance(CheckFailed):
        return
    used = _used(test)
    if not used:
        return
    from pytest_httpconc.report.terminal import render

    found = test.told = [finding for watched in used for finding in watched.resends()]
    errors = [str(error) for watched in used for error in watched.server.errors]
    text = "\n\n".join([*errors, render(found)]).strip()
    if text:
        _add_section(report, "httpconc", text)


def _record_or_forget(item: pytest.Item, test: Test, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
    """Leave a recording of a test that has failed, and none of one that has passed."""
    place = item.config.getini("httpconc_recordings")
    if place in {"", "off"} or item.config.pluginmanager.has_plugin(_REPLAYING):
        return
    folder = item.config.rootpath / place
    if report.failed and call.excinfo is not None:
        test.findings += getattr(call.excinfo.value, "findings", ())
        used = _used(test)
        if used:
            from pytest_httpconc.recordings.leaving import leave

            text = leave(folder, item.nodeid, call.excinfo.exconly(), [*test.told, *test.findings], used)
            _add_section(report, "httpconc recording", text)
    elif call.when == "teardown" and test.passed and folder.is_dir():
        from pytest_httpconc.recordings.places import forget

        forget(folder, item.nodeid)


def _add_section(report: pytest.TestReport, title: str, text: str) -> None:
    if isinstance(report.longrepr, TerminalRepr) and hasattr(report.longrepr, "addsection"):
        report.longrepr.addsection(title, text)
    else:
        report.sections.append((title, text))


def _report(item: pytest.Item, test: Test) -> None:
    """Hand what the servers saw, while they still run, to the report that was asked for."""
    reporting = sys.modules.get("pytest_httpconc.reporting")
    if reporting is not None:
        reporting.collect(item, _used(test), test.told)


def _used(test: Test) -> list[Watched]:
    for server in started():
        if server not in test.watched:
            test.watched[server] = watch(server, from_its_start=True)
    return [watched for watched in test.watched.values() if not watched.server.has_ended and watched.was_used]


def _warn(findings: list[Finding]) -> None:
    from pytest_httpconc.findings import HttpConcWarning
    from pytest_httpconc.report.terminal import render

    if findings:
        warnings.warn(HttpConcWarning(render(findings)), stacklevel=2)


def _warn_of_unmatched(used: list[Watched]) -> None:
    from pytest_httpconc.findings import HttpConcWarning

    for watched in used:
        for injection in watched.server.unmatched:
            text = f"nothing matched {injection.on!r}, so {injection.fault or injection.latency} never acted"
            warnings.warn(HttpConcWarning(text), stacklevel=2)


def _drawn() -> list[Drawn]:
    """The scenario that the test has drawn last; none, without an import, where it draws none."""
    module = sys.modules.get("pytest_httpconc.strategies")
    return [] if module is None else module.drawn


def _forget_stopped() -> None:
    module = sys.modules.get("fake_servers.started")
    if module is not None:
        module.forget_stopped_servers()
