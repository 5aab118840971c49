"""The released SDKs on a virtual clock: how long they wait, and how often they come again."""

from __future__ import annotations

import asyncio

import anthropic
import openai
import pytest

from fake_servers import FakeLLMServer
from fake_servers.faults import Status

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

MESSAGES = [{"role": "user", "content": "one two three"}]


def openai_client(server, **options):
    return openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="sk-test", **options)


def anthropic_client(server, **options):
    return anthropic.AsyncAnthropic(base_url=server.url, api_key="sk-ant-test", **options)


def ask_openai(client):
    return client.chat.completions.create(model="m", messages=MESSAGES)


def ask_anthropic(client):
    return client.messages.create(model="m", messages=MESSAGES, max_tokens=9)


SDKS = pytest.mark.parametrize(
    ("new_client", "ask"), [(openai_client, ask_openai), (anthropic_client, ask_anthropic)], ids=["openai", "anthropic"]
)


@SDKS
async def test_limit_is_waited_for_as_long_as_the_client_was_told(new_client, ask):
    loop = asyncio.get_running_loop()
    async with FakeLLMServer(requests_per_minute=3) as server, new_client(server) as client:
        begun_at = loop.time()
        for _ in range(4):
            await ask(client)
        assert loop.time() - begun_at == 20
        assert [e.status for e in server.ledger.exchanges] == [200, 200, 200, 429, 200]
        assert server.ledger.executions() == 4


@SDKS
async def test_pause_that_the_server_asks_for_is_kept(new_client, ask):
    async with FakeLLMServer() as server, new_client(server) as client:
        server.inject(Status(503, headers={"Retry-After": "7"}), times=2)
        await ask(client)
        first, second, third = server.ledger.exchanges
        assert (second.begun_at - first.ended_at, third.begun_at - second.ended_at) == (7, 7)


@SDKS
async def test_calls_share_the_models_time(new_client, ask):
    loop = asyncio.get_running_loop()
    async with FakeLLMServer(ttft=8, itl=1, max_num_seqs=4) as server, new_client(server) as client:
        begun_at = loop.time()
        await asyncio.gather(*(ask(client) for _ in range(12)))
        assert loop.time() - begun_at == 30
        assert (server.ledger.peak_in_flight, server.ledger.speedup()) == (12, 4)
