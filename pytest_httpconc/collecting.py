"""What pytest does with the classes of users' contracts: collects them, deselects with reasons, expects what is known.

Part of the plugin in every run, so it imports the contract only where a user has.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Generator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

_DESELECTED = pytest.StashKey[dict[str, dict[str, str]]]()
_OUTPUT = "httpconc_deselected"


class ContractClass(pytest.Class):
    """A user's contract; one that lacks something is an error of its own, in one line."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        from fake_servers import ScenarioError
        from pytest_httpconc.contract.making import missing_fixture

        try:
            self.obj.check_limits()
        except ScenarioError as error:
            raise self.CollectError(str(error)) from None
        collected = list(super().collect())
        problem = missing_fixture(self.obj, self)
        if problem is not None:
            raise self.CollectError(problem)
        return collected


class KnownViolation(Exception):
    """A contract was broken in just the way in which its user has said that it is."""


def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> pytest.Collector | None:
    if is_contract(obj) and collector.istestclass(obj, name):
        return ContractClass.from_parent(collector, name=name, obj=obj)
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    contracts = [item for item in items if isinstance(item, pytest.Function) and is_contract(item.cls)]
    if not contracts:
        return
    from pytest_httpconc.contract.selection import reason_against

    reasons = {item: reason for item in contracts if (reason := reason_against(item)) is not None}
    for item in contracts:
        _expect_known(item)
    if reasons:
        told = config.stash.setdefault(_DESELECTED, {})
        for item, reason in reasons.items():
            told.setdefault(item.nodeid.rpartition("::")[0], {})[item.name] = reason
        config.hook.pytest_deselected(items=list(reasons))
        items[:] = [item for item in items if item not in reasons]


def is_contract(obj: object) -> bool:
    """Whether it is a contract, a user's or the one that they subclass."""
    contracts = sys.modules.get("pytest_httpconc.contract")
    return contracts is not None and inspect.isclass(obj) and issubclass(obj, contracts.ClientContract)


# -- what is known to be broken -------------------------------------------------------------------------------


def known_of(item: pytest.Item) -> dict[str, str]:
    """The codes that a test is known to find, with the reasons."""
    known = getattr(getattr(item, "cls", None), "known", {})
    found = known.get(item.name) or known.get(getattr(item, "originalname", item.name))
    return dict(found or {})


def _expect_known(item: pytest.Item) -> None:
    known = known_of(item)
    if known:
        reason = "; ".join(f"{code}: {why}" for code, why in sorted(known.items()))
        item.add_marker(pytest.mark.xfail(raises=KnownViolation, strict=True, reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    if not is_contract(pyfuncitem.cls):
        return (yield)
    from pytest_httpconc.findings import CheckFailed
    from pytest_httpconc.report.terminal import render

    __tracebackhide__ = True
    try:
        return (yield)
    except CheckFailed as failed:
        if {finding.code for finding in failed.findings} == set(known_of(pyfuncitem)):
            raise KnownViolation(str(failed)) from None
        place = _place_of_call(pyfuncitem.cls)
        findings = [replace(finding, evidence=[*finding.evidence, place]) for finding in failed.findings]
        raise CheckFailed(findings, render(findings)).with_traceback(failed.__traceback__) from None


def _place_of_call(contract: Any) -> str:
    code = inspect.unwrap(contract.call).__code__
    path = Path(code.co_filename)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"the call under test is at {shown}:{code.co_firstlineno} in {contract.call.__qualname__}"


# -- what was deselected --------------------------------------------------------------------------------------


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)  # of a worker of xdist's, for its controller
    if output is not None:
        output[_OUTPUT] = session.config.stash.get(_DESELECTED, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    told = node.config.stash.setdefault(_DESELECTED, {})
    for contract, reasons in getattr(node, "workeroutput", {}).get(_OUTPUT, {}).items():
        told.setdefault(contract, {}).update(reasons)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    told = config.stash.get(_DESELECTED, {})
    if not told or config.getoption("httpconc_gate"):  # where only benchmarks run, it is of no interest
        return
    terminalreporter.section("httpconc: checks that were deselected")
    for contract, reasons in sorted(told.items()):
        terminalreporter.write_line(contract)
        for reason in dict.fromkeys(reasons.values()):
            tests = [test for test, why in reasons.items() if why == reason]
            terminalreporter.write_line(f"  {reason}: {', '.join(tests)}")
