"""A call that meets a fault is sent at most once, and the client works afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from fake_servers.faults import Disconnect, Fault, HalfClose, Malformed, Moment, Reset, WrongLength
from pytest_httpconc.contract.base import Contract
from pytest_httpconc.contract.selection import check
from pytest_httpconc.contract.trial import Trial

__all__ = ["Faults", "unless_it_matters"]

_BREAKING = [
    pytest.param(kind(at=moment), id=f"{kind.__name__.lower()}-at-{moment.replace(' ', '-')}")
    for kind in (Disconnect, Reset)
    for moment in (Moment.REQUEST_HEAD, Moment.REQUEST, Moment.EXECUTED, Moment.RESPONSE)
]
_ACCEPTING = [
    pytest.param(Disconnect(at=Moment.ACCEPT), id="disconnect-at-accept"),
    pytest.param(Reset(at=Moment.ACCEPT), id="reset-at-accept"),
]
_SPOILING = [
    pytest.param(Malformed("garbage"), id="garbage"),
    pytest.param(WrongLength(5), id="short-body"),
    pytest.param(HalfClose(), id="half-close"),
]


def unless_it_matters(contract: type[Contract], parameters: Mapping[str, Any]) -> str | None:
    """Why resends are not looked at."""
    return "idempotent = True: calls may be sent again" if contract.idempotent else None


class Faults(Contract):
    """The family of calls that break off."""

    @check(unless_it_matters)
    @pytest.mark.parametrize("fault", [*_BREAKING, *_SPOILING])
    def test_at_most_once(self, trial: Trial, fault: Fault) -> None:
        """Whatever breaks off, on a new connection or a used one, the request is not sent again (HC201)."""
        with trial.client() as calls:
            trial.first(calls)
            trial.disturbed(calls, fault)  # on the connection of the first
            trial.disturbed(calls, fault)  # on a new one
            calls.call()
        trial.at_most_once()

    @check()
    @pytest.mark.parametrize("fault", [*_ACCEPTING, *_BREAKING])
    def test_client_works_after(self, trial: Trial, fault: Fault) -> None:
        """The next call is served, by the same client (HC702), and gets its own answer (HC501)."""
        with trial.client() as calls:
            trial.disturbed(calls, fault)  # on a new connection
            trial.works(calls, after=fault)
            trial.disturbed(calls, fault)  # on the one that is left, if any
            trial.works(calls, after=fault)
