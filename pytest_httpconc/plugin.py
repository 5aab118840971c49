"""The pytest plugin: options, marker, fixtures, and the checks at the end of a test.

Thin, and importing nothing but pytest: whatever it needs is imported on first use, so that a test run
without fake servers pays nothing.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from _pytest._code.code import TerminalRepr

if TYPE_CHECKING:
    from fake_servers import (
        ChaosProxy,
        FakeAgentServer,
        FakeDockerServer,
        FakeEvalServer,
        FakeLLMServer,
        FakeServer,
    )
    from fake_servers.proxy.upstream import HasUrl
    from pytest_httpconc.assertions import HttpConc
    from pytest_httpconc.findings import Finding
    from pytest_httpconc.policy import Policy
    from pytest_httpconc.strategies import Drawn
    from pytest_httpconc.watched import Watched

    AnyServer = TypeVar("AnyServer", bound=FakeServer)


pytest_plugins = ("pytest_httpconc.bench.plugin", "pytest_httpconc.collecting")


class Test:
    """What is known of one test: its servers, and whether its body has passed."""

    __test__ = False

    def __init__(self) -> None:
        self.owned: list[FakeServer] = []
        self.watched: dict[FakeServer, Watched] = {}
        self.told: list[Finding] = []  # findings that did not fail it
        self.findings: list[Finding] = []  # those that did
        self.passed = False


_TEST = pytest.StashKey[Test]()
_RECORDINGS = "folder for the recordings of failing tests, relative to the rootdir, or off (default: .httpconc)"
_REPLAYING = "httpconc-replaying"
_MISSING = object()
_MARKER = (
    "httpconc(*, leaks, max_idle, at_most_once, max_connections, min_concurrency, min_speedup, ignore, host, grace, "
    "virtual_time): "
    "what is checked when a test that used a fake server ends; see the README of pytest-httpconc"
)
_NAMES = {
    "leaks": ("string", "what a leaked connection leads to: fail, warn or allow (default: fail)"),
    "max_idle": ("string", "idle connections that a pool may keep when a test ends (default: 0)"),
    "at_most_once": ("bool", "fail a test in which a non-idempotent request is sent again (default: false)"),
    "max_connections": ("string", "limit of connections in every test (default: none)"),
    "min_concurrency": ("string", "exchanges that must be in flight together in every test (default: none)"),
    "min_speedup": ("string", "speedup required in every test (default: none)"),
    "ignore": ("args", "codes of findings to pass over, such as HC103"),
    "host": ("string", "where the fixtures' servers run: thread, loop or process (default: thread)"),
    "virtual_time": ("bool", "run async tests on a virtual clock, their servers with them (default: false)"),
    "grace": ("string", "longest time in seconds that a check waits for things to settle (default: 1.0)"),
}
_REPORT = "write what the servers saw to FILE.html, one page with timelines and findings, or to FILE.json"


def pytest_addoption(parser: pytest.Parser) -> None:
    for name, (kind, text) in _NAMES.items():
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


# -- fixtures -------------------------------------------------------------------------------------------------


@pytest.fixture
def fake_http(request: pytest.FixtureRequest) -> FakeServer:
    """A `FakeServer` with no routes yet, stopped when the test is over."""
    from fake_servers import FakeServer

    return _serve(request, FakeServer)


@pytest.fixture
def fake_docker(request: pytest.FixtureRequest) -> FakeDockerServer:
    """A `FakeDockerServer`, stopped when the test is over."""
    from fake_servers import FakeDockerServer

    return _serve(request, FakeDockerServer)


@pytest.fixture
def fake_eval(request: pytest.FixtureRequest) -> FakeEvalServer:
    """A `FakeEvalServer` with any number of GPUs, stopped when the test is over."""
    from fake_servers import FakeEvalServer

    return _serve(request, FakeEvalServer)


@pytest.fixture
def fake_llm(request: pytest.FixtureRequest) -> FakeLLMServer:
    """A `FakeLLMServer` that echoes without delay, stopped when the test is over."""
    from fake_servers import FakeLLMServer

    return _serve(request, FakeLLMServer)


@pytest.fixture
def fake_agent(request: pytest.FixtureRequest) -> FakeAgentServer:
    """A `FakeAgentServer` that works at three questions at a time, without delay, stopped when the test is over."""
    from fake_servers import FakeAgentServer

    return _serve(request, FakeAgentServer)


@pytest.fixture
def chaos_proxy(request: pytest.FixtureRequest) -> Callable[..., ChaosProxy]:
    """Start a `ChaosProxy`, as in ``chaos_proxy("http://127.0.0.1:8000")``; it is stopped when the test is over.

    It takes the URL of the server, or a server that has one, and the keywords of `ChaosProxy`.
    """
    from fake_servers import ChaosProxy

    host = _policy(request.node).server_host
    in_loop = AsyncExitStack()
    if host == "loop":
        _run_within(request.node, in_loop)

    def start(upstream: str | HasUrl, **options: Any) -> ChaosProxy:
        proxy = ChaosProxy(upstream, **{"host": host, **options})
        request.node.stash[_TEST].owned.append(proxy)
        if options.get("host", host) == "loop":
            in_loop.push_async_exit(proxy.start_here())
        else:
            proxy.start()
        return proxy

    _see_clients()
    return start


@pytest.fixture
def httpconc(request: pytest.FixtureRequest) -> Iterator[HttpConc]:
    """The checks, as ``httpconc.assert_...``."""
    from pytest_httpconc import probe
    from pytest_httpconc.assertions import HttpConc

    probe.install()
    probe.look_at_timeouts(True)
    checks = HttpConc(_policy(request.node), request.node.stash[_TEST].watched)
    yield checks
    probe.look_at_timeouts(False)
    checks.require_awaited()


def _serve(request: pytest.FixtureRequest, kind: type[AnyServer]) -> AnyServer:
    """Start a server for a test; it is stopped after every other fixture is gone, when it was looked at."""
    _see_clients()
    item: pytest.Item = request.node
    host = _policy(item).server_host
    server = kind(host=host)
    item.stash[_TEST].owned.append(server)
    if host == "loop":
        _run_within(item, server)
    else:
        server.start()
    return server


def _set_virtual_clock(item: pytest.Item) -> None:
    """Have looptime run the test."""
    asynchronous = inspect.iscoroutinefunction(getattr(item, "obj", None))
    if not (asynchronous or _marked(item).virtual_time):
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


def _run_within(item: pytest.Item, servers: AbstractAsyncContextManager[object]) -> None:
    """Have servers run while the test's coroutine runs, in its loop."""
    body = getattr(item, "obj", None)
    if not inspect.iscoroutinefunction(body):
        pytest.fail(f"host='loop' needs an async test, and {item.name} is none; use host='thread'", pytrace=False)

    @functools.wraps(body)
    async def within_servers(*args: object, **kwargs: object) -> None:
        async with servers:
            await body(*args, **kwargs)

    item.obj = within_servers  # type: ignore[attr-defined]  # pytest.Function has it


# -- the end of a test ----------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    test = item.stash[_TEST] = Test()
    marked = item.get_closest_marker("httpconc") is not None
    if (marked and _policy(item).virtual_time) or (not marked and item.config.getini("httpconc_virtual_time")):
        _set_virtual_clock(item)
    _see_clients()
    for server in _started():
        test.watched[server] = _watch(server)
    _drawn().clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    test = item.stash.get(_TEST, None)
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
    test = item.stash.get(_TEST, None)
    try:
        result = yield
        if test is not None and test.passed:
            _check(item, test)
    finally:
        if test is not None:
            _report(item, test)
        for server in () if test is None else test.owned:
            server.stop()
        _forget_stopped()
    return result


def _check(item: pytest.Item, test: Test) -> None:
    """Look at every server that the test used; fail it once, with everything that was found."""
    __tracebackhide__ = True
    for server in _started():
        server.catch_up()
    used = _used(test)
    if not used:
        if item.get_closest_marker("httpconc") is not None and _marked(item).needs_a_server:
            pytest.fail(
                f"the httpconc marker of {item.name} asks for a check, but it sent nothing to a fake server",
                pytrace=False,
            )
        return
    policy = _policy(item)
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
    for server in _started():
        if server not in test.watched:
            test.watched[server] = _watch(server, from_its_start=True)
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


def _policy(item: pytest.Item) -> Policy:
    """The policy of a test: ini options, and its markers on top."""
    from pytest_httpconc.policy import Policy

    values = {name: item.config.getini(f"httpconc_{name}") for name in _NAMES}
    return _marked(item, _or_fail(lambda: Policy.from_ini(values)))


def _marked(item: pytest.Item, policy: Policy | None = None) -> Policy:
    """A policy, or what holds without ini options, with a test's markers on top, the closest last."""
    from pytest_httpconc.policy import Policy

    marked = policy or Policy()
    for marker in reversed(list(item.iter_markers("httpconc"))):
        if marker.args:
            pytest.fail(
                f"the httpconc marker takes keywords only, as in leaks='allow', not {marker.args!r}", pytrace=False
            )
        marked = _or_fail(functools.partial(marked.with_marker, marker.kwargs))
    return marked


def _or_fail(read: Callable[[], Policy]) -> Policy:
    """A policy that is read; one that makes no sense fails the test in one line."""
    from fake_servers import ScenarioError

    try:
        return read()
    except ScenarioError as error:
        problem = str(error)
    pytest.fail(problem, pytrace=False)


def _started() -> list[FakeServer]:
    """The servers of this process; none, without an import, where nothing has used one.

    One whose process has ended by itself was told of in the test that has seen it.
    """
    module = sys.modules.get("fake_servers.started")
    return [] if module is None else [server for server in module.started_servers() if not server.has_ended]


def _drawn() -> list[Drawn]:
    """The scenario that the test has drawn last; none, without an import, where it draws none."""
    module = sys.modules.get("pytest_httpconc.strategies")
    return [] if module is None else module.drawn


def _see_clients() -> None:
    """Have the probe see who connects to the servers that start from now on, where there may be some."""
    if "fake_servers.started" in sys.modules:
        from pytest_httpconc import probe

        probe.install()


def _forget_stopped() -> None:
    module = sys.modules.get("fake_servers.started")
    if module is not None:
        module.forget_stopped_servers()


def _watch(server: FakeServer, *, from_its_start: bool = False) -> Watched:
    from pytest_httpconc.watched import Watched

    return Watched(server, from_its_start=from_its_start)
