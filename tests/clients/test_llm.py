"""The clients of language models against servers that end their answers badly."""

from __future__ import annotations

import asyncio
import json

import pytest

from fake_servers import FakeServer, Moment, Response, Stream
from fake_servers.faults import (
    Disconnect,
    DuplicateEvent,
    HalfClose,
    Heartbeats,
    Malformed,
    MalformedEvent,
    MissingEvent,
    Redirect,
    Reset,
    Stall,
    Status,
    WrongLength,
)
from pytest_httpconc.clients.llm import (
    AnswerTimeout,
    APIError,
    AuthenticationError,
    ChatClient,
    OpenRouterModel,
    RateLimitError,
    TruncatedStream,
)

CHAT = "POST /v1/chat/completions"
HELLO = [{"role": "user", "content": "hello"}]
ANSWER = {"choices": [{"message": {"content": "hi there"}, "finish_reason": "stop"}], "usage": {"cost": 0.25}}
PARTS = ["hi", " ", "there"]


def sse(data):
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"


async def events():
    yield sse({"choices": [{"delta": {"role": "assistant"}}]})
    for part in PARTS:
        yield sse({"choices": [{"delta": {"content": part}}]})
    yield sse({"choices": [], "usage": {}})
    yield sse(b"[DONE]")


def answer(request):
    if request.json().get("stream"):
        return Stream(events(), content_type="text/event-stream")
    return Response.json(ANSWER)


@pytest.fixture
def server(fake_http):
    fake_http.route(CHAT)(answer)
    fake_http.route("POST /api/v1/chat/completions")(answer)
    return fake_http


def model(server, **settings):
    return OpenRouterModel("openai/gpt-4o", api_key="key", base_url=f"{server.url}/api/v1", **settings)


def client(server, **settings):
    return ChatClient(f"{server.url}/v1", api_key="key", **settings)


async def read(chat, server=None):
    async with chat.stream("m", HELLO) as deltas:
        return [delta async for delta in deltas]


def run(server, action, **settings):
    async def main():
        async with client(server, **settings) as chat:
            return await action(chat)

    return asyncio.run(main())


# -- OpenRouter -----------------------------------------------------------------------------------------------


def test_one_session_serves_a_whole_life_and_adds_up_what_it_cost(server, httpconc):
    with model(server) as openrouter:
        answers = [openrouter.query(HELLO, temperature=0) for _ in range(3)]
    assert {(a.content, a.finish_reason, a.cost) for a in answers} == {("hi there", "stop", 0.25)}
    assert (openrouter.calls, openrouter.cost) == (3, 0.75)
    httpconc.assert_connections(server, at_most=1)
    request = server.ledger.exchanges[0]
    assert request.headers["authorization"] == "Bearer key"
    assert json.loads(request.body) == {
        "model": "openai/gpt-4o",
        "messages": HELLO,
        "usage": {"include": True},
        "temperature": 0,
    }


def body(**changes):
    return json.dumps(ANSWER | changes).encode()


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (Status(401), AuthenticationError, "injected status 401"),
        (Status(401, body=b'{"error": {"message": "no such key", "code": 401}}'), AuthenticationError, "no such key"),
        (Status(429, {"Retry-After": "7"}), RateLimitError, "HTTP 429"),
        (Status(400), APIError, "HTTP 400"),
        (Status(500), APIError, "HTTP 500"),
        (Status(503, body=b"<html>busy</html>"), APIError, "<html>busy"),
        (Redirect("http://127.0.0.1:1/"), APIError, "HTTP 307"),
        (Status(200, body=b"<html>"), APIError, "no JSON object"),
        (Status(200, body=b"[1]"), APIError, "no JSON object"),
        (Status(200, body=b'{"error": {"message": "overloaded"}}'), APIError, "overloaded"),
        (Status(200, body=b"{}"), APIError, "no choice"),
        (Status(200, body=body(usage={})), APIError, "does not say what it cost"),
        (Status(200, body=body(usage=None)), APIError, "does not say what it cost"),
        (Status(200, body=body(usage={"cost": "1"})), APIError, "does not say what it cost"),
        (Status(200, body=body(usage={"cost": True})), APIError, "does not say what it cost"),
        (Status(200, body=body(usage={"cost": -1})), APIError, "does not say what it cost"),
        (Status(200, body=body(usage={"cost": 10**400})), APIError, "does not say what it cost"),
        (Disconnect(), APIError, "request failed"),
        (Disconnect(after_bytes=90), APIError, "request failed"),
        (Reset(at=Moment.REQUEST), APIError, "request failed"),
        (Malformed("status"), APIError, "request failed"),
        (WrongLength(5), APIError, "request failed"),
        (Stall(), AnswerTimeout, "no answer in time"),
    ],
    ids=str,
)
def test_what_goes_wrong_at_openrouter_is_one_of_three_errors_and_never_tried_again(
    server, httpconc, fault, kind, message
):
    server.inject(fault, times=1)
    with model(server, timeout=0.2) as openrouter:
        with pytest.raises(kind, match=message) as raised:
            openrouter.query(HELLO)
        assert raised.type is kind
        assert server.ledger.count() == 1
        assert openrouter.query(HELLO).content == "hi there"
        assert (openrouter.calls, openrouter.cost) == (1, 0.25)
    httpconc.assert_no_leaks(server)


def test_rate_limit_says_how_long_to_wait(server):
    server.inject(Status(429, {"Retry-After": "7"}), times=1)
    server.inject(Status(429, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}), after=1)
    with model(server) as openrouter:
        for expected in (7.0, None):
            with pytest.raises(RateLimitError) as raised:
                openrouter.query(HELLO)
            assert raised.value.retry_after == expected


# -- any OpenAI-style server ----------------------------------------------------------------------------------


def test_whole_answers_share_the_pool(server, httpconc):
    server.hold(until_in_flight=5, give_up=20)

    async def many(chat):
        return await asyncio.gather(*(chat.complete("m", HELLO) for _ in range(20)))

    assert {completion.content for completion in run(server, many, limit=5)} == {"hi there"}
    httpconc.assert_connections(server, at_most=5)
    httpconc.assert_concurrency(server, at_least=5)


def test_stream_yields_its_parts_and_its_connection_is_used_again(server, httpconc):
    async def twice(chat):
        return [await read(chat), await read(chat), (await chat.complete("m", HELLO)).content]

    assert run(server, twice) == [PARTS, PARTS, "hi there"]
    httpconc.assert_connections(server, at_most=1)


def test_consumer_that_stops_early_closes_the_connection_and_the_server_stops(server):
    server.inject(Stall(after_events=3), times=1)

    async def stop_early(chat):
        async with chat.stream("m", HELLO) as deltas:
            async for delta in deltas:
                assert delta == "hi"
                break
        await asyncio.to_thread(server.ledger.wait_until, lambda ledger: not ledger.open_connections)
        return await read(chat)

    assert run(server, stop_early) == PARTS
    assert [e.outcome for e in server.ledger.exchanges] == ["aborted by client", "answered"]


def test_error_in_the_consumer_closes_the_connection(server):
    async def fail(chat):
        async with chat.stream("m", HELLO) as deltas:
            async for _ in deltas:
                raise LookupError

    with pytest.raises(LookupError):
        run(server, fail)
    server.ledger.wait_until(lambda ledger: not ledger.open_connections)


def test_consumer_that_is_cancelled_closes_the_connection(server):
    server.inject(Stall(after_events=2))

    async def cancelled(chat):
        task = asyncio.ensure_future(read(chat))
        await asyncio.to_thread(
            server.ledger.wait_until, lambda ledger: ledger.exchanges and ledger.exchanges[0].first_byte_at
        )
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(server.ledger.wait_until, lambda ledger: not ledger.open_connections)

    run(server, cancelled)


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (MissingEvent(), TruncatedStream, "before its end was announced"),
        (Disconnect(after_events=3), APIError, "request failed"),
        (Reset(after_events=3), APIError, "request failed"),
        (MalformedEvent(2), APIError, "no JSON object"),
        (Stall(after_events=3), AnswerTimeout, "did not come in time"),
        (Disconnect(), APIError, "request failed"),
        (Stall(), AnswerTimeout, "did not come in time"),
        (Malformed("chunk"), APIError, "request failed"),
        (Status(401), AuthenticationError, "HTTP 401"),
        (Status(429), RateLimitError, "HTTP 429"),
        (Status(503), APIError, "HTTP 503"),
        (Status(200), APIError, "a stream was asked for, and the answer is application/json"),
        (
            Status(429, {"Content-Type": "text/event-stream"}, body=b'data: {"error": {"message": "slow down"}}\n\n'),
            RateLimitError,
            "slow down",
        ),
    ],
    ids=str,
)
def test_what_goes_wrong_in_a_stream_is_an_error_and_never_tried_again(server, httpconc, fault, kind, message):
    server.inject(fault, times=1)

    async def twice(chat):
        with pytest.raises(kind, match=message) as raised:
            await read(chat)
        assert raised.type is kind
        assert server.ledger.count() == 1
        return await read(chat)

    assert run(server, twice, timeout=0.3) == PARTS
    httpconc.assert_no_leaks(server)


def test_error_status_sent_as_a_stream_that_never_ends_is_an_error_at_once(server):
    async def endless():
        yield sse({"error": {"message": "overloaded"}})
        while True:
            await asyncio.sleep(0.01)
            yield b": heartbeat\n\n"

    @server.route("POST /busy/chat/completions")
    async def busy(request):
        return Stream(endless(), status=529, content_type="text/event-stream")

    async def main():
        async with ChatClient(f"{server.url}/busy") as chat:
            with pytest.raises(APIError, match="HTTP 529: overloaded"):
                await read(chat)

    asyncio.run(main())
    server.ledger.wait_until(lambda ledger: not ledger.open_connections)


def test_error_in_the_middle_of_a_stream_is_an_error(server):
    async def fails():
        yield sse({"choices": [{"delta": {"content": "hi"}}]})
        yield sse({"error": {"message": "the engine died"}})

    @server.route("POST /bad/chat/completions")
    async def bad(request):
        return Stream(fails(), content_type="text/event-stream")

    async def main():
        async with ChatClient(f"{server.url}/bad") as chat:
            with pytest.raises(APIError, match="the engine died"):
                await read(chat)

    asyncio.run(main())


@pytest.mark.parametrize("fault", [Stall(after_events=-1), Heartbeats(interval=0.01)], ids=str)
def test_body_that_never_ends_after_the_last_event_costs_the_connection_and_no_more(server, fault):
    server.inject(fault, times=1)

    async def twice(chat):
        return [await read(chat), await read(chat)]

    assert run(server, twice, end_grace=0.02) == [PARTS, PARTS]
    assert [c.exchanges for c in server.ledger.connections] == [1, 1]
    assert server.ledger.exchanges[0].outcome == "aborted by client"


def test_body_that_ends_within_the_grace_leaves_the_connection_usable(server, httpconc):
    server.inject(Stall(after_events=-1, seconds=0.02), times=1)

    async def twice(chat):
        return [await read(chat), await read(chat)]

    assert run(server, twice, end_grace=20) == [PARTS, PARTS]
    httpconc.assert_connections(server, at_most=1)


def test_heartbeats_are_no_events_so_they_keep_no_call_alive(server):
    async def only_heartbeats():
        while True:
            await asyncio.sleep(0.005)
            yield b": heartbeat\n\n"

    @server.route("POST /idle/chat/completions")
    async def idle(request):
        return Stream(only_heartbeats(), content_type="text/event-stream")

    async def main():
        async with ChatClient(f"{server.url}/idle", timeout=0.1) as chat:
            with pytest.raises(AnswerTimeout):
                await read(chat)

    asyncio.run(main())


def test_event_that_comes_twice_is_passed_on_as_the_protocol_has_no_numbers(server):
    server.inject(DuplicateEvent(2))
    assert run(server, read) == ["hi", "hi", " ", "there"]


def test_stale_connection_is_no_reason_to_ask_twice(server):
    server.inject(HalfClose(), times=1)

    async def thrice(chat):
        return await asyncio.gather(read(chat), return_exceptions=True) + [
            *await asyncio.gather(read(chat), return_exceptions=True),
            await read(chat),
        ]

    assert run(server, thrice)[-1] == PARTS
    assert server.ledger.executions() == server.ledger.count() <= 3


@pytest.mark.asyncio
@pytest.mark.looptime
async def test_timeouts_are_what_they_say():
    loop = asyncio.get_running_loop()
    async with FakeServer() as server, client(server, timeout=45) as chat:
        server.route(CHAT)(answer)
        server.inject(Stall(), times=1)
        server.inject(Stall(after_events=2), times=1)
        begun_at = loop.time()
        with pytest.raises(AnswerTimeout):
            await chat.complete("m", HELLO)
        assert loop.time() - begun_at == 45
        with pytest.raises(AnswerTimeout):
            await read(chat)
        assert loop.time() - begun_at == 90
        await server.ledger.until(lambda ledger: not ledger.open_connections)


def test_client_that_is_not_open_says_so(server):
    chat = client(server)
    with pytest.raises(RuntimeError, match="use it in an 'async with' block"):
        asyncio.run(chat.complete("m", HELLO))


@pytest.mark.parametrize("settings", [{"timeout": 0}, {"timeout": None}, {"end_grace": -1}, {"limit": 0}])
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValueError, match="must be"):
        ChatClient("http://127.0.0.1:1", **settings)
    if "timeout" in settings:
        with pytest.raises(ValueError, match="must be"):
            OpenRouterModel("m", api_key="k", **settings)
