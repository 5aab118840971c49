"""The released litellm, unmodified, against the server; it is told to fetch nothing from anywhere."""

from __future__ import annotations

import asyncio
import os
import warnings

import pytest

from fake_servers import FakeLLMServer
from fake_servers.faults import Status

MESSAGES = [{"role": "user", "content": "Hello there, world"}]
MODELS = {"openai/gpt-4o": "/v1", "anthropic/claude-test": "", "openrouter/openai/gpt-4o": "/api/v1"}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}

pytestmark = [
    # litellm keeps its HTTP clients in a cache of the process; the fixture below closes them.
    pytest.mark.httpconc(leaks="allow"),
    # It builds some of its models at their first use, and pydantic has something to say about them.
    pytest.mark.filterwarnings("ignore:Item '.*' on TypedDict class:UserWarning"),
]


@pytest.fixture(scope="module")
def litellm():
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # importing it is noisy, each release in its own way
        import litellm
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    yield litellm
    del os.environ["LITELLM_LOCAL_MODEL_COST_MAP"]


@pytest.fixture
def closing(litellm):
    yield litellm
    cached = litellm.in_memory_llm_clients_cache.cache_dict
    for client in list(cached.values()):
        closed = client.close()
        if asyncio.iscoroutine(closed):
            closed.close()
    litellm.in_memory_llm_clients_cache.flush_cache()


@pytest.fixture
def ask(closing, server):
    def ask(model, **fields):
        fields = {"messages": MESSAGES, "api_key": "sk-test", "max_retries": 0, **fields}
        return closing.completion(model=model, api_base=server.url + MODELS[model], **fields)

    return ask


@pytest.mark.parametrize("model", MODELS)
def test_answer(ask, model):
    answer = ask(model)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("Hello there, world", "stop")
    assert answer.usage.total_tokens == 6


@pytest.mark.parametrize("model", MODELS)
def test_answer_as_a_stream(ask, model):
    chunks = list(ask(model, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello there, world"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stream", [False, True])
def test_tools(ask, server, litellm, model, stream):
    server.script(tool_calls=[("get_weather", {"city": "Paris"})])
    answer = ask(model, tools=[TOOL], stream=stream)
    if stream:
        answer = litellm.stream_chunk_builder(list(answer))
    [call] = answer.choices[0].message.tool_calls
    assert (call.function.name, call.function.arguments) == ("get_weather", '{"city": "Paris"}')


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("status", "names"), [(429, ["RateLimitError"]), (500, ["InternalServerError", "APIError"])])
def test_status_is_litellms_own_error(ask, server, litellm, model, status, names):
    server.inject(Status(status))
    with pytest.raises(tuple(getattr(litellm, name) for name in names)) as caught:
        ask(model)
    assert caught.value.status_code == status
    assert server.ledger.count() == 1


def test_openrouter_tells_the_cost(ask):
    assert ask("openrouter/openai/gpt-4o").usage.cost == pytest.approx(3 * 1e-6 + 3 * 2e-6)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("key", "name"), [("sk-wrong", "AuthenticationError"), ("sk-right", "NotFoundError")])
def test_wrong_key_and_unknown_model_are_litellms_own_errors(closing, model, key, name):
    with FakeLLMServer(api_keys=["sk-right"], models=["other"]) as server:
        url = server.url + MODELS[model]
        with pytest.raises(getattr(closing, name)):
            closing.completion(model=model, api_base=url, api_key=key, messages=MESSAGES, max_retries=0)


def test_embeddings(closing, server):
    fields = {"model": "openai/text-embedding-3-small", "api_base": server.url + "/v1", "api_key": "sk-test"}
    answer = closing.embedding(input=["one", "two"], dimensions=4, **fields)
    assert [len(entry["embedding"]) for entry in answer.data] == [4, 4]


@pytest.mark.asyncio
async def test_calls_side_by_side_get_their_own_answers(litellm, server):
    async def call(number):
        answer = await litellm.acompletion(
            model="openai/gpt-4o",
            api_base=server.url + "/v1",
            api_key="sk-test",
            messages=[{"role": "user", "content": f"question {number}"}],
        )
        return answer.choices[0].message.content

    server.hold(until_in_flight=10)
    assert await asyncio.gather(*map(call, range(10))) == [f"question {number}" for number in range(10)]
    await litellm.close_litellm_async_clients()
