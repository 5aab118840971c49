"""One HTTP/1.1 connection: bytes in, exchanges, bytes out (RFC 9112).

Requests on a connection are answered one after the other, in order. Ordinary ones are answered inside the
parser's last callback; whatever waits, streams or goes wrong is served by a task (see `delivery`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Final, cast

from fake_servers.answers import close
from fake_servers.delivery import LARGE_BODY, Turn, acts_at, serve
from fake_servers.ending import Ending
from fake_servers.errors import UpstreamEnded
from fake_servers.faults import AtMoment, Fault, HalfClose, Moment, Stall
from fake_servers.http import Response, Stream, Tunnel, encode
from fake_servers.inflow import Inflow
from fake_servers.records import Closer, Outcome
from fake_servers.service import Answer, Service
from fake_servers.sockets import unread

__all__ = ["ServerConnection"]

_MOST_PIPELINED: Final = 4096
_MOST_WITHHELD: Final = 16 * 1024 * 1024
_MOST_UNREAD: Final = 1024 * 1024
_PAUSE_WHILE_SENDING: Final = 0.001
_LONGEST_HEAD: Final = 1.0
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class ServerConnection(Ending, asyncio.Protocol):
    """The server's end of one accepted connection."""

    __slots__ = ("_offers", "_peer", "_withheld", "_writable")

    def __init__(self, service: Service, peer: tuple[str, int], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(service, loop)
        self._peer = peer
        self._writable: asyncio.Future[None] | None = None
        self._withheld = bytearray()
        self._offers = False

    # -- the transport's callbacks ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._inflow = Inflow(self.transport, self._loop, self._left_while_paused)
        self.entry = self.service.recorder.connection_opened(self._peer)
        self.service.connections.add(self)
        fault = self.service.run.plan_connection()
        if fault is not None:
            self.entry.fault = fault
            self._meet(fault)

    def data_received(self, data: bytes) -> None:
        self.entry.bytes_in += len(data)
        if self._intercept is None:
            self._feed(data)
        else:
            self._intercept(data)

    def eof_received(self) -> bool | None:
        # FIN from a client is taken as its leaving, as nginx and aiohttp take it: returning None closes.
        if self._tunnel is not None and not self._over:
            self._tunnel.feed_eof()
            self.entry.input_ended = True
            return True  # the end of the input, and not of the connection
        self._left(Closer.CLIENT_FIN)
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._left(Closer.CLIENT_FIN if exc is None else Closer.CLIENT_RST)
        self.resume_writing()
        self.service.connections.discard(self)
        self.service.recorder.connection_left(self.entry)

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # -- requests that arrive -----------------------------------------------------------------------------

    def _head_arrived(self, turn: Turn) -> None:
        if self._current is None and not self._turns:
            self._head_read(turn)

    def _head_read(self, turn: Turn) -> None:
        """The head of the request whose turn it is has been read, and its body perhaps not."""
        fault = None if turn.plan is None else turn.plan.fault
        if not acts_at(fault, Moment.REQUEST_HEAD):
            self._invite_body(turn)
        elif isinstance(fault, Stall):
            self._current = turn  # whatever comes behind it waits
            self._task = self.service.start(self._stall_head(turn, fault))
        else:
            self.cut(fault)

    async def _stall_head(self, turn: Turn, fault: Stall) -> None:
        await self.service.stall(fault.seconds)
        self._task = self._current = None
        freed = turn if turn.plan is None else turn._replace(plan=turn.plan._replace(fault=None))
        if self._reading is turn:
            self._reading = freed
            self._invite_body(freed)
            return
        if turn.entry.body_complete:
            self.service.recorder.received(turn.entry)
            self._turns.appendleft(freed)
        self._advance()

    def _invite_body(self, turn: Turn) -> None:
        if self._expects and turn.request.http_version != "1.0":
            self._expects = False
            self.write(_CONTINUE)

    def _request_arrived(self, turn: Turn) -> None:
        if turn is self._current:  # there is a stall at its head: it counts as read when that is over
            return
        service = self.service
        if turn.plan is None and self._current is None and not (self._turns or self._stalled):
            route = service.router.find(turn.request.method, turn.request.path)
            if route is not None and route.immediate:
                service.recorder.received(turn.entry, executed=True)
                self._current = turn
                self._respond(turn, service.respond_now(turn.request, route))
                return
        service.recorder.received(turn.entry)
        self._enqueue(turn)

    # -- answering ----------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes, unless the connection is over."""
        if not (self._over or self._mute):
            self.entry.bytes_out += len(data)
            if self.service.recorder.tap is not None:
                self.service.recorder.sent(self.entry, data)
            self.transport.write(data)

    async def drain(self) -> None:
        """Wait while the client is too slow in taking what was written."""
        while self._writable is not None:
            await self._writable

    async def flush(self) -> None:
        """Wait until the operating system has taken all that was written."""
        self.transport.set_write_buffer_limits(high=0)
        await self.drain()
        self.transport.set_write_buffer_limits()

    def _enqueue(self, turn: Turn) -> None:
        self._turns.append(turn)
        if self._current is None:
            self._advance()
        elif len(self._turns) > _MOST_PIPELINED:
            self._inflow.pause()

    def _advance(self) -> None:
        while self._turns and self._current is None and not (self._over or self._stalled):
            self._begin(self._turns.popleft())
        if len(self._turns) <= _MOST_PIPELINED // 2 and not (self._over or self._offers):
            self._inflow.resume()
        if self._reading is not None and self._current is None and not (self._over or self._stalled):
            self._head_read(self._reading)
        if self._offers and not self._is_unanswered:
            self._read_withheld()

    @property
    def _is_unanswered(self) -> bool:
        return bool(self._current or self._turns or self._stalled)

    def _offered(self, rest: bytes) -> bool:
        self._offers = self._is_unanswered and not self._deaf
        if self._offers:
            self._intercept = self._withhold
            self._withhold(rest)
        return self._offers

    def _begin(self, turn: Turn) -> None:
        self._current = turn
        if turn.refusal is not None:
            self.answer(turn, turn.refusal)
            return
        self._respond(turn, None if turn.plan is not None else self.execute(turn, may_wait=False))

    def _respond(self, turn: Turn, result: Answer | Awaitable[Answer] | None) -> None:
        """Answer with what a handler returned; what is not there yet, or large, is left to a task."""
        if type(result) is Response and len(result.body) <= LARGE_BODY:
            self.answer(turn, result)
        else:
            task = self._task = self.service.start(self._serve(turn, result))
            if isinstance(result, Stream):
                task.add_done_callback(lambda _: self._release_unserved(task, result))

    def _release_unserved(self, task: asyncio.Task[None], stream: Stream) -> None:
        """Close the source of a stream whose task was cancelled; one that never took a step has not done it itself."""
        if task.cancelled():
            self.service.start(close(stream.chunks))

    def execute(self, turn: Turn, *, may_wait: bool) -> Answer | Awaitable[Answer] | None:
        """Call the handler; None, without calling it, when it might wait and may not."""
        service = self.service
        route = service.router.find(turn.request.method, turn.request.path)
        if route is None:
            return service.no_route(turn.request)
        if not (may_wait or route.immediate):
            return None
        if not route.queues:
            service.recorder.executed(turn.entry)
        return service.respond_now(turn.request, route)

    def answer(self, turn: Turn, response: Response) -> None:
        """Send a whole response at once."""
        if self._mute:
            self.unanswered(turn)
        else:
            # Recorded first: a client that has its answer finds it in the ledger.
            self.service.recorder.answered(turn.entry, response.status, response.headers)
            self.write(encode(turn.request, response))
            self._conclude(turn, None)

    async def _serve(self, turn: Turn, result: Answer | Awaitable[Answer] | None) -> None:
        try:
            await serve(self, turn, result)
        except asyncio.CancelledError:
            if not self._over:  # it was not the connection's end that cancelled it, but the handler itself
                self._task = None
                self.abort(Outcome.HANDLER_FAILED)
            raise
        except UpstreamEnded as end:
            self.write(end.rest)
            self.end_with_upstream(reset=end.reset)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is kept and raised in the test
            self.service.failed(turn.request, error)
            self._task = None
            self.abort(Outcome.HANDLER_FAILED)
        else:
            self._advance()

    def complete(self, turn: Turn, status: int) -> None:
        """The response's last bytes are about to be sent."""
        if not self._over:
            self.service.recorder.answered(turn.entry, status)

    def finished(self, turn: Turn, fault: Fault | None) -> None:
        """The response was sent to its end; ``fault`` is what is to happen now."""
        if not self._over:
            self._conclude(turn, fault)

    def open_tunnel(self, turn: Turn, tunnel: Tunnel) -> None:
        """From now on, what the client sends goes to the tunnel's handler, up to its FIN, and is no request."""
        turn.request.keep_alive = False
        tunnel.open(self._read_plainly(self._take_withheld()))

    def _read_plainly(self, first: bytes) -> asyncio.StreamReader:
        """From now on, let what the client sends be read from a stream, up to its FIN, and no more as HTTP."""
        self._deaf = True
        self._offers = False
        self._inflow.resume()
        reader = self._tunnel = asyncio.StreamReader(_MOST_UNREAD, self._loop)
        reader.set_transport(self.transport)
        self._intercept = reader.feed_data
        reader.feed_data(first)
        return reader

    async def head_taken(self) -> None:
        """Wait until the client has read the head of a tunnel, as far as that can be told.

        Some clients read the head through a buffer and the rest past it: to them, bytes that arrive together with
        the head are lost. A real server takes so long to start a process that this is never seen.
        """
        if self.service.recorder.clock is not time.monotonic:
            return  # the client shares the loop and its clock, and reads everything in one place
        patience = self._loop.time() + _LONGEST_HEAD
        while not self._over and unread(self.transport) and self._loop.time() < patience:  # noqa: ASYNC110 -- nothing tells when it is read
            await asyncio.sleep(_PAUSE_WHILE_SENDING)

    def _conclude(self, turn: Turn, fault: Fault | None) -> None:
        self._current = self._task = None
        if fault is not None:
            self._after_response(fault)
        elif not turn.request.keep_alive:
            self._end_exchanges(Outcome.SERVER_STOPPED)
            self.shut(Closer.SERVER)

    def unanswered(self, turn: Turn) -> None:
        """The response can't be sent, because this side is shut already."""
        self.service.recorder.ended(turn.entry, Outcome.ENDED_BY_FAULT)
        self._current = self._task = None

    # -- what goes wrong ----------------------------------------------------------------------------------

    async def suffer(self, fault: Fault | None) -> bool:
        """Let a fault act on the current exchange; return whether that was its end."""
        if isinstance(fault, Stall):
            await self.service.stall(fault.seconds)
            return False
        self.cut(fault)
        return True

    def _after_response(self, fault: Fault) -> None:
        if isinstance(fault, HalfClose):
            self._mute = True
            self._end_sending()
        elif not isinstance(fault, AtMoment):
            self.cut(fault)
        elif fault.at is Moment.NEXT_REQUEST and not (self._turns or self._reading or self._in_head):
            self._next_fault = fault
        else:
            self._meet(fault)

    def _meet(self, fault: Fault) -> None:
        """Let a fault act between exchanges."""
        if not isinstance(fault, Stall):
            self.cut(fault)
            return
        self._stalled = True
        self._intercept = self._withhold
        if fault.seconds is None:
            self._intercept = self._forget  # it will never be read
        else:
            self._loop.call_later(fault.seconds * self.service.time_scale, self._go_on)

    def _withhold(self, data: bytes) -> None:
        self._withheld += data
        if len(self._withheld) > _MOST_WITHHELD:
            self._inflow.pause()

    def _forget(self, data: bytes) -> None:
        """Take what comes into a silence that does not end, and keep nothing of it."""

    def _take_withheld(self) -> bytes:
        data = bytes(self._withheld)
        self._withheld.clear()
        return data

    def _go_on(self) -> None:
        if self._over:
            return
        self._stalled = False
        if self._offers:
            self._advance()
            return
        data = self._take_withheld()
        self._intercept = None
        self._advance()
        if data:
            self._feed(data)

    def _read_withheld(self) -> None:
        """An offer to switch protocols was answered in HTTP, so what came behind it is read as HTTP."""
        self._offers = False
        if self._over or self._deaf:
            return
        self._intercept = None
        self._inflow.resume()
        data = self._take_withheld()
        if data:
            self._feed(data)

    def forget_fault(self) -> None:
        """Let the next request pass, whatever was planned for it."""
        self._next_fault = None
