"""The model's time on a virtual clock: what is waited for is exact."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest

from fake_servers import FakeLLMServer
from fake_servers.latency import empirical, uniform

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

QUESTION = "one two three four five"


class Asker:
    """A client in the loop that notes when things happen, in seconds since it was made."""

    def __init__(self, server, session):
        self._server = server
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._begun_at = self._loop.time()

    @property
    def now(self):
        return self._loop.time() - self._begun_at

    async def ask(self, question=QUESTION, *, path="/v1/chat/completions", **fields):
        """Ask, and return when the answer was there and what it was."""
        body = {"model": "m", "messages": [{"role": "user", "content": question}], **fields}
        async with self._session.post(self._server.url + path, json=body) as response:
            return self.now, response.status, await response.json(), response.headers

    async def arrivals(self, question=QUESTION, *, path="/v1/chat/completions", **fields):
        """Ask for a stream, and return when each event came."""
        body = {"model": "m", "messages": [{"role": "user", "content": question}], "stream": True, **fields}
        async with self._session.post(self._server.url + path, json=body) as response:
            return [self.now async for line in response.content if line.startswith(b"data: ")]


@contextlib.asynccontextmanager
async def asking(**options):
    """Run a server in this loop, and a client of it."""
    timeout = aiohttp.ClientTimeout(total=None)
    async with (
        FakeLLMServer(**options) as server,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session,
    ):
        yield server, Asker(server, session)


async def test_answer_takes_ttft_and_an_itl_for_each_further_token():
    async with asking(ttft=30, itl=2) as (server, asker):
        assert (await asker.ask())[0] == 38
        await server.ledger.until(lambda ledger: not ledger.in_flight)
        assert server.ledger.exchanges[0].service_time == 38


async def test_events_of_a_chat_come_with_their_tokens():
    async with asking(ttft=30, itl=2) as (_, asker):
        assert await asker.arrivals() == [30, 30, 32, 34, 36, 38, 38, 38]


async def test_messages_and_responses_open_at_once():
    async with asking(ttft=30, itl=2) as (_, asker):
        found = await asker.arrivals("a b", path="/v1/messages", max_tokens=9)
        assert found == [0, 0, 0, 30, 32, 32, 32, 32]
        found = await asker.arrivals("", path="/v1/responses", input="a b")
        assert [at - 32 for at in found] == [0, 0, 0, 0, 30, 32, 32, 32, 32, 32]


async def test_choices_take_no_longer_than_the_longest():
    async with asking(ttft=30, itl=2) as (_, asker):
        assert (await asker.ask(n=4))[0] == 38
        prompt = ["one", "one two three"]
        assert (await asker.ask(path="/v1/completions", prompt=prompt))[0] == 38 + 34


async def test_embedding_takes_the_time_of_one_token():
    async with asking(ttft=3, itl=2) as (_, asker):
        assert (await asker.ask(path="/v1/embeddings", input=["a b c", "d e"]))[0] == 3


async def test_who_came_first_gets_the_next_slot():
    async with asking(ttft=10, max_num_seqs=2) as (server, asker):
        order = []

        async def ask(number):
            finished_at, *_ = await asker.ask(str(number))
            order.append((number, finished_at))

        calls = []
        for number in range(5):
            calls.append(asyncio.ensure_future(ask(number)))
            await server.ledger.until(lambda ledger, number=number: ledger.in_flight == number + 1)
        assert (server.running, server.queued) == (2, 3)
        assert server.ledger.executions() == 2
        await asyncio.gather(*calls)
        assert sorted(order) == [(0, 10), (1, 10), (2, 20), (3, 20), (4, 30)]
        await server.ledger.until(lambda ledger: not ledger.in_flight)
        assert [e.waited for e in server.ledger.exchanges] == [0, 0, 10, 10, 20]
        assert {e.service_time for e in server.ledger.exchanges} == {10}


async def test_single_threaded_server_has_no_speedup():
    async with asking(ttft=10, single_threaded=True) as (server, asker):
        assert sorted(at for at, *_ in await asyncio.gather(*(asker.ask() for _ in range(4)))) == [10, 20, 30, 40]
        await server.ledger.until(lambda ledger: not ledger.in_flight)
        assert (server.ledger.speedup(), server.ledger.peak_in_flight) == (1, 4)


async def test_server_without_a_limit_serves_all_at_once():
    async with asking(ttft=10, itl=5) as (server, asker):
        assert {at for at, *_ in await asyncio.gather(*(asker.ask() for _ in range(50)))} == {30}
        await server.ledger.until(lambda ledger: not ledger.in_flight)
        assert server.ledger.speedup() == 50


async def test_slowdown_grows_with_what_runs_when_a_step_is_taken():
    async with asking(ttft=8, itl=4, slowdown=0.5) as (server, asker):
        assert (await asker.ask("one two"))[0] == 12
        first = asyncio.ensure_future(asker.ask("one two three"))
        await server.ledger.until(lambda ledger: ledger.in_flight == 1)
        second = asyncio.ensure_future(asker.ask("one"))
        # The first begins alone: 8. Its second token at 20 is taken beside the second: 4 * 1.5; then it is alone.
        # The second begins beside the first: 8 * 1.5.
        assert (await second)[0] == 12 + 12
        assert (await first)[0] == 12 + 8 + 6 + 4


async def test_distributions_are_drawn_alike_in_every_run():
    found = []
    for _ in range(2):
        async with asking(ttft=uniform(1, 2), itl=empirical([1, 2, 4]), seed=3) as (_, asker):
            found.append([round(at, 3) for at in await asker.arrivals()])
    assert found[0] == found[1]
    assert 1 <= found[0][0] <= 2


async def test_delays_are_scaled():
    async with asking(ttft=100, itl=100, time_scale=0.01) as (_, asker):
        assert (await asker.ask("one two three"))[0] == 3


async def test_requests_a_minute_are_limited_and_the_client_is_told_when():
    async with asking(requests_per_minute=2) as (server, asker):
        remaining = [(await asker.ask())[3]["x-ratelimit-remaining-requests"] for _ in range(2)]
        assert remaining == ["1", "0"]
        await asyncio.sleep(7.5)
        _, status, refused, headers = await asker.ask()
        assert (status, refused["error"]["code"]) == (429, "rate_limit_exceeded")
        assert (headers["Retry-After"], headers["retry-after-ms"]) == ("23", "22500")
        assert headers["x-ratelimit-reset-requests"] == "52.5s"
        assert (server.ledger.count(), server.ledger.executions()) == (3, 2)
        await asyncio.sleep(22)
        assert (await asker.ask())[1] == 429
        await asyncio.sleep(0.5)
        assert (await asker.ask())[1] == 200
        assert asker.now == 30


async def test_tokens_a_minute_are_limited():
    async with asking(tokens_per_minute=12) as (server, asker):
        assert (await asker.ask())[3]["x-ratelimit-remaining-tokens"] == "2"
        _, status, _, headers = await asker.ask()
        assert (status, headers["Retry-After"]) == (429, "40")
        _, status, answer, headers = await asker.ask("a b c d e f g")
        assert (status, "Retry-After" in headers) == (429, False)
        assert "12 tokens a minute are allowed, and it needs 14" in answer["error"]["message"]
        await asyncio.sleep(40)
        assert (await asker.ask())[1] == 200
        server.reset()
        assert (await asker.ask())[1] == 200


async def test_script_is_not_used_up_by_a_request_that_a_limit_refuses():
    async with asking(requests_per_minute=1) as (server, asker):
        server.script("again", text="scripted", times=1)
        assert [(await asker.ask(question))[1] for question in ("once", "again")] == [200, 429]
        await asyncio.sleep(60)
        assert (await asker.ask("again"))[2]["choices"][0]["message"]["content"] == "scripted"


async def test_limits_are_told_as_anthropic_tells_them():
    async with asking(requests_per_minute=1) as (_, asker):
        fields = {"path": "/v1/messages", "max_tokens": 9}
        headers = (await asker.ask(**fields))[3]
        assert headers["anthropic-ratelimit-requests-limit"] == "1"
        assert headers["anthropic-ratelimit-requests-remaining"] == "0"
        assert headers["anthropic-ratelimit-requests-reset"] == "2023-11-14T22:14:20Z"
        _, status, refused, headers = await asker.ask(**fields)
        assert (status, refused["error"]["type"], headers["Retry-After"]) == (429, "rate_limit_error", "60")


async def test_what_a_client_is_told_of_a_limit_holds_at_another_time_scale():
    async with asking(requests_per_minute=1, time_scale=0.5) as (_, asker):
        await asker.ask()
        assert (await asker.ask())[3]["Retry-After"] == "30"
        await asyncio.sleep(30)
        assert (await asker.ask())[1] == 200


async def test_client_that_leaves_the_queue_gives_up_its_place():
    async with asking(ttft=10, max_num_seqs=1) as (server, asker):
        first = asyncio.ensure_future(asker.ask())
        await server.ledger.until(lambda ledger: ledger.in_flight == 1)
        second = asyncio.ensure_future(asker.ask())
        await server.ledger.until(lambda ledger: ledger.in_flight == 2)
        third = asyncio.ensure_future(asker.ask())
        await server.ledger.until(lambda ledger: ledger.in_flight == 3)
        second.cancel()
        assert [at for at, *_ in await asyncio.gather(first, third)] == [10, 20]
        await server.ledger.until(lambda ledger: not ledger.in_flight)
        assert [e.executed_at is None for e in server.ledger.exchanges] == [False, True, False]


async def test_stream_that_is_abandoned_gives_its_slot_to_the_next():
    async with asking(ttft=10, itl=10, max_num_seqs=1) as (server, asker):
        first = asyncio.ensure_future(asker.arrivals())
        await server.ledger.until(lambda ledger: ledger.in_flight == 1)
        second = asyncio.ensure_future(asker.ask("one"))
        await asyncio.sleep(25)
        first.cancel()
        assert (await second)[0] == 35
        await server.ledger.until(lambda ledger: not ledger.in_flight)
        assert (server.running, server.queued) == (0, 0)
