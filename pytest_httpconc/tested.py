"""One test, as the plugin knows it: its servers, what was found, and what its marker and the ini file ask for.

Imports nothing but pytest: what it needs is imported on first use, or asked only where it was imported already.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fake_servers import FakeServer
    from pytest_httpconc.findings import Finding
    from pytest_httpconc.policy import Policy
    from pytest_httpconc.watched import Watched

__all__ = ["INI_OPTIONS", "TEST", "Test", "marked", "policy_of", "see_clients", "started", "watch"]

#: By name, without ``httpconc_``: their type and help.
INI_OPTIONS = {
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


class Test:
    """What is known of one test: its servers, and whether its body has passed."""

    __test__ = False

    def __init__(self) -> None:
        self.owned: list[FakeServer] = []
        self.watched: dict[FakeServer, Watched] = {}
        self.told: list[Finding] = []  # findings that did not fail it
        self.findings: list[Finding] = []  # those that did
        self.passed = False


TEST = pytest.StashKey[Test]()


def policy_of(item: pytest.Item) -> Policy:
    """The policy of a test: ini options, and its markers on top."""
    from pytest_httpconc.policy import Policy

    values = {name: item.config.getini(f"httpconc_{name}") for name in INI_OPTIONS}
    return marked(item, _or_fail(lambda: Policy.from_ini(values)))


def marked(item: pytest.Item, policy: Policy | None = None) -> Policy:
    """A policy, or what holds without ini options, with a test's markers on top, the closest last."""
    from pytest_httpconc.policy import Policy

    found = policy or Policy()
    for marker in reversed(list(item.iter_markers("httpconc"))):
        if marker.args:
            pytest.fail(
                f"the httpconc marker takes keywords only, as in leaks='allow', not {marker.args!r}", pytrace=False
            )
        found = _or_fail(functools.partial(found.with_marker, marker.kwargs))
    return found


def _or_fail(read: Callable[[], Policy]) -> Policy:
    """A policy that is read; one that makes no sense fails the test in one line."""
    from fake_servers import ScenarioError

    try:
        return read()
    except ScenarioError as error:
        problem = str(error)
    pytest.fail(problem, pytrace=False)


def started() -> list[FakeServer]:
    """The servers of this process; none, without an import, where nothing has used one.

    One whose process has ended by itself was told of in the test that has seen it.
    """
    module = sys.modules.get("fake_servers.started")
    return [] if module is None else [server for server in module.started_servers() if not server.has_ended]


def see_clients() -> None:
    """Have the probe see who connects to the servers that start from now on, where there may be some."""
    if "fake_servers.started" in sys.modules:
        from pytest_httpconc import probe

        probe.install()


def watch(server: FakeServer, *, from_its_start: bool = False) -> Watched:
    """See a server as a test does from now on, or as one that has started it."""
    from pytest_httpconc.watched import Watched

    return Watched(server, from_its_start=from_its_start)
