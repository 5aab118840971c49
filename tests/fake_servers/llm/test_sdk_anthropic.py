"""The released Anthropic SDK, unmodified, against the server."""

from __future__ import annotations

import asyncio

import anthropic
import pytest

from fake_servers import Moment
from fake_servers.faults import Disconnect, Status
from pytest_httpconc.checks import find_resends

MESSAGES = [{"role": "user", "content": "Hello there, world"}]
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"name": "get_weather", "input_schema": WEATHER}
MODEL = "claude-test"  # the SDK warns of names that it knows to be deprecated
ON = "POST /v1/messages"


@pytest.fixture
def new_client(server):
    clients = []

    def make(**options):
        clients.append(anthropic.Anthropic(base_url=server.url, api_key="sk-ant-test", **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(new_client):
    return new_client(max_retries=0)


def ask(client, **fields):
    return client.messages.create(**{"model": MODEL, "max_tokens": 99, "messages": MESSAGES, **fields})


def stream(client, **fields):
    return client.messages.stream(**{"model": MODEL, "max_tokens": 99, "messages": MESSAGES, **fields})


def test_message(client):
    answer = ask(client, system="Be brief.")
    assert (answer.content[0].text, answer.stop_reason) == ("Hello there, world", "end_turn")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (5, 3)
    assert answer._request_id.startswith("req_")


def test_message_as_a_stream(client):
    with stream(client) as events:
        assert "".join(events.text_stream) == "Hello there, world"
        final = events.get_final_message()
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 3)
    with ask(client, stream=True) as raw:
        assert [event.type for event in raw][-1] == "message_stop"


def test_message_ends_where_it_is_told_to(client):
    assert ask(client, max_tokens=1).stop_reason == "max_tokens"
    answer = ask(client, stop_sequences=[","])
    assert (answer.content[0].text, answer.stop_reason, answer.stop_sequence) == ("Hello there", "stop_sequence", ",")


def test_message_with_tools(client, server):
    server.script("Hello there, world", text="Let me see.", tool_calls=[("get_weather", {"city": "Paris"})])
    answer = ask(client, tools=[TOOL])
    with stream(client, tools=[TOOL]) as events:
        streamed = events.get_final_message()
    for message in (answer, streamed):
        text, call = message.content
        assert (text.text, call.name, call.input) == ("Let me see.", "get_weather", {"city": "Paris"})
        assert message.stop_reason == "tool_use"
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "12 C"}]}
    told = [*MESSAGES, {"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
    assert ask(client, messages=told, tools=[TOOL]).content[0].text == "12 C"


def test_tool_that_has_to_be_called_is_called(client):
    for choice in ({"type": "any"}, {"type": "tool", "name": "get_weather"}):
        [call] = ask(client, tools=[TOOL], tool_choice=choice).content
        assert (call.type, call.input) == ("tool_use", {"city": ""})


def test_tokens_are_counted_and_models_listed(client):
    assert client.messages.count_tokens(model="m", messages=MESSAGES, system="Be brief.").input_tokens == 5
    assert "claude-sonnet-4-5" in [model.id for model in client.models.list()]
    assert client.models.retrieve("claude-sonnet-4-5").type == "model"


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (409, anthropic.ConflictError, "invalid_request_error"),
        (413, anthropic.APIStatusError, "request_too_large"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (529, anthropic.APIStatusError, "overloaded_error"),
    ],
)
def test_status_is_the_sdks_own_error(client, server, status, error, kind):
    server.inject(Status(status))
    with pytest.raises(error) as caught:
        ask(client)
    assert (caught.value.status_code, caught.value.body["error"]["type"]) == (status, kind)
    assert caught.value.request_id == caught.value.body["request_id"]


def test_error_in_the_middle_of_a_stream_is_raised(client, server):
    server.script(status=529, error="Overloaded", after_events=4)
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"), stream(client) as events:
        list(events)


def test_stream_that_breaks_off_is_raised(client, server):
    server.inject(Disconnect(after_events=4))
    with pytest.raises(Exception, match=r"(?i)incomplete|connection|closed"), stream(client) as events:
        list(events)
    assert server.ledger.count() == 1


def test_post_that_may_have_been_executed_is_sent_three_times_by_default(new_client, server):
    server.inject(Disconnect(at=Moment.EXECUTED))
    with pytest.raises(anthropic.APIConnectionError):
        ask(new_client())
    [finding] = find_resends(server.ledger, on=ON)
    assert (finding.code, server.ledger.executions(ON)) == ("HC201", 3)


def test_refused_post_is_sent_three_times_by_default(new_client, server):
    server.inject(Status(529, headers={"retry-after-ms": "1"}))
    with pytest.raises(anthropic.APIStatusError):
        ask(new_client())
    [finding] = find_resends(server.ledger, on=ON)
    assert (finding.code, server.ledger.count(ON), server.ledger.executions(ON)) == ("HC202", 3, 0)


@pytest.mark.parametrize("fault", [Disconnect(at=Moment.EXECUTED), Status(500)], ids=str)
def test_post_is_sent_once_without_retries(client, server, fault):
    server.inject(fault)
    with pytest.raises(anthropic.APIError):
        ask(client)
    assert (server.ledger.count(ON), find_resends(server.ledger)) == (1, [])


@pytest.mark.asyncio
async def test_calls_side_by_side_get_their_own_answers(server):
    async with anthropic.AsyncAnthropic(base_url=server.url, api_key="sk-ant-test", max_retries=0) as client:

        async def call(number):
            messages = [{"role": "user", "content": f"question {number}"}]
            return (await ask(client, messages=messages)).content[0].text

        async def streamed(number):
            messages = [{"role": "user", "content": f"question {number}"}]
            async with stream(client, messages=messages) as events:
                return await events.get_final_text()

        server.hold(until_in_flight=10)
        found = await asyncio.gather(*(call(n) for n in range(5)), *(streamed(n) for n in range(5, 10)))
    assert found == [f"question {number}" for number in range(10)]
    assert server.ledger.peak_in_flight == 10
