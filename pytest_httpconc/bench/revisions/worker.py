"""A pytest plugin, in the environment of one revision: it runs benchmarks when the parent process says so.

What it is told and tells, in `Channel` messages:

| the parent | this process |
| --- | --- |
| | ``collected``: which benchmarks there are |
| ``run``: one of them | ``order``: a measurement that it asks for; ``over``: what became of the test |
| ``begin``: its server's URL | ``prepared``, once it is warm |
| ``round`` | ``round``: what it did and took |
| ``finish`` | ``finished`` |
| ``stop`` | ends |

Between them it has the parent's server do what a round needs: ``begin_round``, ``begin_census``, ``most_together``,
``tally`` and ``seen``, which are answered at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_httpconc.bench.gate import Gate
from pytest_httpconc.bench.plugin import GATE, HARNESS
from pytest_httpconc.bench.revisions.channel import Channel
from pytest_httpconc.bench.revisions.harness import RemoteHarness


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--httpconc-channel", nargs=2, type=int, required=True, help=argparse.SUPPRESS)
    parser.addoption("--httpconc-foreign", help=argparse.SUPPRESS)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run everything here, whatever the project's options say of more processes."""
    for name, value in (("numprocesses", 0), ("dist", "no"), ("tx", [])):
        if hasattr(config.option, name):
            setattr(config.option, name, value)


def pytest_configure(config: pytest.Config) -> None:
    channel = Channel.of(*config.getoption("--httpconc-channel"))
    config.add_cleanup(channel.close)
    config.stash[GATE] = Gate(path=config.rootpath / "httpconc-baseline.json")
    config.stash[HARNESS] = lambda name: RemoteHarness(name, channel)
    config.pluginmanager.register(Worker(channel, Path(config.getoption("--httpconc-foreign"))))


class Worker:
    """What the parent process talks to.

    Args:
        channel: to it.
        foreign: the folder that nothing may be imported from: the user's own.
    """

    def __init__(self, channel: Channel, foreign: Path) -> None:
        self._channel = channel
        self._foreign = foreign
        self._broken: dict[str, str] = {}
        self._outcome = ("passed", "")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._broken[report.nodeid] = _last_line(report.longreprtext)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        files = sorted({str(item.path.relative_to(session.config.rootpath)) for item in session.items})
        inifile = session.config.inipath
        self._channel.tell(
            "collected",
            names=list(items),
            files=files,
            inifile=None if inifile is None else os.path.relpath(inifile, session.config.rootpath),
            broken=self._broken,
            foreign=self._foreign_modules(),
        )
        while (message := self._channel.hear())["kind"] == "run":
            item = items[message["name"]]
            self._outcome = ("passed", "")
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            outcome, reason = self._outcome
            self._channel.tell("over", outcome=outcome, reason=reason)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed and self._outcome[0] == "passed":
            self._outcome = (report.outcome, _reason(report))

    def _foreign_modules(self) -> list[str]:
        files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
        paths = [Path(file) for file in files if file is not None]
        return sorted(str(p) for p in paths if self._foreign in p.parents and "site-packages" not in p.parts)


def _reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):  # of a test that was skipped
        return str(report.longrepr[2])
    crash: Any = getattr(report.longrepr, "reprcrash", None)
    return _last_line(report.longreprtext) if crash is None else str(crash.message).partition("\n")[0]


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1].removeprefix("E").strip()
