"""The model server beside others, in one run and in turns: `python benchmarks/llm.py [--rounds N]`.

Prints Markdown, as it stands in docs/performance.md. With wrk, and the npm package @copilotkit/aimock installed in a
folder that the environment variable AIMOCK names (`npm install @copilotkit/aimock`), requests a second are compared
as well.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent))
import load
import servers

STREAMS = 200
SPACING = 0.01
CHAT = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}], "stream": False})
STREAMED = CHAT.replace("false", "true")


class _Stream(asyncio.Protocol):
    """A connection that asks for one stream, and notes when each part of a token came."""

    def __init__(self) -> None:
        self.arrivals: list[float] = []
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def ask(self) -> None:
        self.transport.write(_request(STREAMED))

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self.arrivals += [now] * data.count(b"token")
        if b"[DONE]" in data:
            self.ended.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(exc or ConnectionError("closed before the end"))


def _request(body: str) -> bytes:
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


async def _streams(port: int, count: int) -> list[_Stream]:
    loop = asyncio.get_running_loop()
    streams = [(await loop.create_connection(_Stream, "127.0.0.1", port))[1] for _ in range(count)]
    for stream in streams:
        stream.ask()
    await asyncio.gather(*(stream.ended for stream in streams))
    for stream in streams:
        stream.transport.close()
    return streams


def spacing_errors(port: int, count: int = STREAMS) -> tuple[float, float]:
    """Median and 99th percentile, in seconds, of how far the gaps between events are from what they should be.

    Args:
        port: of the server.
        count: of streams beside each other.
    """
    streams = asyncio.run(_streams(port, count))
    assert {len(stream.arrivals) for stream in streams} == {servers.EVENTS}
    gaps = [b - a for s in streams for a, b in zip(s.arrivals, s.arrivals[1:], strict=False)]
    errors = sorted(abs(gap - SPACING) for gap in gaps)
    return statistics.median(errors), errors[len(errors) * 99 // 100]


def print_spacing(rounds: int) -> None:
    """Print how evenly the events of many streams come."""
    kinds = ("FakeLLMServer", "aiohttp.web events")
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    with (
        servers.running(kinds[0], delay=SPACING) as (ours, _),
        servers.running(kinds[1], delay=SPACING) as (theirs, _),
    ):
        for number in range(rounds):
            turns = list(zip(kinds, (ours, theirs), strict=True))
            for kind, port in turns if number % 2 == 0 else reversed(turns):
                found[kind].append(spacing_errors(port))
    print("| 200 streams of 100 events, 10 ms apart | spacing error, median | spacing error, p99 |")
    print("| --- | ---: | ---: |")
    for kind, values in found.items():
        middle, most = (statistics.median(column) * 1000 for column in zip(*values, strict=True))
        print(f"| {kind} | {middle:.2f} ms | {most:.2f} ms |")
    ratios = [ours / theirs for (_, ours), (_, theirs) in zip(*found.values(), strict=True)]
    print(f"\nOur p99 is {statistics.median(ratios):.2f} x aiohttp.web's ({min(ratios):.2f} to {max(ratios):.2f}).")


def print_rates(rounds: int) -> None:
    """Print chat completions a second, beside another fake."""
    if "AIMOCK" not in os.environ:
        print("@copilotkit/aimock is not installed: AIMOCK names no folder.")
        return
    kinds = ("FakeLLMServer", "@copilotkit/aimock")
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    with servers.running(kinds[0]) as (ours, _), servers.running(kinds[1]) as (theirs, _):
        ports = dict(zip(kinds, (ours, theirs), strict=True))
        for number in range(-1, rounds):
            for kind in kinds if number % 2 == 0 else reversed(kinds):
                url = f"http://127.0.0.1:{ports[kind]}/v1/chat/completions"
                rate = load.posts_per_second(url, CHAT, connections=32, seconds=1)
                if number >= 0:  # the first round warms up
                    rates[kind].append(rate)
    ratios = [ours / theirs for ours, theirs in zip(*rates.values(), strict=True)]
    print("| server | chat completions/s, median |\n| --- | ---: |")
    for kind, values in rates.items():
        print(f"| {kind} | {statistics.median(values):,.0f} |")
    print(f"\nOurs is {statistics.median(ratios):.2f} x ({min(ratios):.2f} to {max(ratios):.2f}).")


async def _queue(port: int, pid: int, count: int) -> tuple[float, float]:
    """KiB that a waiting request costs, and seconds until all are answered after the first."""
    loop = asyncio.get_running_loop()
    process = psutil.Process(pid)
    lines = [(await loop.create_connection(_Answer, "127.0.0.1", port))[1] for _ in range(count)]
    await asyncio.sleep(0.2)
    before = process.memory_info().rss
    for line in lines:
        line.transport.write(_request(CHAT))
    await lines[0].answered
    after = process.memory_info().rss
    start = time.perf_counter()
    await asyncio.gather(*(line.answered for line in lines))
    seconds = time.perf_counter() - start
    for line in lines:
        line.transport.close()
    return (after - before) / count / 1024, seconds


class _Answer(asyncio.Protocol):
    def __init__(self) -> None:
        self.answered = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if not self.answered.done():
            self.answered.set_result(None)


def print_queue(count: int) -> None:
    """Print what waiting requests cost: each keeps the one slot for a millisecond."""
    with servers.running("FakeLLMServer, one slot", delay=0.001) as (port, pid):
        kib, seconds = asyncio.run(_queue(port, pid, count))
    pause = seconds / (count - 1) * 1000
    print(
        f"{count:,} requests for one slot of 1 ms: {kib:.1f} KiB for each that waits, all answered in "
        f"{seconds:.2f} s, {pause:.2f} ms each."
    )


def main() -> int:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="how often each server takes its turn (default: 9)")
    options = parser.parse_args()
    print_spacing(options.rounds)
    print()
    print_rates(options.rounds)
    print()
    print_queue(1000)
    return 0


if __name__ == "__main__":
    sys.exit(main())
