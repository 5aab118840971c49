"""Three requests of 40 s to the agent server, on a virtual clock: `python benchmarks/agent.py`.

Prints Markdown, as it stands in docs/performance.md: every figure is exact and the same in each run.
"""

from __future__ import annotations

import asyncio
import sys

import aiohttp
import looptime

from fake_servers import FakeAgentServer
from pytest_httpconc import CheckFailed, HttpConc
from pytest_httpconc.clients.agent_stream import ask

REQUESTS = 3
DURATION = 40.0
SIZES = {
    "sequential": {"model": "semaphore"},
    "shared": {"model": "shared"},
    "lock": {"model": "lock"},
    "semaphore": {"model": "semaphore", "max_concurrent": 3},
    "pool": {"model": "pool", "max_concurrent": 5, "pool_size": 3},
}


async def measure(name: str) -> tuple[float, float]:
    """Seconds until all are answered, and the speedup."""
    clock = asyncio.get_running_loop().time
    async with FakeAgentServer(duration=DURATION, **SIZES[name]) as server, aiohttp.ClientSession() as session:
        begun_at = clock()
        calls = [ask(server.url, f"question {number}", session=session) for number in range(REQUESTS)]
        if name == "sequential":
            for call in calls:
                await call
        else:
            await asyncio.gather(*calls)
        return clock() - begun_at, server.ledger.speedup("POST /chat/stream")


async def verdict(name: str) -> str:
    """Whether sessions get each their own answers."""
    async with FakeAgentServer(duration=DURATION, **SIZES[name]) as server:
        try:
            await HttpConc().assert_isolated(server, sessions=REQUESTS)
        except CheckFailed as failed:
            return f"{failed.findings[0].code}: {failed.findings[0].summary}"
    return "isolated"


def run(coroutine):
    loop = looptime.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


def main() -> int:
    """Measure every model."""
    print(f"| {REQUESTS} requests of {DURATION:g} s | takes | speedup | answers |")
    print("| --- | ---: | ---: | --- |")
    for name in SIZES:
        seconds, speedup = run(measure(name))
        print(f"| {name} | {seconds:g} s | {speedup:.1f} | {run(verdict(name))} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
