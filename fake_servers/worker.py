"""A process that does nothing but serve: makes a server again, does what it is told, and ends with its channel."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

from fake_servers import certificates
from fake_servers.errors import FakeServerError, ScenarioError
from fake_servers.hosts import ROUNDS_TO_ACCEPT, new_loop
from fake_servers.listener import Sockets
from fake_servers.processes.channel import Messages
from fake_servers.processes.reports import Failure, Question, Report, Reporter
from fake_servers.processes.unpacking import Start, unpack
from fake_servers.server import FakeServer
from fake_servers.sockets import raise_descriptor_limit

__all__ = ["main"]

_PAUSE_BETWEEN_LOOKS: Final = 1.0


class _Served:
    """A server that was made again in this process; its public methods are what can be asked of it."""

    def __init__(self, start: Start, ring: Callable[[], None]) -> None:
        if start.authority is not None:
            certificates.adopt(*start.authority)
        (made,) = unpack(start.made)
        kind, *arguments = made.arguments
        self._server: FakeServer = kind(*arguments, **made.options)
        self._server.serve_in_this_process(Sockets.inherited(start.tcp, start.unix))
        self._carry_out(start.orders)
        self._recorder = self._server._service.recorder
        self._reporter = Reporter(self._server._service)
        self._ring = ring
        self._is_watched = False

    async def perform(self, orders: bytes) -> None:
        """Call methods that set something."""
        self._carry_out(orders)

    async def ask(self, name: str) -> bytes:
        """The value of a property."""
        from fake_servers.processes.packing import pack  # late: the process is ready the sooner without cloudpickle

        return pack(getattr(self._server, name), self._server)

    async def report(self, question: Question) -> Report:
        """What is new in the ledger."""
        report = self._reporter.report(question)
        if question.ring and not self._is_watched:
            self._is_watched = True
            self._recorder.watched.append(self._changed)
        return report

    async def tap(self, on: bool) -> None:
        """Begin to keep what is sent, or have done with it."""
        self._recorder.tap = defaultdict(bytearray) if on else None

    async def tapped(self) -> dict[int, bytearray]:
        """What was kept, by the number of its connection."""
        return dict(self._recorder.tap or {})

    async def catch_up(self) -> None:
        """Have the loop go round until a connection that was in the backlog is recorded."""
        for _ in range(ROUNDS_TO_ACCEPT):
            await asyncio.sleep(0)

    async def stop(self) -> None:
        """Stop serving; what was recorded can still be asked for."""
        await self._server.stop_in_loop()

    def _carry_out(self, orders: bytes) -> None:
        for order in unpack(orders, self._server):
            getattr(self._server, order.name)(*order.arguments, **order.options)

    def _changed(self) -> None:
        self._is_watched = False
        self._recorder.watched.remove(self._changed)
        self._ring()


class _Worker:
    """Answers what comes over the channel until that ends, or the process that has started this one is gone."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._loop = asyncio.get_running_loop()
        self._messages = Messages(self._take, self._end)
        self._parent = os.getppid()
        self._is_over = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._served: _Served | None = None

    async def run(self) -> None:
        await self._loop.create_unix_connection(lambda: self._messages, sock=self._channel)
        self._look_for_parent()
        await self._is_over.wait()
        if self._served is not None:
            await self._served.stop()

    def _end(self) -> None:
        self._is_over.set()

    def _look_for_parent(self) -> None:
        # The channel tells, unless a process that the parent has forked holds its other end.
        if os.getppid() != self._parent:
            self._end()
        self._loop.call_later(_PAUSE_BETWEEN_LOOKS, self._look_for_parent)

    def _take(self, number: int, name: str, arguments: tuple[Any, ...]) -> None:
        task = self._loop.create_task(self._answer(number, name, arguments))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, number: int, name: str, arguments: tuple[Any, ...]) -> None:
        try:
            value = await self._perform(name, arguments)
        except (ScenarioError, FakeServerError) as error:
            self._messages.fail(number, type(error)(str(error)))
        except Exception as error:  # noqa: BLE001 -- it is raised on the other side
            self._messages.fail(number, FakeServerError(f"in the server's process: {Failure.of(error).trace}"))
        else:
            self._messages.answer(number, value)

    async def _perform(self, name: str, arguments: tuple[Any, ...]) -> Any:
        if self._served is not None:
            return await getattr(self._served, name)(*arguments)
        (start,) = arguments
        self._served = _Served(start, self._messages.ring)
        return None


async def _work(channel: socket.socket) -> None:
    await _Worker(channel).run()


def main(descriptor: int) -> None:
    """Serve what is asked for over the channel with this descriptor, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from the keyboard; the process that started this one decides
    raise_descriptor_limit()
    loop = new_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(_work(socket.socket(fileno=descriptor)))
    loop.close()
