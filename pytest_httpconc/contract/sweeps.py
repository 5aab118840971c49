"""Every truncation of an answer, and every cancellation of a call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pytest_httpconc.contract.base import Contract
from pytest_httpconc.contract.selection import check
from pytest_httpconc.contract.trial import Trial

__all__ = ["Sweeps"]


def _unless_cancellable(contract: type[Contract], parameters: Mapping[str, Any]) -> str | None:
    return None if contract.is_async() else "call is no coroutine function, and only such can be cancelled"


class Sweeps(Contract):
    """The family of sweeps; each step makes a client of its own."""

    @check()
    def test_every_truncation(self, trial: Trial) -> None:
        """Cut after any byte, no answer is taken for one (HC601), nothing sent again (HC201) or left open (HC101)."""
        trial.httpconc.sweep_truncations(
            trial.server, trial.call, trial.new_client, only=self.only, at_most=self.truncations, malformed=False
        )

    @check(_unless_cancellable)
    def test_every_cancellation(self, trial: Trial) -> None:
        """Cancelled at any point, a call leaves no socket (HC701), and a client that works (HC702)."""
        sweep = trial.httpconc.sweep_cancellations(trial.server, trial.call, trial.new_client, only=self.only)
        asyncio.run(sweep)
