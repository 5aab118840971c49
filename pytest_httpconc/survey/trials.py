"""One trial: a client meets a fault, and what the ledger says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from fake_servers import FakeServer
from pytest_httpconc.survey.adapters import Adapter, Answer, Settings
from pytest_httpconc.survey.plan import BLOCKING_TIMEOUT, LISTENER_FAULTS, Trial, comes_while_sending
from pytest_httpconc.survey.stage import entered, make_call, restart, run_on_stage, served
from pytest_httpconc.sweeps.evidence import Books
from pytest_httpconc.sweeps.responses import Shape
from pytest_httpconc.sweeps.watchdog import Watchdog

__all__ = ["Cell", "conduct"]

_GRACE: Final = 1.0  # seconds
_LONGEST_TRIAL: Final = 60.0  # seconds of real time
_LONGEST_CALL: Final = 86_400.0  # seconds of a virtual clock
_ROUNDS: Final = 10  # of the loop: what has arrived is taken in


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What one trial has shown.

    Args:
        connections: how many were opened by the call that met the fault.
        requests: how many requests arrived at the server, be it in part.
        executions: how many of them were executed.
        outcome: the status, how much of the answer came where that was not all, or the exception's class; where it is
            chance which of several it is, all of them.
        left: sockets that the client, still open, held besides the one that its next call used.
        leaked: sockets that were still held after the client was closed.
        usable: whether the same client's next call succeeded: "yes", "second call" or "no".
    """

    connections: int
    requests: int
    executions: int
    outcome: str
    left: int
    leaked: int
    usable: str


def conduct(adapter: Adapter, trial: Trial, *, retries: bool) -> Cell:
    """Have a client, with its default settings or without retries, meet a fault on a server of its own.

    Raises:
        Hung: it did not end within a minute; its thread is left behind.
    """
    cells: list[Cell] = []
    dog = Watchdog()
    dog.step(_LONGEST_TRIAL)
    dog.watch(lambda: cells.append(run_on_stage(adapter, lambda: _conduct(adapter, trial, retries))))
    return cells[0]


async def _conduct(adapter: Adapter, trial: Trial, retries: bool) -> Cell:
    timeout = BLOCKING_TIMEOUT if trial.is_silent and not adapter.is_async else None
    async with served(adapter) as server:
        settings = Settings(url=server.url, retries=retries, timeout=timeout)
        whole, shape = await _undisturbed(adapter, server, trial)
        books = Books(server, _GRACE)
        async with entered(adapter, settings) as client:
            scene = _Scene(server, client, trial, whole, shape, adapter.by_chance)
            connections, requests, executions, outcome = await scene.observe()
            usable = await scene.usable_afterwards()
            await books.settle_in_loop(1)
            left = max(0, books.held - 1)
        await books.settle_in_loop(0)
        return Cell(
            connections=connections,
            requests=requests,
            executions=executions,
            outcome=outcome,
            left=left,
            leaked=books.held,
            usable=usable,
        )


async def _undisturbed(adapter: Adapter, server: FakeServer, trial: Trial) -> tuple[Answer, Shape]:
    """The answer and the shape of the response where nothing goes wrong, by a client of its own."""
    with server.tapped() as sent:
        async with entered(adapter, Settings(url=server.url)) as client:
            answer = await make_call(client, trial.call)
    await Books(server, _GRACE).settle_in_loop(0)
    return answer, Shape.of(bytes(next(iter(sent.values()))))


class _Scene:
    """A client, a server and the fault between them."""

    def __init__(
        self, server: FakeServer, client: Any, trial: Trial, whole: Answer, shape: Shape, by_chance: Sequence[str]
    ) -> None:
        self._server = server
        self._client = client
        self._trial = trial
        self._whole = whole
        self._fault = trial.fault(shape)
        self._by_chance = by_chance if comes_while_sending(self._fault) else ()

    async def observe(self) -> tuple[int, int, int, str]:
        """Make the call that meets the fault: connections, requests, executions and the outcome."""
        trial, server = self._trial, self._server
        if trial.first_meets:
            with server.injected(self._fault, times=1):
                await make_call(self._client, trial.call)
            await self._let_settle()
        elif trial.is_warm:
            await make_call(self._client, trial.call)
        before = self._counts()
        if trial.first_meets:
            outcome = await self._outcome()
        else:
            with server.injected(self._fault, times=trial.times):
                outcome = await self._outcome()
        await self._let_settle()
        after = self._counts()
        if isinstance(self._fault, LISTENER_FAULTS):
            await restart(server)
        return after[0] - before[0], after[1] - before[1], after[2] - before[2], outcome

    def _counts(self) -> tuple[int, int, int]:
        ledger = self._server.ledger
        return ledger.total_connections, ledger.count(), ledger.executions()

    async def _let_settle(self) -> None:
        """Let the server and the loop take in whatever is on its way."""
        self._server.catch_up()
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)

    async def _outcome(self) -> str:
        try:
            answer = await asyncio.wait_for(make_call(self._client, self._trial.call), _LONGEST_CALL)
        except Exception as error:  # noqa: BLE001 -- whatever a client raises is what is surveyed
            name = type(error).__name__
            return " or ".join(self._by_chance) if name in self._by_chance else name
        if answer.status != self._whole.status or answer.text == self._whole.text:
            return str(answer.status)
        return f"{answer.status}, {_amount(answer.text, self._whole.text)}"

    async def usable_afterwards(self) -> str:
        """Whether the next call succeeds, or at least the one after it."""
        for word in ("yes", "second call"):
            try:
                answer = await asyncio.wait_for(make_call(self._client, "POST"), _LONGEST_CALL)
            except Exception:  # noqa: BLE001 -- whatever it is, it is no success
                continue
            if answer.status == self._whole.status:
                return word
        return "no"


def _amount(text: str, whole: str) -> str:
    if not text:
        return "empty"
    return "cut short" if len(text) < len(whole) else "too long"
