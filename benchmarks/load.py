"""Load for the comparisons: wrk where it is installed, and a small client of our own."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import time
from tempfile import NamedTemporaryFile

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def requests_per_second(port: int, *, connections: int, seconds: int) -> float:
    """Keep-alive requests per second with this many connections, over this many seconds."""
    if shutil.which("wrk") is None:
        return asyncio.run(_own_load(port, connections, seconds))
    return _wrk(f"http://127.0.0.1:{port}/", connections, seconds)


def posts_per_second(url: str, body: str, *, connections: int, seconds: int) -> float:
    """The same with a JSON body for each request; takes wrk."""
    with NamedTemporaryFile("w", suffix=".lua") as script:
        headers = 'wrk.headers["Content-Type"] = "application/json"'
        script.write(f'wrk.method = "POST"\nwrk.body = [[{body}]]\n{headers}\n')
        script.flush()
        return _wrk(url, connections, seconds, "-s", script.name)


def _wrk(url: str, connections: int, seconds: int, *options: str) -> float:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", *options, url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    match = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if match is None or "Non-2xx" in output:
        raise RuntimeError(f"wrk reports no good rate:\n{output}")
    return float(match[1])


def makespan(port: int, count: int) -> float:
    """Seconds from the first of so many concurrent exchanges sent to the last answered, all connected before."""
    return asyncio.run(_makespan(port, count))


class _Exchange(asyncio.Protocol):
    """One connection that sends a request when told to, and notes the answer; with ``again``, for ever."""

    def __init__(self, *, again: bool = False) -> None:
        self.answered = asyncio.get_running_loop().create_future()
        self.count = 0
        self._again = again

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def send(self) -> None:
        self.transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        if not self.count and data[9:12] != b"200":
            self.answered.set_exception(RuntimeError(f"not a success: {data[:80]!r}"))
            return
        self.count += 1
        if self._again:
            self.send()
        elif not self.answered.done():
            self.answered.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answered.done():
            self.answered.set_exception(exc or ConnectionError("closed before the answer"))


async def _connect(port: int, count: int, *, again: bool = False) -> list[_Exchange]:
    loop = asyncio.get_running_loop()
    exchanges = []
    for _ in range(count):
        _, exchange = await loop.create_connection(lambda: _Exchange(again=again), "127.0.0.1", port)
        exchanges.append(exchange)
    return exchanges


async def _makespan(port: int, count: int) -> float:
    exchanges = await _connect(port, count)
    start = time.perf_counter()
    for exchange in exchanges:
        exchange.send()
    await asyncio.gather(*(exchange.answered for exchange in exchanges))
    seconds = time.perf_counter() - start
    for exchange in exchanges:
        exchange.transport.close()
    return seconds


async def _own_load(port: int, connections: int, seconds: int) -> float:
    exchanges = await _connect(port, connections, again=True)
    start = time.perf_counter()
    for exchange in exchanges:
        exchange.send()
    await asyncio.sleep(seconds)
    elapsed = time.perf_counter() - start
    total = sum(exchange.count for exchange in exchanges)
    for exchange in exchanges:
        exchange.answered.cancel()
        exchange.transport.close()
    return total / elapsed
