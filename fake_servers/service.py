"""What a server's connections share: its routes, scenario, recorder, limits, and its own sense of time."""

from __future__ import annotations

import asyncio
import dis
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from types import CodeType
from typing import Any, Protocol, TypeVar

from fake_servers.answers import keep, keep_at_once
from fake_servers.entries import ConnectionEntry, ExchangeEntry
from fake_servers.errors import FakeServerError, UpstreamEnded
from fake_servers.http import Request, Response, Stream, Tunnel
from fake_servers.recorder import Recorder
from fake_servers.records import Outcome
from fake_servers.routing import Router
from fake_servers.scenario import ScenarioRun

__all__ = ["Answer", "Describe", "Handler", "Limits", "Route", "Served", "Service"]

Answer = Response | Stream | Tunnel
Describe = Callable[[Request, int, str], Response]
Result = TypeVar("Result")
Handler = Callable[[Request], Answer | Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes beyond which a request is refused: 431 for its head, 413 for its body."""

    head: int = 64 * 1024
    body: int = 16 * 1024 * 1024


class Served(Protocol):
    """A connection, as far as its service deals with it."""

    entry: ConnectionEntry

    @property
    def is_idle(self) -> bool:
        """Whether it is open with no exchange in progress."""
        ...

    def abort(self, outcome: Outcome) -> None:
        """Close at once, whatever is going on."""
        ...

    def forget_fault(self) -> None:
        """Let go a fault that waits for the next request."""
        ...


class Route:
    """A handler, and whether it is known to answer without ever waiting.

    A handler that ``queues`` may wait before it does anything, and says itself when it begins to execute.
    """

    __slots__ = ("handler", "immediate", "is_coroutine", "queues")

    def __init__(self, handler: Handler, *, queues: bool = False) -> None:
        self.handler = handler
        self.queues = queues
        self.is_coroutine = inspect.iscoroutinefunction(handler)
        self.immediate = not queues and (not self.is_coroutine or not _may_wait(handler))

    def call(self, request: Request) -> Answer | Awaitable[Answer]:
        """Call the handler; a coroutine that cannot wait is run to its end right here, without a task."""
        result = self.handler(request)
        if not (self.is_coroutine and self.immediate):
            return result
        try:
            result.send(None)  # type: ignore[union-attr]  # it is a coroutine: `is_coroutine` says so
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        raise FakeServerError(f"{self.handler!r} waited although its code has no await")


class Service:
    """Everything that a connection needs of its server."""

    def __init__(
        self, recorder: Recorder, run: ScenarioRun, *, limits: Limits, time_scale: float, describe: Describe
    ) -> None:
        self.recorder = recorder
        self.run = run
        self.limits = limits
        self.time_scale = time_scale
        self.describe = describe
        self.router: Router[Route] = Router()
        self.connections: set[Served] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self._work: set[asyncio.Task[Any]] = set()
        self.errors: list[FakeServerError] = []

    def work(self, coroutine: Coroutine[object, object, Result]) -> asyncio.Task[Result]:
        """Do something that goes on when the exchange that began it is over, until the server stops."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    @property
    def in_progress(self) -> set[asyncio.Task[Any]]:
        """Every task of the server's: what is served, and the work beside it."""
        return {*self.tasks, *self._work}

    async def finish(
        self, coroutine: Coroutine[object, object, Result], *, answers: type[Exception] | tuple[()] = ()
    ) -> Result:
        """Do something to its end, also when the exchange that began it is over before.

        Args:
            coroutine: what is to be done.
            answers: errors that are answers to the client, and nothing to keep when it has gone.
        """
        task = self.work(coroutine)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(functools.partial(self._keep_error, answers))
            raise

    def _keep_error(self, answers: type[Exception] | tuple[()], task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, answers):
            problem = FakeServerError(f"what a client had begun before it left failed: {error!r}")
            problem.__cause__ = error
            self.errors.append(problem)

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds`` of the server's own time."""
        # To the microsecond: looptime 0.7, the last for Python 3.10, never wakes from what is finer.
        await asyncio.sleep(round(seconds * self.time_scale, 6))

    async def stall(self, seconds: float | None) -> None:
        """Wait for ``seconds``, or until cancelled."""
        if seconds is None:
            await asyncio.get_running_loop().create_future()
        else:
            await self.sleep(seconds)

    def respond_now(self, request: Request, route: Route) -> Answer | Awaitable[Answer]:
        """Call a handler; when it raises, keep the error and answer 500."""
        try:
            result = route.call(request)
            if result is None:
                raise TypeError("it returned None and not a Response, a Stream or a Tunnel")
        except Exception as error:  # noqa: BLE001 -- a handler may raise anything, and the server must go on
            return self.failed(request, error)
        if type(result) is Response:
            keep_at_once(self.recorder, request.exchange, result)  # type: ignore[arg-type]  # it is an entry: see `_entry`
        elif isinstance(result, (Response, Stream)):
            keep(self.recorder, _entry(request), result)
        return result

    def begins(self, request: Request, *, waited: float = 0.0) -> None:
        """A handler that queues begins to execute, after ``waited`` seconds in its queue."""
        self.recorder.executed(self.waited(request, waited))

    def waited(self, request: Request, seconds: float) -> ExchangeEntry:
        """A request has spent time in a queue of the server's own."""
        entry = _entry(request)
        entry.waited += seconds
        return entry

    async def settle(self, request: Request, result: Answer | Awaitable[Answer]) -> Answer:
        """Wait for what a handler returned, and make sure that it is an answer."""
        if isinstance(result, (Response, Stream, Tunnel)):
            return result
        try:
            answer = await result if inspect.isawaitable(result) else result
        except UpstreamEnded as end:
            _entry(request).rest = end.rest
            raise
        except Exception as error:  # noqa: BLE001 -- as above
            return self.failed(request, error)
        if isinstance(answer, (Response, Stream, Tunnel)):
            keep(self.recorder, _entry(request), answer)
            return answer
        return self.failed(request, TypeError(f"it returned {answer!r} and not a Response, a Stream or a Tunnel"))

    def failed(self, request: Request, error: Exception) -> Response:
        """Keep an error of a handler on the record, to be raised in the test."""
        problem = FakeServerError(f"the handler of {request.method} {request.path} failed: {error!r}")
        problem.__cause__ = error
        self.errors.append(problem)
        return self.describe(request, 500, str(problem))

    def start(self, serving: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Serve something in a task that the server waits for when it stops."""
        task = asyncio.get_running_loop().create_task(serving)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def keep_idle(self) -> list[ConnectionEntry]:
        """Close the connections that are not idle, let go what is held, and return those that stay open."""
        self.wind_up()
        for connection in tuple(self.connections):
            if connection.is_idle:
                connection.forget_fault()
            else:
                connection.abort(Outcome.SERVER_STOPPED)
        idle = [connection.entry for connection in self.connections if connection.is_idle]
        return sorted(idle, key=lambda entry: entry.number)

    def wind_up(self) -> None:
        """Let go what is held back, and end what goes on beside the exchanges."""
        for task in self._work:
            task.cancel()
        for rendezvous in self.run.rendezvous:
            rendezvous.release()

    def no_route(self, request: Request) -> Response:
        """Answer 404 or 405 and say which routes there are."""
        methods = self.router.methods(request.path)
        if methods:
            detail = f"{request.path} takes {', '.join(methods)} and not {request.method}"
            return self.describe(request, 405, detail).with_headers({"Allow": ", ".join(methods)})
        known = ", ".join(sorted(self.router)) or "none"
        detail = f"no route for {request.method} {request.path}; there are: {known}"
        return self.describe(request, 404, detail)


def _entry(request: Request) -> ExchangeEntry:
    assert isinstance(request.exchange, ExchangeEntry), "every request that is served has its entry"
    return request.exchange


def _may_wait(handler: Handler) -> bool:
    """Whether a coroutine function can suspend at all: what waits compiles to GET_AWAITABLE or GET_ANEXT."""
    code = getattr(handler, "__code__", None)
    if not isinstance(code, CodeType):
        return True
    return any(step.opname in {"GET_AWAITABLE", "GET_ANEXT"} for step in dis.get_instructions(code))
