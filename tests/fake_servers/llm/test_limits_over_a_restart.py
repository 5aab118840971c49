"""A server that is started again, on another clock, has spent nothing and runs nothing."""

import asyncio

import aiohttp
import looptime

from fake_servers import FakeLLMServer

BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


async def ask(server):
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/v1/chat/completions", json=BODY) as answer,
    ):
        return answer.status


def test_rate_limits_begin_anew():
    server = FakeLLMServer(requests_per_minute=1)

    async def once_and_again():
        async with server:
            statuses = [await ask(server), await ask(server)]
            await asyncio.sleep(60)
            return [*statuses, await ask(server)]

    with server:
        assert asyncio.run(ask(server)) == 200
    for _ in range(2):
        loop = looptime.new_event_loop()
        try:
            assert loop.run_until_complete(once_and_again()) == [200, 429, 200]
        finally:
            loop.close()
