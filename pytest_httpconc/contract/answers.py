"""Answers that are none, and answers that ask for something else: malformed ones, redirects, statuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from fake_servers.faults import Disconnect, Fault, Malformed, Redirect, Status, WrongLength
from pytest_httpconc.contract.base import Contract
from pytest_httpconc.contract.faults import unless_it_matters
from pytest_httpconc.contract.selection import check
from pytest_httpconc.contract.trial import Trial
from pytest_httpconc.findings import Finding

__all__ = ["Answers"]

_MOVED = "/moved"


def _if_meant(contract: type[Contract], parameters: Mapping[str, Any]) -> str | None:
    return "retry_statuses names it" if parameters["status"] in contract.retry_statuses else None


def _unless_strict(contract: type[Contract], parameters: Mapping[str, Any]) -> str | None:
    if parameters["fault"] != Malformed("header") or contract.strict_headers:
        return None
    return "say strict_headers = True to have it checked"


class Answers(Contract):
    """The family of malformed answers, redirects and retries on a status."""

    @check(_unless_strict)
    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(Malformed("status"), id="status"),
            pytest.param(Malformed("header"), id="header"),
            pytest.param(Malformed("chunk"), id="chunk"),
            pytest.param(Malformed("garbage"), id="garbage"),
            pytest.param(WrongLength(5), id="short-body"),
        ],
    )
    def test_malformed_answer_is_refused(self, trial: Trial, fault: Fault) -> None:
        """What breaks the grammar of HTTP is no answer (HC602), and the client works on (HC702)."""
        with trial.client() as calls:
            trial.first(calls)
            trial.disturbed(calls, fault)
            trial.works(calls, after=fault)

    @check()
    def test_surplus_of_an_answer_reaches_no_other_call(self, trial: Trial) -> None:
        """A body longer than its Content-Length may fail the next call, but is not part of its answer (HC501)."""
        surplus = WrongLength(-5)
        with trial.client() as calls:
            trial.first(calls)
            with trial.server.injected(surplus, on=self.on, times=1):
                calls.call()
            following = calls.call()
            trial.judge([following] if following.is_answer else [], f"the call after {surplus}")
            trial.works(calls, after=f"one that met what was left of {surplus}")

    @check(unless_it_matters)
    @pytest.mark.parametrize("status", [302, 307, 308])
    def test_redirected_call_runs_at_most_once(self, trial: Trial, status: int) -> None:
        """Whether it is followed or not, the call is executed once at the most (HC201)."""
        redirect = Redirect(trial.server.url + _MOVED, status)
        with trial.client() as calls:
            trial.first(calls)
            with trial.server.injected(redirect, on=self.on, times=1):
                calls.call()
        self._executed_once(trial)

    @check(unless_it_matters)
    @pytest.mark.parametrize("status", [307, 308])
    def test_redirected_call_that_breaks_off_runs_at_most_once(self, trial: Trial, status: int) -> None:
        """The call breaks off where it was sent on to: it is not sent again, neither there nor here (HC201)."""
        redirect = Redirect(trial.server.url + _MOVED, status)
        breaking = Disconnect()
        with trial.client() as calls:
            trial.first(calls)
            with (
                trial.server.injected(redirect, on=self.on, times=1),
                trial.server.injected(breaking, on=f"POST {_MOVED}", times=1),
            ):
                calls.call()
        self._executed_once(trial)

    @check(_if_meant)
    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_no_retry_on(self, trial: Trial, status: int) -> None:
        """An answer with this status is an answer, and the server's invitation to come again is not taken (HC202)."""
        with trial.client() as calls:
            trial.first(calls)
            trial.disturbed(calls, Status(status, headers={"Retry-After": "0"}))
            trial.works(calls, after=f"an answer {status}")
        trial.httpconc.assert_at_most_once(trial.server, on=self.on, retry_statuses=self.retry_statuses)

    def _executed_once(self, trial: Trial) -> None:
        __tracebackhide__ = True
        _, *own = trial.server.ledger.exchanges
        executed = [e for e in own if e.executed_at is not None and e.body]
        summary = f"one call was executed {len(executed)} times, at {', '.join(e.target for e in executed)}"
        trial.found([Finding(code="HC201", summary=summary, exchanges=executed)] if len(executed) > 1 else [])
