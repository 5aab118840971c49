"""The released OpenAI SDK, unmodified, against the server."""

from __future__ import annotations

import asyncio
import json
import math

import httpx
import openai
import pytest

from fake_servers import FakeLLMServer, Moment
from fake_servers.faults import Disconnect, DuplicateEvent, Stall, Status
from pytest_httpconc.checks import find_resends

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello there, world"}]
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CHAT_TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}
TOOL = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": False}
CHAT = "POST /v1/chat/completions"


@pytest.fixture
def new_client(server):
    clients = []

    def make(**options):
        clients.append(openai.OpenAI(base_url=server.url + "/v1", api_key="sk-test", **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(new_client):
    return new_client(max_retries=0)


def ask(client, **fields):
    return client.chat.completions.create(model="gpt-4o", messages=MESSAGES, **fields)


def test_chat(client):
    answer = ask(client)
    assert answer.choices[0].message.content == "Hello there, world"
    assert (answer.choices[0].finish_reason, answer.usage.total_tokens) == ("stop", 8)
    assert answer._request_id.startswith("req_")


def test_chat_as_a_stream(client):
    with ask(client, stream=True, n=2, stream_options={"include_usage": True}) as stream:
        chunks = list(stream)
    texts = ["", ""]
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == ["Hello there, world"] * 2
    assert (chunks[-1].choices, chunks[-1].usage.completion_tokens) == ([], 6)


def test_chat_with_tools(client, server):
    calls = [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})]
    server.script(tool_calls=calls)
    [choice] = ask(client, tools=[CHAT_TOOL]).choices
    assert choice.finish_reason == "tool_calls"
    assert [json.loads(c.function.arguments) for c in choice.message.tool_calls] == [
        {"city": "Paris"},
        {"city": "Rome"},
    ]


def test_chat_with_tools_as_a_stream(client, server):
    server.script(
        text="Let me see.", tool_calls=[("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})]
    )
    with client.chat.completions.stream(model="gpt-4o", messages=MESSAGES, tools=[CHAT_TOOL]) as stream:
        message = stream.get_final_completion().choices[0].message
    assert message.content == "Let me see."
    assert [c.function.arguments for c in message.tool_calls] == ['{"city": "Paris"}', '{"city": "Rome"}']


def test_completions(client):
    answer = client.completions.create(model="m", prompt=["one two", "three"])
    assert [choice.text for choice in answer.choices] == ["one two", "three"]
    with client.completions.create(model="m", prompt="one two", stream=True) as stream:
        assert "".join(chunk.choices[0].text for chunk in stream) == "one two"


def test_responses(client):
    answer = client.responses.create(model="gpt-4o", input="Hello there", instructions="Be brief.")
    assert (answer.output_text, answer.status, answer.usage.input_tokens) == ("Hello there", "completed", 4)


def test_responses_as_a_stream(client):
    with client.responses.stream(model="gpt-4o", input="Hello there") as stream:
        assert "".join(e.delta for e in stream if e.type == "response.output_text.delta") == "Hello there"
        assert stream.get_final_response().output_text == "Hello there"


def test_responses_with_tools(client, server):
    server.script(tool_calls=[("get_weather", {"city": "Paris"})])
    [call] = client.responses.create(model="gpt-4o", input="Weather?", tools=[TOOL]).output
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "get_weather", {"city": "Paris"})
    with client.responses.stream(model="gpt-4o", input="Weather?", tools=[TOOL]) as stream:
        parts = "".join(e.delta for e in stream if e.type == "response.function_call_arguments.delta")
        [streamed] = stream.get_final_response().output
    assert (parts, streamed.arguments) == (call.arguments, call.arguments)


def test_embeddings(client):
    fields = {"model": "text-embedding-3-small", "input": ["one", "two", "one"], "dimensions": 8}
    first, second, third = (entry.embedding for entry in client.embeddings.create(**fields).data)
    assert math.hypot(*first) == pytest.approx(1)
    assert (len(first), first == third, first == second) == (8, True, False)
    plain = client.embeddings.create(**fields, encoding_format="float")
    assert plain.data[0].embedding == pytest.approx(first)
    assert len(client.embeddings.create(model="m", input="x").data[0].embedding) == 1536


def test_models(client):
    names = [model.id for model in client.models.list()]
    assert "gpt-4o" in names
    assert client.models.retrieve("openai/gpt-4o-mini").id == "openai/gpt-4o-mini"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (413, openai.APIStatusError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_status_is_the_sdks_own_error(client, server, status, error):
    server.inject(Status(status))
    with pytest.raises(error) as caught:
        ask(client)
    assert (caught.value.status_code, caught.value.body["message"]) == (status, f"injected status {status}")
    assert caught.value.request_id.startswith("req_")


def test_field_that_is_wrong_is_named_in_the_sdks_error(client):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, n=0)
    assert (caught.value.param, caught.value.type) == ("n", "invalid_request_error")


def test_wrong_key_and_unknown_model_are_the_sdks_own_errors():
    with FakeLLMServer(api_keys=["sk-right"], models=["gpt-4o"]) as server:
        with (
            openai.OpenAI(base_url=server.url + "/v1", api_key="sk-wrong", max_retries=0) as client,
            pytest.raises(openai.AuthenticationError) as caught,
        ):
            ask(client)
        assert caught.value.code == "invalid_api_key"
        with (
            openai.OpenAI(base_url=server.url + "/v1", api_key="sk-right", max_retries=0) as client,
            pytest.raises(openai.NotFoundError) as caught,
        ):
            client.chat.completions.create(model="gpt-9", messages=MESSAGES)
        assert caught.value.code == "model_not_found"


def test_error_in_the_middle_of_a_stream_is_raised(client, server):
    server.script(status=500, error="The model crashed", after_events=3)
    with pytest.raises(openai.APIError, match="The model crashed"), ask(client, stream=True) as stream:
        list(stream)


def test_stream_that_breaks_off_is_raised(client, server):
    server.inject(Disconnect(after_events=3))
    with pytest.raises((openai.APIError, httpx.HTTPError)), ask(client, stream=True) as stream:
        list(stream)
    assert server.ledger.count() == 1


def test_event_that_comes_twice_is_taken_twice(client, server):
    server.inject(DuplicateEvent(2))
    with ask(client, stream=True) as stream:
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "HelloHello there, world"


def test_read_timeout_leaves_no_slot_taken(new_client, server):
    server.inject(Stall(at=Moment.EXECUTED))
    with pytest.raises(openai.APITimeoutError):
        ask(new_client(max_retries=0, timeout=0.1))
    server.ledger.wait_until(lambda ledger: not ledger.in_flight)
    assert server.ledger.exchanges[0].outcome == "aborted by client"


def test_post_that_may_have_been_executed_is_sent_three_times_by_default(new_client, server):
    server.inject(Disconnect(at=Moment.EXECUTED))
    with pytest.raises(openai.APIConnectionError):
        ask(new_client())
    [finding] = find_resends(server.ledger, on=CHAT)
    assert (finding.code, server.ledger.executions(CHAT)) == ("HC201", 3)


def test_refused_post_is_sent_three_times_by_default_and_after_the_pause_it_was_told(new_client, server):
    server.inject(Status(500, headers={"retry-after-ms": "1"}))
    with pytest.raises(openai.InternalServerError):
        ask(new_client())
    [finding] = find_resends(server.ledger, on=CHAT)
    assert (finding.code, server.ledger.count(CHAT), server.ledger.executions(CHAT)) == ("HC202", 3, 0)
    counts = [e.headers["x-stainless-retry-count"] for e in server.ledger.exchanges]
    assert counts == ["0", "1", "2"]


@pytest.mark.parametrize("fault", [Disconnect(at=Moment.EXECUTED), Status(500)], ids=str)
def test_post_is_sent_once_without_retries(client, server, fault):
    server.inject(fault)
    with pytest.raises(openai.APIError):
        ask(client)
    assert (server.ledger.count(CHAT), find_resends(server.ledger)) == (1, [])


@pytest.mark.asyncio
async def test_calls_side_by_side_get_their_own_answers(server):
    async with openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="sk-test", max_retries=0) as client:

        async def call(number):
            message = {"role": "user", "content": f"question {number}"}
            answer = await client.chat.completions.create(model="m", messages=[message])
            return answer.choices[0].message.content

        async def stream(number):
            message = {"role": "user", "content": f"question {number}"}
            parts = await client.chat.completions.create(model="m", messages=[message], stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in parts])

        server.hold(until_in_flight=20)
        found = await asyncio.gather(*(call(n) for n in range(10)), *(stream(n) for n in range(10, 20)))
    assert found == [f"question {number}" for number in range(20)]
    assert server.ledger.peak_in_flight == 20


@pytest.mark.asyncio
async def test_everything_else_async(server):
    async with openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="sk-test", max_retries=0) as client:
        assert (await client.responses.create(model="m", input="one two")).output_text == "one two"
        async with client.responses.stream(model="m", input="one two") as stream:
            assert (await stream.get_final_response()).output_text == "one two"
        assert len((await client.embeddings.create(model="m", input="x", dimensions=4)).data[0].embedding) == 4
        assert "gpt-4o" in [model.id async for model in client.models.list()]
        server.inject(Status(429))
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(model="m", messages=MESSAGES)


def test_openrouter_is_spoken_to_with_the_same_sdk(server):
    with openai.OpenAI(base_url=server.url + "/api/v1", api_key="sk-or", max_retries=0) as client:
        answer = ask(client, extra_body={"usage": {"include": True}})
        assert answer.usage.cost == pytest.approx(5 * 1e-6 + 3 * 2e-6)
        assert ask(client).usage.model_extra.get("cost") is None
        server.script(status=502, error="Provider failed", after_events=3)
        with pytest.raises(openai.APIError, match="Provider failed"), ask(client, stream=True) as stream:
            list(stream)
