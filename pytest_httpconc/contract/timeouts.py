"""Timeouts: as they reach the socket, and as they fire."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final

import pytest

from fake_servers.faults import Dribble, FullBacklog, Moment, Stall
from fake_servers.records import Outcome as Fate
from pytest_httpconc.contract.base import Contract
from pytest_httpconc.contract.selection import check, said
from pytest_httpconc.contract.trial import Trial
from pytest_httpconc.findings import Finding
from pytest_httpconc.sweeps.watchdog import Hung

__all__ = ["Timeouts"]

_PARTS_IN_TIME: Final = 20  # bytes that trickle in while a deadline passes; every answer is far longer


def _long(limit: float) -> float:
    """Seconds for which the server is silent: far beyond the limit, so that no clock needs to decide."""
    return 3 * limit + 2


def _unless_silence_ends(contract: type[Contract], parameters: Mapping[str, Any]) -> str | None:
    shortest = min((t for t in (contract.read_timeout, contract.total_timeout) if t is not None), default=None)
    if shortest is None:
        return "say read_timeout = S or total_timeout = S to have it checked"
    return _too_long(contract, "read_timeout or total_timeout", shortest)


def _unless_connecting_ends(contract: type[Contract], parameters: Mapping[str, Any]) -> str | None:
    if not sys.platform.startswith("linux"):
        return "only Linux drops what meets a full backlog"
    return _too_long(contract, "connect_timeout", contract.connect_timeout)


def _unless_calls_end(contract: type[Contract], parameters: Mapping[str, Any]) -> str | None:
    return _too_long(contract, "total_timeout", contract.total_timeout)


def _unless_on_sockets(contract: type[Contract], parameters: Mapping[str, Any]) -> str | None:
    return "call is async: its sockets do not block, and show no timeout" if contract.is_async() else None


def _too_long(contract: type[Contract], name: str, seconds: float | None) -> str | None:
    shortened = seconds if contract.short_timeout is None else contract.short_timeout
    if seconds is None or shortened is None or shortened <= contract.longest_wait:
        return None
    return f"{name} = {seconds:g} s is more than longest_wait = {contract.longest_wait:g} s: say short_timeout = S"


class Timeouts(Contract):
    """The family of timeouts."""

    @check(said("connect_timeout", "S"), _unless_on_sockets)
    def test_connect_timeout_reaches_the_socket(self, trial: Trial) -> None:
        """The socket connects with the timeout that is declared, however long (HC301, HC302)."""
        with trial.client() as calls:
            trial.first(calls)
        trial.httpconc.assert_timeout(trial.server, on=self.on, connect=self.connect_timeout)

    @check(said("read_timeout", "S"), _unless_on_sockets)
    def test_read_timeout_reaches_the_socket(self, trial: Trial) -> None:
        """The socket waits with the timeout that is declared, however long (HC301, HC302)."""
        with trial.client() as calls:
            trial.first(calls)
        trial.httpconc.assert_timeout(trial.server, on=self.on, read=self.read_timeout)

    @check(_unless_silence_ends, waits=True)
    @pytest.mark.parametrize(
        "moment",
        [pytest.param(Moment.EXECUTED, id="executed"), pytest.param(Moment.RESPONSE, id="response")],
    )
    def test_call_leaves_a_server_that_falls_silent_at(self, trial: Trial, moment: Moment) -> None:
        """The call does not wait for an answer that comes far too late (HC301), and the client works on (HC702)."""
        limit = min(t for t in (self.read_timeout, self.total_timeout) if t is not None)
        stall = Stall(at=moment, seconds=_long(limit))
        with trial.client() as calls:
            trial.first(calls)
            trial.disturbed(calls, stall)
            waited = [
                e for e in trial.server.ledger.matching(self.on) if e.fault == stall and e.outcome is Fate.ANSWERED
            ]
            summary = f"the call waited {stall.seconds:g} s for its answer, declared are {limit:g} s"
            trial.found([Finding(code="HC301", summary=summary, exchanges=waited)] if waited else [])
            trial.works(calls, after=stall)
        if not self.idempotent:
            trial.at_most_once()

    @check(said("connect_timeout", "S"), _unless_connecting_ends, waits=True)
    def test_call_leaves_a_server_that_does_not_accept(self, trial: Trial) -> None:
        """Connecting ends in time, with an error (HC301)."""
        limit = self.connect_timeout or 0.0
        with trial.client() as calls:
            trial.server.inject(FullBacklog(seconds=_long(limit)))
            outcome = calls.call()
        summary = f"the call waited {_long(limit):g} s for its connection, declared are {limit:g} s"
        trial.found([Finding(code="HC301", summary=summary)] if outcome.is_answer else [])

    @check(said("total_timeout", "S"), _unless_calls_end, waits=True)
    def test_call_leaves_a_server_that_trickles(self, trial: Trial) -> None:
        """Bytes that come one by one, each in time, do not keep a call alive past its deadline (HC303)."""
        limit = self.total_timeout or 0.0
        with trial.client() as calls:
            trial.first(calls)
            with trial.server.injected(Dribble(size=1, interval=limit / _PARTS_IN_TIME), on=self.on, times=1):
                try:
                    kept = calls.call().is_answer
                except Hung:
                    kept = True
            summary = f"an answer that took far more than {limit:g} s was read to its end"
            trial.found([Finding(code="HC303", summary=summary)] if kept else [])
            trial.works(calls, after="one that ran out of time")
