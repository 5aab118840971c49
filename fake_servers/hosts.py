"""Where a server's loop runs: in a thread of its own, or in the caller's loop."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from fake_servers.errors import FakeServerError, ScenarioError
from fake_servers.listener import Connects, Listener, Sockets, UnixListener
from fake_servers.records import Outcome
from fake_servers.service import Service

__all__ = ["ROUNDS_TO_ACCEPT", "Host", "LoopHost", "ThreadHost", "new_loop"]

Result = TypeVar("Result")

_LONGEST_STOP: Final = 5.0
_LONGEST_CLEANUP: Final = 0.25
ROUNDS_TO_ACCEPT: Final = 4  # of the loop: accept, make the transport, tell the connection


class Host(Protocol):
    """Where a server runs, as the server sees it."""

    thread_id: int | None  #: of the thread whose loop serves

    def call(self, action: Callable[[Listener | None], Result]) -> Result:
        """Do something in the server's loop, and wait for its result; in another process, there is no listener."""
        ...

    @property
    def has_ended(self) -> bool:
        """Whether it is seen to have ended by itself."""
        ...

    def catch_up(self) -> None:
        """Take in what has arrived."""
        ...

    def cpu_time(self) -> float:
        """Seconds of this process's CPU that serving has taken; 0 where it can't be told from its client's."""
        ...


class LoopHost:
    """Serves in the running loop, so that the server shares its clock, virtual or not."""

    has_ended = False

    def __init__(self, service: Service, sockets: Sockets, connects: Connects) -> None:
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._listeners = _listeners(sockets, service, self._loop, connects)
        self._listener = self._listeners[0]
        for listener in self._listeners:
            listener.open()
        self.thread_id: int | None = threading.get_ident()

    def call(self, action: Callable[[Listener], Result]) -> Result:
        """Do something in the server's loop, which is the caller's.

        Raises:
            ScenarioError: the caller is another thread.
        """
        if self.thread_id != threading.get_ident():
            raise ScenarioError("this server runs in a loop of another thread: change it there, or run it in a thread")
        return action(self._listener)

    def cpu_time(self) -> float:
        """None that is the server's alone: it shares the caller's thread."""
        return 0.0

    def catch_up(self) -> None:
        """Nothing: the caller may let the loop go on itself."""

    async def stop(self) -> None:
        """Close everything, and wait until what was in progress has cleaned up."""
        await _wind_up(self._service, self._listeners)


class ThreadHost:
    """Serves in a thread of its own, on uvloop where that is installed."""

    has_ended = False

    def __init__(self, service: Service, sockets: Sockets, connects: Connects) -> None:
        self._service = service
        self._loop = new_loop()
        self._listeners = _listeners(sockets, service, self._loop, connects)
        self._listener = self._listeners[0]
        self._thread = threading.Thread(target=self._run, name=f"fake-server-{sockets.port}", daemon=True)
        self._thread.start()
        self.thread_id: int | None = self._thread.ident
        for listener in self._listeners:
            self.call(lambda _, opened=listener: opened.open())  # type: ignore[misc]

    def call(self, action: Callable[[Listener], Result]) -> Result:
        """Do something in the server's loop, and wait for its result.

        Raises:
            FakeServerError: the loop does not answer, because a handler blocks it.
        """
        if threading.get_ident() == self._thread.ident:
            return action(self._listener)
        done = threading.Event()
        results: list[Result] = []
        errors: list[BaseException] = []

        def perform() -> None:
            try:
                results.append(action(self._listener))
            except BaseException as error:  # noqa: BLE001 -- it is raised in the calling thread
                errors.append(error)
            done.set()

        self._loop.call_soon_threadsafe(perform)
        if not done.wait(_LONGEST_STOP):
            raise FakeServerError(f"the server's thread does not answer; a handler blocks it {self._where()}")
        if errors:
            raise errors[0]
        return results[0]

    def cpu_time(self) -> float:
        """Seconds of CPU that the thread has used."""
        if not hasattr(time, "pthread_getcpuclockid"):  # Windows and macOS
            return self.call(lambda _: time.thread_time())
        assert self._thread.ident is not None, "it was started"
        return time.clock_gettime(time.pthread_getcpuclockid(self._thread.ident))

    def catch_up(self) -> None:
        """Have the loop go round until a connection that was in the backlog is recorded."""
        for _ in range(ROUNDS_TO_ACCEPT):
            self.call(lambda listener: None)

    def stop(self) -> None:
        """Close everything and end the thread.

        Raises:
            FakeServerError: the thread does not end, because a handler blocks it.
        """
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_LONGEST_STOP)
        if self._thread.is_alive():
            raise FakeServerError(f"the server's thread does not end; a handler blocks it {self._where()}")

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(_wind_up(self._service, self._listeners))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()

    def _where(self) -> str:
        frame = sys._current_frames().get(self._thread.ident or 0)
        return "" if frame is None else f"at {frame.f_code.co_filename}:{frame.f_lineno}"


def _listeners(
    sockets: Sockets, service: Service, loop: asyncio.AbstractEventLoop, connects: Connects
) -> tuple[Listener, ...]:
    """That of the TCP socket, and of the unix socket if there is one."""
    listener = Listener(sockets.tcp, service, loop, connects.tcp)
    if sockets.unix is None:
        return (listener,)
    return listener, UnixListener(sockets.unix, service, loop, connects.unix)


async def _wind_up(service: Service, listeners: tuple[Listener, ...]) -> None:
    """Stop serving: no connection, task or socket stays behind."""
    for listener in listeners:
        await listener.close()
    for _ in range(ROUNDS_TO_ACCEPT):  # who has left already is not cut off
        await asyncio.sleep(0)
    service.wind_up()
    for connection in tuple(service.connections):
        connection.abort(Outcome.SERVER_STOPPED)
    left = service.in_progress
    if left:
        _, slow = await asyncio.wait(left, timeout=_LONGEST_CLEANUP)
        for task in slow:
            task.cancel()
    while service.connections:  # noqa: ASYNC110 -- they are lost in the next round of the loop
        await asyncio.sleep(0)


def new_loop() -> asyncio.AbstractEventLoop:
    """A loop of uvloop's where that is installed, or else of asyncio's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
