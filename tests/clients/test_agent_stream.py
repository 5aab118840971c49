"""The client of `/chat/stream`, on a server that breaks off."""

import asyncio
from contextlib import aclosing

import aiohttp
import pytest

from fake_servers import FakeAgentServer, Response
from fake_servers.faults import Disconnect, Dribble, Heartbeats, MalformedEvent, Reset, Stall, Status
from pytest_httpconc.clients.agent_stream import SessionError, ask, events
from pytest_httpconc.clients.answers import (
    AnswerTimeout,
    APIError,
    AuthenticationError,
    RateLimitError,
    TruncatedStream,
)


def types(found):
    return [event["type"] for event in found]


def test_question_is_answered_with_all_events(fake_agent):
    found = asyncio.run(ask(fake_agent.url, "What is new?", style="brief"))
    assert types(found) == ["session_start", "thinking", "answer", "completed"]
    assert found[2]["config"] == {"style": "brief"}


def test_bytes_that_come_one_by_one_make_no_difference(fake_agent):
    fake_agent.inject(Dribble(size=1, interval=0.00001))
    assert types(asyncio.run(ask(fake_agent.url, "ö"))) == ["session_start", "thinking", "answer", "completed"]


def test_session_that_is_given_is_used_again(fake_agent, httpconc):
    async def main():
        async with aiohttp.ClientSession() as session:
            for _ in range(3):
                await ask(fake_agent.url + "/", "x", session=session)

    asyncio.run(main())
    httpconc.assert_connections(fake_agent, at_most=1)


def test_generator_that_is_closed_early_tells_the_server(httpconc):
    async def main(url):
        async with aclosing(events(url, "x")) as found:
            async for event in found:
                if event["type"] == "thinking":
                    return

    with FakeAgentServer(duration=3600.0) as server:
        asyncio.run(main(server.url))
        httpconc.assert_no_leaks(server)
        assert server.ledger.wait_until(lambda ledger: not ledger.in_flight)


def test_error_event_is_raised_with_what_came_before():
    async def main():
        async with FakeAgentServer(max_concurrent=1, duration=3600.0, wait_limit=0.0) as server:
            first = asyncio.ensure_future(ask(server.url, "one"))
            await server.ledger.until(lambda ledger: ledger.executions() == 1)
            with pytest.raises(SessionError, match="no slot was free within 0 s") as error:
                await ask(server.url, "two")
            first.cancel()
            await asyncio.wait([first])
            return error.value.events

    assert types(asyncio.run(main())) == ["session_start", "error"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Disconnect(after_events=2), APIError),
        (Disconnect(), APIError),
        (Reset(after_events=1), APIError),
        (MalformedEvent(2), APIError),
        (Status(401), AuthenticationError),
        (Status(429), RateLimitError),
        (Status(500), APIError),
    ],
    ids=str,
)
def test_stream_that_breaks_off_raises(fake_agent, fault, error):
    fake_agent.inject(fault)
    with pytest.raises(error):
        asyncio.run(ask(fake_agent.url, "x"))


def test_stream_that_ends_without_its_last_event_raises(fake_http):
    stream = Response(b'data: {"type": "session_start"}\n\n', content_type="text/event-stream")
    fake_http.route("POST /chat/stream")(lambda request: stream)
    with pytest.raises(TruncatedStream):
        asyncio.run(ask(fake_http.url, "x"))


def test_silence_raises_when_the_timeout_is_over(fake_agent):
    fake_agent.inject(Stall(after_events=2))
    with pytest.raises(AnswerTimeout):
        asyncio.run(ask(fake_agent.url, "x", timeout=0.05))


def test_body_that_does_not_end_after_the_last_event_is_not_waited_for(fake_agent):
    fake_agent.inject(Heartbeats(interval=0.01))
    assert types(asyncio.run(ask(fake_agent.url, "x")))[-1] == "completed"


def test_answer_that_is_no_stream_raises(fake_http):
    fake_http.route("POST /chat/stream")(lambda request: Response.json({"answer": 42}))
    with pytest.raises(APIError, match="a stream was asked for, and the answer is application/json"):
        asyncio.run(ask(fake_http.url, "x"))


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), True, "5"])
def test_timeout_that_is_none_is_refused(timeout):
    with pytest.raises(ValueError, match="timeout is"):
        asyncio.run(ask("http://127.0.0.1:1", "x", timeout=timeout))
