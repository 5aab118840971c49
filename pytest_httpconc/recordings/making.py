"""A server that was recorded, made again: the same kind, meeting the same, answering the same."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, get_type_hints

import fake_servers
from fake_servers import Exchange, FakeServer, Request, Response, ScenarioError, Stream
from fake_servers.decisions import Decisions
from fake_servers.errors import UpstreamEnded
from fake_servers.faults import AtListener
from fake_servers.http import RelayedFields
from fake_servers.makings import is_kept
from fake_servers.plain import from_plain, not_known
from fake_servers.records import Answered, Closer, Outcome
from pytest_httpconc.recordings.forms import RecordedServer

__all__ = ["decisions_of", "make"]

_FAILED: Final = 500


def make(recorded: RecordedServer, *, port: int = 0) -> FakeServer:
    """The server, not started yet.

    Args:
        recorded: what is known of it.
        port: where it is to listen; 0 for any.

    Raises:
        ScenarioError: the recording has something that this version does not know.
    """
    kind = _kind(recorded.kind)
    try:
        arguments = _typed(kind.__init__, recorded.arguments)
        server = kind(port=port, scenario=recorded.scenario, **arguments)
    except TypeError as error:
        raise ScenarioError(f"arguments of {recorded.kind}: {error}") from None
    for told in recorded.told:
        method = getattr(server, told.method, None)
        if not is_kept(getattr(type(server), told.method, None)) or method is None:
            raise ScenarioError(f"{recorded.kind} can't be told {told.method!r}")
        method(**_typed(method, told.arguments))
    for hold in recorded.holds:
        server.hold(on=hold.on, until_in_flight=hold.until_in_flight, give_up=hold.give_up)
    server.follow(decisions_of(recorded))
    answers = RecordedAnswers(recorded)
    for on in recorded.routes:
        server.route(on)(answers.answer)
    return server


def decisions_of(recorded: RecordedServer) -> Decisions:
    """What its exchanges and connections have met."""
    listener = [(accepted, fault) for accepted, fault in recorded.listener if isinstance(fault, AtListener)]
    return Decisions.of(recorded.scenario, recorded.connections, recorded.exchanges, listener)


def _kind(name: str) -> type[FakeServer]:
    public = {name: getattr(fake_servers, name) for name in fake_servers.__all__}
    kinds = {name: kind for name, kind in public.items() if isinstance(kind, type) and issubclass(kind, FakeServer)}
    if name not in kinds:
        raise ScenarioError(not_known(f"server {name!r}", name, kinds))
    return kinds[name]


def _typed(function: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as the function's parameters have them; what it does not name goes on to those of every server."""
    hints = get_type_hints(FakeServer.__init__) | get_type_hints(function)
    return {name: from_plain(hints.get(name, object), value) for name, value in arguments.items()}


class RecordedAnswers:
    """A handler that answers the k-th execution of a method and path as the handler did that was recorded.

    It takes as long, and where the handler never answered, it does not either. Where the server behind a proxy broke
    off, so does the answer. Further executions are answered as the last one was.
    """

    def __init__(self, recorded: RecordedServer) -> None:
        self._reset = {c.number for c in recorded.connections if c.closed_by is Closer.UPSTREAM_RST}
        self._executed: defaultdict[tuple[str, str], list[Exchange]] = defaultdict(list)
        self._asked: Counter[tuple[str, str]] = Counter()
        for exchange in recorded.exchanges:
            if exchange.executed_at is not None:
                self._executed[exchange.method, exchange.path].append(exchange)

    async def answer(self, request: Request) -> Response | Stream:
        """Answer as it was answered."""
        key = (request.method, request.path)
        number = self._asked[key]
        self._asked[key] += 1
        recorded = self._executed.get(key)
        if not recorded:
            return Response.json({"detail": f"the recording has no answer to {' '.join(key)}"}, status=404)
        exchange = recorded[min(number, len(recorded) - 1)]
        answer = exchange.answer
        end = self._end(exchange)
        if answer is None:
            if end is not None:
                raise end
            return await _unanswered(exchange)
        headers = RelayedFields(answer.headers)  # they were checked when they were sent
        began_at = (exchange.executed_at or exchange.begun_at) - exchange.begun_at
        if answer.is_stream:  # what it yields is asked for when the injected latency is over
            parts = _parts(answer, began_at + exchange.latency, end)
            return Stream(parts, status=answer.status, headers=headers, length=_length(answer, end))
        body = b"".join([part async for part in _parts(answer, began_at)])
        return Response(body, status=answer.status, headers=headers)

    def _end(self, exchange: Exchange) -> UpstreamEnded | None:
        """How the server behind a proxy has ended it, if it has."""
        if exchange.outcome is not Outcome.ENDED_BY_UPSTREAM:
            return None
        return UpstreamEnded(reset=exchange.connection in self._reset, rest=exchange.rest)


def _length(answer: Answered, end: UpstreamEnded | None) -> int | None:
    """The length that was declared, unless the recording is without a part of the body."""
    has_all = sum(len(part) for _, part in answer.parts) == answer.length
    return answer.length if has_all or end is not None else None


async def _unanswered(exchange: Exchange) -> Response:
    if exchange.status is None:
        await asyncio.get_running_loop().create_future()  # it was waited for in vain
    return Response(status=exchange.status or _FAILED)


async def _parts(answer: Answered, began_at: float, end: UpstreamEnded | None = None) -> AsyncIterator[bytes]:
    for at, part in answer.parts:
        await asyncio.sleep(max(0.0, at - began_at))
        began_at = at
        yield part
    if end is not None:
        raise end
