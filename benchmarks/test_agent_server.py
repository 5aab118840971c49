"""Three requests of 40 s to the agent server, in virtual time: every figure is exact."""

import agent
import aiohttp
import pytest

from fake_servers import FakeAgentServer
from pytest_httpconc import Side
from pytest_httpconc.clients.agent_stream import ask

pytestmark = [pytest.mark.benchmark, pytest.mark.httpconc(virtual_time=True)]

#: Seconds, the speedup, and what becomes of the answers.
EXPECTED = {
    "sequential": (120.0, 1.0, "isolated"),
    "shared": (40.0, 3.0, "HC501: 2 of 3 sessions got what is not theirs"),
    "lock": (120.0, 1.0, "isolated"),
    "semaphore": (40.0, 3.0, "isolated"),
    "pool": (40.0, 3.0, "isolated"),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", agent.SIZES)
async def test_three_requests(httpconc_benchmark, name):
    async def call(session):
        await ask(server.url, "question", session=session)

    async with FakeAgentServer(duration=agent.DURATION, **agent.SIZES[name]) as server:
        result = await httpconc_benchmark.run_in_loop(
            Side(call, aiohttp.ClientSession),
            calls=agent.REQUESTS,
            concurrency=1 if name == "sequential" else agent.REQUESTS,
            server=server,
        )
    side = result.candidate
    assert (side.virtual_seconds, side.speedup, await agent.verdict(name)) == EXPECTED[name]
