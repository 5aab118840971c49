"""What every benchmark is measured beside, so that CPU is told in units of the machine and of its state.

The reference makes as many calls as the candidate, in threads or in a loop as the candidate does, by the standard
library alone, each with about as much work besides as a client has with a call. A call that only sends and receives
would be no unit for one that computes: the former is up to twice as dear on a machine whose caches others have used
meanwhile, the latter by half. `work` alone, without a call, tells that state: how dear it is to wait and be woken.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from email.utils import parsedate_to_datetime
from fnmatch import fnmatch
from hashlib import sha1
from http.client import HTTPConnection, parse_headers
from http.cookies import SimpleCookie
from io import BytesIO
from ipaddress import ip_address
from queue import SimpleQueue
from shlex import split
from typing import Final
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit
from urllib.request import Request

from fake_servers.latency import Latency
from fake_servers.started import forget_server
from pytest_httpconc.bench.figures import Round
from pytest_httpconc.bench.sides import RunsRounds, Side, Work, side_of
from pytest_httpconc.bench.target import OwnTarget, make_server

__all__ = ["running_reference"]

_HEADERS: Final = (
    b"content-type: application/json; charset=utf-8\r\ncontent-length: 17\r\nserver: reference\r\n"
    b"date: Thu, 01 Jan 2026 00:00:00 GMT\r\nset-cookie: session=a; Path=/; HttpOnly\r\n\r\n"
)
_ANSWER: Final = {"id": "a", "choices": [{"index": 0, "message": {"role": "assistant", "content": "x" * 40}}]}


@contextmanager
def running_reference(work: Work, latency: Latency, *, is_async: bool) -> Iterator[tuple[RunsRounds, RunsRounds]]:
    """Two sides: the calls, at a server of their own over connections that are kept, and their work alone.

    Args:
        work: what a round of the candidate is.
        latency: of the answers; none where the candidate's CPU is measured without one.
        is_async: whether the candidate's calls are coroutines.
    """
    side = Side(_StreamsClient.ask, _StreamsClient) if is_async else Side(_BlockingClient.ask, _BlockingClient)
    if work.cpu_passes:
        work = replace(work, concurrency=1)
    with make_server() as server:
        forget_server(server)
        yield side_of(side, work, OwnTarget(server, latency, None)), _WorkAlone(work)


def _do_work() -> None:
    """What a client does for a call besides sending and receiving: many small things, each once.

    Of the same little code again and again the caches would lose nothing.
    """
    request = Request(
        "http://127.0.0.1/v1/reference?" + urlencode({"model": "a b", "n": ["1", "2"]}, doseq=True),
        data=json.dumps(_ANSWER, sort_keys=True).encode(),
        headers={"Accept": "application/json", "Authorization": f"Basic {b64encode(b'user:secret').decode()}"},
    )
    address = urlsplit(urljoin(request.full_url, "../reference?a=b"))
    parse_qs(address.query)
    _ = ip_address(str(address.hostname)).is_loopback and fnmatch(str(address.hostname), "*.example")
    headers = parse_headers(BytesIO(_HEADERS))
    headers.get_content_charset()
    parsedate_to_datetime(headers["date"])
    SimpleCookie(headers["set-cookie"]).output()
    json.loads(json.dumps(_ANSWER))
    split("docker exec --interactive 'a b' true")
    uuid.UUID(hex=sha1(headers.as_bytes(), usedforsecurity=False).hexdigest()[:32])


class _WorkAlone:
    """The reference's work, as often as it calls, and no call.

    Args:
        work: what a round of the reference is.
    """

    def __init__(self, work: Work) -> None:
        self._calls = work.calls
        self._passes = max(1, work.cpu_passes)

    def prepare(self) -> None:
        """Nothing is to be done."""

    def run_round(self) -> Round:
        cpu = min(self._run_pass() for _ in range(self._passes))
        nothing = dict.fromkeys(("requests", "executions", "connections", "peak_in_flight"), 0)
        return Round(seconds=cpu, durations=(cpu / self._calls,) * self._calls, cpu=cpu, **nothing)

    def _run_pass(self) -> float:
        begun_at = time.process_time()
        for _ in range(self._calls):
            _do_work()
        return time.process_time() - begun_at

    def close(self) -> None:
        """Nothing is held."""


class _BlockingClient:
    """Connections of http.client, each used by one thread at a time."""

    def __init__(self) -> None:
        self._idle: SimpleQueue[HTTPConnection] = SimpleQueue()

    def ask(self, url: str) -> None:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=30.0) if self._idle.empty() else self._idle.get()
        connection.request("GET", "/reference", headers={"Accept": "application/json"})
        connection.getresponse().read()
        self._idle.put(connection)
        _do_work()

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
        _do_work()

    async def __aenter__(self) -> _StreamsClient:
        return self

    async def __aexit__(self, *error: object) -> None:
        for _, writer in self._idle:
            writer.close()
            await writer.wait_closed()
