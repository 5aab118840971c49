"""A client and its calls, run beside the test: in threads where it blocks, in a loop where it does not.

The test that gives the orders is never blocked by a call that hangs, and is the same for both kinds of client.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from typing import Any, Protocol

from pytest_httpconc.sweeps.calls import Caller, Outcome
from pytest_httpconc.sweeps.watchdog import Hung, place_of

__all__ = ["Calls", "driven"]


class Calls(Protocol):
    """What a test does with a client that has been made."""

    def call(self, *, must_succeed: bool = False) -> Outcome:
        """Make one call.

        Raises:
            Hung: it does not end.
            ScenarioError: it fails and must not.
        """

    def together(self, number: int, *, must_succeed: bool = False) -> list[Outcome]:
        """Make so many calls at once.

        Raises:
            Hung: one of them does not end.
        """


@contextmanager
def driven(caller: Caller, *, patience: float, outlives: bool = False) -> Iterator[Calls]:
    """Make a client for a ``with`` block, and close it at the end.

    Args:
        caller: the client's factory, and the call.
        patience: seconds after which what does not end is given up.
        outlives: whether what is yielded refers to the client after the block as well.

    Raises:
        Hung: making or closing the client does not end.
    """
    driver = _LoopDriver(caller, patience) if caller.is_async else _ThreadDriver(caller, patience)
    with driver.running(outlives=outlives):
        yield driver


class _Worker:
    """A thread that does one thing after another, and is left behind where one of them hangs."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._work,), name=name, daemon=True)
        self._thread.start()

    def start(self, job: Callable[[], Any]) -> Future[Any]:
        """Have it done when what was started before is done."""
        future: Future[Any] = Future()

        def do() -> None:
            try:
                future.set_result(job())
            except BaseException as error:  # noqa: BLE001 -- it is raised in the thread that waits
                future.set_exception(error)

        self._jobs.put(do)
        return future

    def wait(self, future: Future[Any], seconds: float) -> Any:
        """The result of what was started.

        Raises:
            Hung: it has not ended within its time.
        """
        try:
            return future.result(seconds)
        except FutureTimeoutError:
            if future.done():  # the job's own error is one of a time that ran out
                raise
            raise Hung(seconds, place_of(self._thread)) from None

    def stop(self) -> None:
        """End the thread once it is idle."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (do := self._jobs.get()) is not None:
            do()
            del do  # what it holds is not to outlive it


class _ThreadDriver:
    """A client that blocks: it is made, used and closed in one thread; calls at once have a thread each."""

    def __init__(self, caller: Caller, patience: float) -> None:
        self._caller = caller
        self._patience = patience
        self._workers: list[_Worker] = []
        self._client: object = None

    @contextmanager
    def running(self, *, outlives: bool) -> Iterator[None]:
        stack = ExitStack()
        try:
            self._client = self._do(lambda: stack.enter_context(self._caller.entered()))
            try:
                yield
            finally:
                self._client = self._client if outlives else None
                self._do(stack.close)
        finally:
            for worker in self._workers:
                worker.stop()

    def call(self, *, must_succeed: bool = False) -> Outcome:
        (outcome,) = self.together(1, must_succeed=must_succeed)
        return outcome

    def together(self, number: int, *, must_succeed: bool = False) -> list[Outcome]:
        client = self._client

        def run() -> Outcome:
            return self._caller.run(client, must_succeed=must_succeed)

        started = [(worker, worker.start(run)) for worker in self._crew(number)]
        return [worker.wait(future, self._patience) for worker, future in started]

    def _do(self, job: Callable[[], Any]) -> Any:
        (first,) = self._crew(1)
        return first.wait(first.start(job), self._patience)

    def _crew(self, number: int) -> list[_Worker]:
        """The first so many workers: the same in each round, for clients that keep something for each thread."""
        while len(self._workers) < number:
            self._workers.append(_Worker(f"httpconc-call-{len(self._workers) + 1}"))
        return self._workers[:number]


class _LoopDriver:
    """A client of asyncio's: a loop runs in a thread, and one task in it makes and closes the client."""

    def __init__(self, caller: Caller, patience: float) -> None:
        self._caller = caller
        self._patience = patience
        self._loop: asyncio.AbstractEventLoop
        self._over: asyncio.Event
        self._client: object = None

    @contextmanager
    def running(self, *, outlives: bool) -> Iterator[None]:
        worker = _Worker("httpconc-loop")
        entered: Future[None] = Future()
        life = worker.start(lambda: asyncio.run(self._live(entered, outlives=outlives)))
        life.add_done_callback(lambda ended: None if entered.done() else _fail(entered, ended))
        worker.stop()
        try:
            worker.wait(entered, self._patience)
            yield
        finally:
            if entered.done() and not life.done():
                self._loop.call_soon_threadsafe(self._over.set)
                worker.wait(life, self._patience)
        life.result()

    async def _live(self, entered: Future[None], *, outlives: bool) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        async with self._caller.entered_in_loop() as client:
            self._client = client
            del client
            entered.set_result(None)
            await self._over.wait()
            self._client = self._client if outlives else None

    def call(self, *, must_succeed: bool = False) -> Outcome:
        (outcome,) = self.together(1, must_succeed=must_succeed)
        return outcome

    def together(self, number: int, *, must_succeed: bool = False) -> list[Outcome]:
        future = asyncio.run_coroutine_threadsafe(self._together(number, must_succeed), self._loop)
        try:
            return future.result(self._patience)
        except FutureTimeoutError:
            future.cancel()
            raise Hung(self._patience, "in the event loop") from None

    async def _together(self, number: int, must_succeed: bool) -> list[Outcome]:
        calls = (self._caller.run_in_loop(self._client, must_succeed=must_succeed) for _ in range(number))
        return await asyncio.gather(*calls)


def _fail(entered: Future[None], ended: Future[Any]) -> None:
    error = ended.exception()
    entered.set_exception(error or RuntimeError("the client was never made"))
