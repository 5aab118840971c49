"""Serving one exchange that waits, streams or goes wrong, step by step, as a task.

The order of its moments is the order of the statements here: request, executed, response.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import aclosing
from typing import Final, NamedTuple, Protocol

from fake_servers.answers import close
from fake_servers.entries import ExchangeEntry
from fake_servers.faults import AtMoment, Fault, HalfClose, Malformed, Moment, Paced, Substitute, WrongLength
from fake_servers.http import Request, Response, Stream, Tunnel
from fake_servers.scenario import Plan
from fake_servers.service import Answer, Service
from fake_servers.wire import Last, encoded

__all__ = ["LARGE_BODY", "Outlet", "PlainOutflow", "Turn", "acts_at", "serve"]

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

    def complete(self, turn: Turn, status: int) -> None: ...

    def finished(self, turn: Turn, fault: Fault | None) -> None: ...

    def open_tunnel(self, turn: Turn, tunnel: Tunnel) -> None: ...

    async def head_taken(self) -> None: ...

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
    try:
        await _deliver(outlet, turn, answer)
    finally:
        await _release(answer)


async def _deliver(outlet: Outlet, turn: Turn, answer: Answer) -> None:
    plan = turn.plan
    fault = None if plan is None else plan.fault
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
    if isinstance(answer, Tunnel):
        outlet.open_tunnel(turn, answer)
    delivery = _Delivery(outlet, turn, answer, fault)
    if await delivery.run():
        outlet.finished(turn, delivery.fault if _outlasts(delivery.fault) else None)


async def _release(answer: Answer) -> None:
    """Close what an answer's body comes from, although perhaps nothing was ever taken from it."""
    if isinstance(answer, Stream):
        await close(answer.chunks)
    elif isinstance(answer, Tunnel):
        await close(answer.parts)


async def _answer(outlet: Outlet, turn: Turn, fault: Fault | None, result: Answer | Awaitable[Answer] | None) -> Answer:
    if isinstance(fault, Substitute):
        return fault.response(lambda status, message: outlet.service.describe(turn.request, status, message))
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


class Outflow:
    """Sends bytes, paced and cut as a fault says; ``fault`` is what has yet to act."""

    def __init__(self, outlet: Outlet, fault: Fault | None) -> None:
        self._outlet = outlet
        self.fault = fault
        self._sent = 0
        self._cut_at = fault.after_bytes if isinstance(fault, AtMoment) else None
        self._size, self._interval = fault.pace if isinstance(fault, Paced) else (0, 0.0)

    def _begin(self) -> None:
        """Bytes are about to be sent."""

    async def _pause(self) -> None:
        if self._interval and self._sent:
            await self._outlet.service.sleep(self._interval)

    async def _suffer(self) -> bool:
        fault, self.fault, self._cut_at = self.fault, None, None
        return await self._outlet.suffer(fault)

    async def _up_to_cut(self, piece: bytes) -> bytes | None:
        """Send what comes before the cut, if it is in this piece; return what is left, None if that was the end."""
        cut_at = self._cut_at
        if cut_at is None or self._sent + len(piece) <= cut_at:
            return piece
        kept = cut_at - self._sent
        await self._write(piece[:kept])
        return None if await self._suffer() else piece[kept:]

    async def _write(self, piece: bytes) -> None:
        if not piece:
            return
        self._begin()
        self._sent += len(piece)
        self._outlet.write(piece)
        await self._outlet.drain()


class PlainOutflow(Outflow):
    """Sends what is no response to a request."""

    async def send(self, block: bytes) -> bool:
        """Send bytes; return whether the fault has let the connection live."""
        for piece, _ in _pieces(block, self._size, ends=False):
            await self._pause()
            left = await self._up_to_cut(piece)
            if left is None:
                return False
            await self._write(left)
            if self._sent == self._cut_at and await self._suffer():  # no more need come
                return False
        return True


class _Delivery(Outflow):
    """Sends one response."""

    def __init__(self, outlet: Outlet, turn: Turn, answer: Answer, fault: Fault | None) -> None:
        super().__init__(outlet, fault)
        self._turn = turn
        self._answer = answer
        self._begun = False
        self._has_events = not isinstance(answer, Stream) or answer.has_events

    async def run(self) -> bool:
        """Send it; return whether it was sent to its end."""
        events = -1  # the first block is the head
        source = encoded(self._turn.request, self._answer, self.fault, self._outlet.service.sleep)
        async with aclosing(source) as blocks:
            async for block in blocks:
                if self._outlet.is_over:
                    return False
                ends = isinstance(block, Last)
                if self._falls_due(events, ends=ends) and await self._suffer():
                    return False
                for piece, is_last in _pieces(block, self._size, ends=ends):
                    await self._pause()
                    if not await self._send(piece, is_last=is_last):
                        return False
                if events < 0 and isinstance(self._answer, Tunnel):
                    await self._outlet.head_taken()
                events += 1
        return True

    def _falls_due(self, events: int, *, ends: bool) -> bool:
        """Whether the fault acts now, after so many events, with the end of the body to come next or not."""
        after = self.fault.after_events if isinstance(self.fault, AtMoment) else None
        if after is None or events < 0 or not self._has_events:
            return False
        return after == events or (after == -1 and ends)

    async def _send(self, piece: bytes, *, is_last: bool) -> bool:
        left = await self._up_to_cut(piece)
        if left is None:
            return False
        if is_last:
            # Recorded before the last byte is sent: a client that has its answer finds it in the ledger.
            await self._outlet.flush()
            self._begin()
            self._outlet.complete(self._turn, self._answer.status)
        await self._write(left)
        return True

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._outlet.service.recorder.first_byte(self._turn.entry, self._answer.status, self._answer.headers)


def _pieces(block: bytes, size: int, *, ends: bool) -> Iterator[tuple[bytes, bool]]:
    """A block in pieces of ``size`` bytes, or whole, each with whether it is the response's last.

    Of a large last block the last byte is kept back, to be sent when the operating system has taken the rest.
    """
    if not size and ends and len(block) > LARGE_BODY:
        yield block[:-1], False
        yield block[-1:], True
    elif not size:
        yield block, ends
    else:
        for start in range(0, max(1, len(block)), size):
            yield block[start : start + size], ends and start + size >= len(block)
