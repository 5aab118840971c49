"""Serving one exchange that waits, streams or goes wrong, step by step, as a task.

The order of its moments is the order of the statements here: request, executed, response.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import aclosing
from typing import Final, NamedTuple, Protocol

from fake_servers.faults import AtMoment, Fault, HalfClose, Malformed, Moment, Paced, Substitute, WrongLength
from fake_servers.http import Request, Response
from fake_servers.recorder import ExchangeEntry
from fake_servers.scenario import Plan
from fake_servers.service import Answer, Service
from fake_servers.wire import encoded

__all__ = ["LARGE_BODY", "Turn", "acts_at", "serve"]

LARGE_BODY: Final = 64 * 1024  #: beyond it, a response is in flight until the operating system has taken it


class Turn(NamedTuple):
    """One exchange in a connection's queue, with what it is to meet, or the refusal it has earned."""

    entry: ExchangeEntry
    request: Request
    plan: Plan | None
    refusal: Response | None = None


class Outlet(Protocol):
    """What serving needs of a connection."""

    service: Service

    def execute(self, turn: Turn, *, may_wait: bool) -> Answer | Awaitable[Answer] | None: ...

    def answer(self, turn: Turn, response: Response) -> None: ...

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...

    async def flush(self) -> None: ...

    async def suffer(self, fault: Fault | None) -> bool: ...

    def finished(self, turn: Turn, status: int, fault: Fault | None = None) -> None: ...

    def unanswered(self, turn: Turn) -> None: ...

    @property
    def is_mute(self) -> bool: ...

    @property
    def is_over(self) -> bool: ...


def acts_at(fault: Fault | None, moment: Moment) -> bool:
    """Whether a fault acts at this moment."""
    return isinstance(fault, AtMoment) and fault.at is moment


async def serve(outlet: Outlet, turn: Turn, result: Answer | Awaitable[Answer] | None) -> None:
    """Serve an exchange from "request read" to "response sent".

    Args:
        outlet: the connection.
        turn: the exchange and what it is to meet.
        result: what its handler returned, if it was called already.
    """
    plan = turn.plan
    fault = None if plan is None else plan.fault
    for moment in (Moment.REQUEST_HEAD, Moment.REQUEST):
        if acts_at(fault, moment) and await outlet.suffer(fault):
            return
    answer = await _answer(outlet, turn, fault, result)
    if plan is not None:
        await _linger(outlet.service, plan)
    if outlet.is_over:  # the handler was cancelled, and answered all the same
        return
    if acts_at(fault, Moment.EXECUTED) and await outlet.suffer(fault):
        return
    if fault is None and isinstance(answer, Response) and len(answer.body) <= LARGE_BODY:
        outlet.answer(turn, answer)
        return
    if outlet.is_mute:
        outlet.unanswered(turn)
        return
    delivery = _Delivery(outlet, turn, answer, fault)
    if await delivery.run():
        outlet.finished(turn, answer.status, delivery.fault if _outlasts(delivery.fault) else None)


async def _answer(outlet: Outlet, turn: Turn, fault: Fault | None, result: Answer | Awaitable[Answer] | None) -> Answer:
    if isinstance(fault, Substitute):
        return fault.response()
    result = outlet.execute(turn, may_wait=True) if result is None else result
    assert result is not None, "where it may wait, the handler is always called"
    return await outlet.service.settle(turn.request, result)


async def _linger(service: Service, plan: Plan) -> None:
    for rendezvous in plan.held_at:
        await rendezvous.wait(service.sleep)
    if plan.latency:
        await service.sleep(plan.latency)


def _outlasts(fault: Fault | None) -> bool:
    """Whether a fault has something to do once the response is sent to its end."""
    if isinstance(fault, AtMoment):
        return fault.at in {Moment.RESPONSE, Moment.IDLE, Moment.NEXT_REQUEST}
    return isinstance(fault, (HalfClose, Malformed)) or (isinstance(fault, WrongLength) and fault.delta > 0)


class _Delivery:
    """Sends one response, paced and cut as its fault says; ``fault`` is what has yet to act."""

    def __init__(self, outlet: Outlet, turn: Turn, answer: Answer, fault: Fault | None) -> None:
        self._outlet = outlet
        self._turn = turn
        self._answer = answer
        self.fault = fault
        self._sent = 0
        self._cut_at = fault.after_bytes if isinstance(fault, AtMoment) else None

    async def run(self) -> bool:
        """Send it; return whether it was sent to its end."""
        size, interval = self.fault.pace if isinstance(self.fault, Paced) else (0, 0.0)
        async with aclosing(encoded(self._turn.request, self._answer, self.fault)) as blocks:
            async for block in blocks:
                for piece in _pieces(block, size):
                    if interval and self._sent:
                        await self._outlet.service.sleep(interval)
                    if not await self._send(piece):
                        return False
        await self._outlet.flush()
        return True

    async def _send(self, piece: bytes) -> bool:
        cut_at = self._cut_at
        if cut_at is not None and self._sent + len(piece) > cut_at:
            fault, self.fault, self._cut_at = self.fault, None, None
            kept = cut_at - self._sent
            await self._write(piece[:kept])
            if await self._outlet.suffer(fault):
                return False
            piece = piece[kept:]
        await self._write(piece)
        return True

    async def _write(self, piece: bytes) -> None:
        if not piece:
            return
        if not self._sent:
            self._outlet.service.recorder.first_byte(self._turn.entry, self._answer.status)
        self._sent += len(piece)
        self._outlet.write(piece)
        await self._outlet.drain()


def _pieces(block: bytes, size: int) -> Iterator[bytes]:
    if not size:
        yield block
        return
    for start in range(0, len(block), size):
        yield block[start : start + size]
