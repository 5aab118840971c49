"""Connections are reused, limited, given back after an error, and closed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest

from fake_servers.faults import Disconnect, Moment, Reset, Status
from pytest_httpconc.contract.base import Contract
from pytest_httpconc.contract.drivers import Calls
from pytest_httpconc.contract.selection import check, said
from pytest_httpconc.contract.trial import Trial

__all__ = ["Connections"]

_CALLS: Final = 10
_GIVE_UP: Final = 0.3  # seconds; what keeps to its limit never gets there


def _unless_it_reuses(contract: type[Contract], parameters: Mapping[str, Any]) -> str | None:
    return None if contract.reuses_connections else "reuses_connections = False"


def _unless_shared(contract: type[Contract], parameters: Mapping[str, Any]) -> str | None:
    return "concurrency = 1" if contract.concurrency == 1 else None


def _nothing(trial: Trial, calls: Calls) -> None:
    """A client that is made and closed."""


def _an_answer(trial: Trial, calls: Calls) -> None:
    trial.first(calls)


def _an_error(trial: Trial, calls: Calls) -> None:
    trial.first(calls)
    trial.disturbed(calls, Status(500, headers={"Retry-After": "0"}))


def _a_disconnect(trial: Trial, calls: Calls) -> None:
    trial.first(calls)
    trial.disturbed(calls, Disconnect(at=Moment.EXECUTED))


def _a_reset(trial: Trial, calls: Calls) -> None:
    trial.first(calls)
    trial.disturbed(calls, Reset(after_bytes=1))


def _a_stale_connection(trial: Trial, calls: Calls) -> None:
    with trial.server.injected(Disconnect(at=Moment.IDLE)):
        trial.first(calls)
        trial.wait_until(lambda ledger: not ledger.open_connections)


class Connections(Contract):
    """The family of connections."""

    @check()
    def test_call_gets_its_answer(self, trial: Trial) -> None:
        """Nothing goes wrong."""
        with trial.client() as calls:
            trial.first(calls)

    @check(_unless_it_reuses)
    def test_calls_one_after_the_other_share_a_connection(self, trial: Trial) -> None:
        """Ten calls, one connection (HC103)."""
        with trial.client() as calls:
            for _ in range(_CALLS):
                trial.first(calls)
        trial.httpconc.assert_connections(trial.server, at_most=1)

    @check(_unless_it_reuses)
    @pytest.mark.parametrize("status", [404, 500])
    def test_connection_returns_after_an_error(self, trial: Trial, status: int) -> None:
        """A response that tells of an error leaves a connection that can be used again (HC103)."""
        with trial.client() as calls:
            trial.disturbed(calls, Status(status, headers={"Retry-After": "0"}))
            trial.works(calls, after=f"an answer {status}")
        trial.httpconc.assert_connections(trial.server, at_most=1)

    @check(_unless_it_reuses, _unless_shared)
    def test_calls_together_leave_connections_to_the_next(self, trial: Trial) -> None:
        """As many calls again as there were before need no more connections (HC103)."""
        number = self.together()
        trial.server.hold(until_in_flight=number, on=self.on)
        with trial.client() as calls:
            for _ in range(3):
                trial.judge(calls.together(number), f"one of {number} calls together")
        trial.httpconc.assert_connections(trial.server, at_most=number)

    @check(said("max_connections", "N"), _unless_shared)
    def test_calls_together_keep_to_the_limit(self, trial: Trial) -> None:
        """More calls than the pool has connections wait for one (HC104)."""
        limit = self.max_connections or 1
        trial.server.hold(until_in_flight=limit + 1, give_up=_GIVE_UP, on=self.on)
        with trial.client() as calls:
            trial.judge(calls.together(2 * limit + 1), f"one of {2 * limit + 1} calls together")
        trial.httpconc.assert_connections(trial.server, at_most=limit)

    @check(leaks="fail")
    @pytest.mark.parametrize(
        "after",
        [
            pytest.param(_nothing, id="nothing"),
            pytest.param(_an_answer, id="an-answer"),
            pytest.param(_an_error, id="an-error"),
            pytest.param(_a_disconnect, id="a-disconnect"),
            pytest.param(_a_reset, id="a-reset"),
            pytest.param(_a_stale_connection, id="a-stale-connection"),
        ],
    )
    def test_closing_leaves_nothing_open_after(self, trial: Trial, after: Callable[[Trial, Calls], None]) -> None:
        """When the fixture has closed its client, no socket is left (HC101, HC102), though somebody has the client."""
        with trial.client(outlives=True) as calls:
            after(trial, calls)
        trial.httpconc.assert_no_leaks(trial.server)
