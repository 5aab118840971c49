"""The same calls by the standard library alone, beside every benchmark: CPU is told in their units.

A machine that is busy makes the same work dearer, and the more so the more often it is interrupted. So the reference
makes as many calls as the candidate, as many of them together, after the same latency, and waits as the candidate does:
in threads, or in a loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from queue import SimpleQueue
from urllib.parse import urlsplit

from fake_servers.latency import Latency
from fake_servers.started import forget_server
from pytest_httpconc.bench.sides import AsyncSide, BlockingSide, Side, Work, side_of
from pytest_httpconc.bench.target import OwnTarget, make_server

__all__ = ["running_reference"]


@contextmanager
def running_reference(work: Work, latency: Latency, *, is_async: bool) -> Iterator[BlockingSide | AsyncSide]:
    """A side that asks a server of its own over connections that it keeps.

    Args:
        work: what a round of the candidate is.
        latency: of the answers.
        is_async: whether the candidate's calls are coroutines.
    """
    side = Side(_StreamsClient.ask, _StreamsClient) if is_async else Side(_BlockingClient.ask, _BlockingClient)
    with make_server() as server:
        forget_server(server)
        yield side_of(side, work, OwnTarget(server, latency, None))


class _BlockingClient:
    """Connections of http.client, each used by one thread at a time."""

    def __init__(self) -> None:
        self._idle: SimpleQueue[HTTPConnection] = SimpleQueue()

    def ask(self, url: str) -> None:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=30.0) if self._idle.empty() else self._idle.get()
        connection.request("GET", "/reference", headers={"Accept": "application/json"})
        connection.getresponse().read()
        self._idle.put(connection)

    def __enter__(self) -> _BlockingClient:
        return self

    def __exit__(self, *error: object) -> None:
        while not self._idle.empty():
            with closing(self._idle.get()):
                pass


class _StreamsClient:
    """Connections of asyncio's streams, each used by one task at a time."""

    def __init__(self) -> None:
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, url: str) -> None:
        parts = urlsplit(url)
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(f"GET /reference HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: application/json\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        self._idle.append((reader, writer))

    async def __aenter__(self) -> _StreamsClient:
        return self

    async def __aexit__(self, *error: object) -> None:
        for _, writer in self._idle:
            writer.close()
            await writer.wait_closed()
