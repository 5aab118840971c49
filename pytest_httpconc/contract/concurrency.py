"""Calls run together, get their own answers, and do not spoil each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fake_servers import latency
from fake_servers.faults import Disconnect
from pytest_httpconc.contract.base import Contract
from pytest_httpconc.contract.selection import check
from pytest_httpconc.contract.trial import Trial
from pytest_httpconc.findings import Finding

__all__ = ["Concurrency"]


def _unless_together(contract: type[Contract], parameters: Mapping[str, Any]) -> str | None:
    if contract.together() > 1:
        return None
    return "concurrency = 1" if contract.concurrency == 1 else "max_connections = 1"


class Concurrency(Contract):
    """The family of calls made at once, on one client."""

    @check(_unless_together)
    def test_calls_run_together(self, trial: Trial) -> None:
        """Nobody is answered until all are in flight (HC401, HC402, HC403)."""
        with trial.client() as calls:
            self._prove_together(trial, lambda: calls.together(self.together()))

    @check(_unless_together)
    def test_calls_run_together_after_all_have_failed(self, trial: Trial) -> None:
        """What a call takes of the client, its slot in a pool say, it gives back when it fails (HC401, HC403)."""
        number = self.together()
        with trial.client() as calls:
            with trial.server.injected(Disconnect(), on=self.on):
                calls.together(number)
            self._prove_together(trial, lambda: calls.together(number))

    @check(_unless_together)
    def test_answers_reach_their_callers(self, trial: Trial) -> None:
        """Answers that overtake each other are not mistaken for each other (HC501)."""
        trial.server.delay(latency.uniform(0.0, 0.02), on=self.on)
        with trial.client() as calls:
            for _ in range(3):
                trial.judge(calls.together(self.concurrency), f"one of {self.concurrency} calls together")

    @check(_unless_together)
    def test_call_that_fails_leaves_the_others_alone(self, trial: Trial) -> None:
        """One of the calls breaks off: just this one fails (HC702)."""
        with trial.client() as calls:
            trial.first(calls)
            with trial.server.injected(Disconnect(), on=self.on, times=1):
                outcomes = calls.together(self.concurrency)
            failed = [outcome for outcome in outcomes if not outcome.is_answer]
            trial.judge([outcome for outcome in outcomes if outcome.is_answer], "a call beside one that failed")
            summary = f"{len(failed)} of {len(outcomes)} calls together failed, and one was disturbed"
            evidence = [f"the call {outcome}" for outcome in failed]
            trial.found([Finding(code="HC702", summary=summary, evidence=evidence)] if len(failed) > 1 else [])

    def _prove_together(self, trial: Trial, call_together: Any) -> None:
        __tracebackhide__ = True
        number = self.together()
        trial.server.reset()
        trial.server.hold(until_in_flight=number, on=self.on)
        outcomes = call_together()
        trial.httpconc.assert_concurrency(trial.server, at_least=number, on=self.on)
        trial.judge(outcomes, f"one of {number} calls together")
