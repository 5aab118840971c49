"""How long each client waits when nothing was set: its default timeouts as they reach the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from fake_servers import Exchange, FakeServer
from fake_servers.faults import Dribble, Fault, FullBacklog, Stall
from fake_servers.records import Outcome
from pytest_httpconc.probe import install, look_at_timeouts, timeouts_of
from pytest_httpconc.survey.adapters import Adapter, Settings
from pytest_httpconc.survey.stage import entered, make_call, run_on_stage, served

__all__ = ["Waits", "default_waits"]

_A_DAY: Final = 86_400.0  # seconds of a virtual clock
_NOT_SEEN: Final = "not seen"
_NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class Waits:
    """A client's default timeouts, in words: seconds, "none", or "not seen" where the wire does not show it.

    Args:
        connect: for making a connection.
        read: for each wait for a part of an answer.
        total: for the whole call.
    """

    connect: str
    read: str
    total: str


def default_waits(adapter: Adapter) -> Waits:
    """The default timeouts: read from the socket of a client that blocks, waited for on a virtual clock by others."""
    if adapter.is_async:
        return run_on_stage(adapter, lambda: _waited_for(adapter))
    install()
    look_at_timeouts(True)
    try:
        return run_on_stage(adapter, lambda: _at_socket(adapter))
    finally:
        look_at_timeouts(False)


async def _at_socket(adapter: Adapter) -> Waits:
    async with served(adapter) as server:
        async with entered(adapter, Settings(url=server.url)) as client:
            await make_call(client, "POST")
        [connection] = server.ledger.connections
        [exchange] = server.ledger.exchanges
        seen = timeouts_of(server, connection, exchange)
    if seen is None:
        return Waits(_NOT_SEEN, _NOT_SEEN, _NOT_SEEN)
    return Waits(_seconds(seen.connect), _seconds(seen.read), _NOT_SEEN)


async def _waited_for(adapter: Adapter) -> Waits:
    silent = await _lasted(adapter, Stall(), _exchange_lasted)
    trickling = await _lasted(adapter, Dribble(size=1, interval=4.0), _exchange_lasted)
    connecting = await _lasted(adapter, FullBacklog(_A_DAY * 2), None)
    read = None if trickling is not None and trickling == silent else silent
    return Waits(_seconds(connecting), _seconds(read), _seconds(trickling))


async def _lasted(
    adapter: Adapter, fault: Fault, of_exchange: Callable[[Exchange], float | None] | None
) -> float | None:
    """After how many seconds a call without retries gave up; None if it did not within a day."""
    loop = asyncio.get_running_loop()
    async with served(adapter) as server:
        server.inject(fault)
        async with entered(adapter, Settings(url=server.url, retries=False)) as client:
            begun_at = loop.time()
            with suppress(Exception):  # how it fails is a trial's business
                await asyncio.wait_for(make_call(client, "POST"), _A_DAY)
            lasted = loop.time() - begun_at
        if of_exchange is None:
            return lasted if lasted < _A_DAY else None
        return of_exchange(await _only_exchange(server))


async def _only_exchange(server: FakeServer) -> Exchange:
    await server.ledger.until(lambda ledger: not ledger.in_flight)
    [exchange] = server.ledger.exchanges
    return exchange


def _exchange_lasted(exchange: Exchange) -> float | None:
    assert exchange.ended_at is not None, "it was waited for"
    lasted = exchange.ended_at - exchange.begun_at
    return lasted if exchange.outcome is Outcome.ABORTED_BY_CLIENT and lasted < _A_DAY else None


def _seconds(timeout: float | None) -> str:
    return _NONE if timeout is None else f"{round(timeout, 1):g} s"
