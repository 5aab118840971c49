"""Stale connections: the server closes one that the client keeps for its next call."""

from __future__ import annotations

import pytest

from fake_servers.faults import Disconnect, Fault, Moment, Reset
from pytest_httpconc.contract.base import Contract
from pytest_httpconc.contract.faults import unless_it_matters
from pytest_httpconc.contract.selection import check
from pytest_httpconc.contract.trial import Trial

__all__ = ["StaleConnections"]

_KINDS = [pytest.param(Disconnect, id="fin"), pytest.param(Reset, id="rst")]


class StaleConnections(Contract):
    """The family of stale connections; a call on one may fail, as clients differ: executions are counted."""

    @check()
    @pytest.mark.parametrize("kind", _KINDS)
    def test_client_works_after_its_connection_was_closed_idle(
        self, trial: Trial, kind: type[Disconnect | Reset]
    ) -> None:
        """At the latest the second call after it is served (HC702)."""
        with trial.client() as calls:
            with trial.server.injected(kind(at=Moment.IDLE), on=self.on):
                trial.first(calls)
                trial.wait_until(lambda ledger: not ledger.open_connections)
            calls.call()
            trial.works(calls, after="one on a connection that was closed while it was idle")

    @check(unless_it_matters)
    @pytest.mark.parametrize("kind", _KINDS)
    def test_call_on_a_connection_that_is_just_being_closed_runs_at_most_once(
        self, trial: Trial, kind: type[Disconnect | Reset]
    ) -> None:
        """The race that only a server can make certain: it closes as the request's first byte arrives (HC201)."""
        fault: Fault = kind(at=Moment.NEXT_REQUEST)
        with trial.client() as calls:
            with trial.server.injected(fault, on=self.on, times=1):
                trial.first(calls)
                calls.call()
            trial.works(calls, after="one on a connection that was just being closed")
        trial.at_most_once()
