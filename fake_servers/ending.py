"""How a connection ends: by FIN or RST, from this side or the other, and what becomes of what was going on."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Final, cast

from fake_servers.delivery import Turn
from fake_servers.faults import Fault, Reset
from fake_servers.inflow import Inflow
from fake_servers.reading import RequestReader
from fake_servers.records import Closer, Outcome
from fake_servers.service import Service
from fake_servers.sockets import end_sending, reset_on_close, unsent

__all__ = ["Ending"]

_LONGEST_LAST_LOOK: Final = 0.05
_PAUSE_WHILE_SENDING: Final = 0.001


class Ending(RequestReader):
    """The part of a connection that ends it. What goes on is kept here: the exchange in progress, and those behind it.

    It is mute once this side has sent FIN and still reads.
    """

    __slots__ = (
        "_current",
        "_inflow",
        "_loop",
        "_mute",
        "_resets",
        "_stalled",
        "_task",
        "_tunnel",
        "_turns",
        "transport",
    )

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(service)
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)  # until connection_made
        self._inflow: Inflow = cast(Inflow, None)  # likewise
        self._loop = loop
        self._turns: deque[Turn] = deque()
        self._current: Turn | None = None
        self._task: asyncio.Task[None] | None = None
        self._stalled = False
        self._mute = False
        self._resets = False
        self._tunnel: asyncio.StreamReader | None = None

    def cut(self, fault: Fault | None) -> None:
        """End the connection, and with it every exchange that is not answered, as a fault has it."""
        self.break_off(Outcome.ENDED_BY_FAULT, Closer.FAULT, reset=isinstance(fault, Reset))

    def end_with_upstream(self, *, reset: bool) -> None:
        """End the connection as the server behind this one has ended its own."""
        by = Closer.UPSTREAM_RST if reset else Closer.UPSTREAM_FIN
        self.break_off(Outcome.ENDED_BY_UPSTREAM, by, reset=reset)

    def break_off(self, outcome: Outcome, by: Closer, *, reset: bool) -> None:
        """End the connection with RST or FIN, and with it every exchange that is not answered."""
        self._end_exchanges(outcome)
        if not reset:
            self.shut(by)
            return
        self._end()
        self.service.recorder.connection_closed(self.entry, by)
        if self._reading is None:
            self._reset_when_sent()
        else:  # its body, if it is on its way, tells which request it was
            self._intercept = self._discard
            self._loop.call_later(_LONGEST_LAST_LOOK, self._reset_when_sent)
            self._resets = True

    def _end(self) -> None:
        """Nothing more is sent or processed."""
        self._over = self._deaf = True

    def shut(self, by: Closer) -> None:
        """Send FIN after what was written; what the client still sends is taken and dropped."""
        self._end()
        self._intercept = self._discard
        self._inflow.release()
        self._send_fin(by)

    def _end_sending(self) -> None:
        """Send FIN once the transport has sent what was written, and read on."""
        with contextlib.suppress(OSError):  # after the client's own FIN, asyncio's loop does not hear of its RST
            self.transport.write_eof()

    def _send_fin(self, by: Closer, pause: float = 0.0) -> None:
        # Recorded when it is sent and not before: a client that finds its connection closed in the ledger has the FIN.
        if self.transport.is_closing():
            return
        if self.transport.get_write_buffer_size():
            self._loop.call_later(pause, self._send_fin, by, _PAUSE_WHILE_SENDING)
            return
        if self.transport.can_write_eof():
            end_sending(self.transport)
        else:
            self.transport.close()
        self.service.recorder.connection_closed(self.entry, by)
        if self._tunnel is not None and self._tunnel.at_eof():
            self.transport.close()  # both sides have ended it, and nothing more will be heard

    def abort(self, outcome: Outcome) -> None:
        """Close at once, whatever is going on."""
        self._end_exchanges(outcome)
        self._end()
        self.service.recorder.connection_closed(self.entry, Closer.SERVER)
        self.service.recorder.connection_left(self.entry)
        self.transport.abort()

    def _left(self, by: Closer) -> None:
        if not self._over:
            self._end_exchanges(Outcome.ABORTED_BY_CLIENT)
            self._end()
        self.service.recorder.connection_closed(self.entry, by)

    def _left_while_paused(self) -> None:
        self._left(Closer.CLIENT_FIN)
        self.transport.abort()

    def _last_read(self) -> None:
        if self._resets:
            self._reset_when_sent()

    def _reset_when_sent(self) -> None:
        if self.transport.is_closing():
            return
        if unsent(self.transport):
            self._loop.call_later(_PAUSE_WHILE_SENDING, self._reset_when_sent)
        else:
            reset_on_close(self.transport)
            self.transport.abort()

    def _end_exchanges(self, outcome: Outcome) -> None:
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task(self._loop):
            task.cancel()
        turns = [turn for turn in (self._current, *self._turns, self._reading) if turn is not None]
        if self._in_head:
            turns.append(self._partial())
            self._in_head = False
        if self._reading is not None and self._body:
            self._keep_body(self._reading, complete=False)
        for turn in turns:
            self.service.recorder.ended(turn.entry, outcome)
        self._current = None
        self._turns.clear()

    @property
    def is_over(self) -> bool:
        """Whether either side has ended it."""
        return self._over

    @property
    def is_mute(self) -> bool:
        """Whether this side has sent FIN and still reads."""
        return self._mute

    @property
    def is_idle(self) -> bool:
        """Whether it is open with no exchange in progress."""
        busy = self._current or self._turns or self._reading or self._in_head or self._stalled
        return not (self._over or self._mute or busy)
