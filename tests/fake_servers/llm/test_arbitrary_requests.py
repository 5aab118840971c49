"""No request breaks the server: whatever comes, the answer is a success or an error in the provider's own shape."""

import json

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from fake_servers import FakeLLMServer

BODIES = {
    "/v1/chat/completions": {"model": "m", "messages": [{"role": "user", "content": "x"}]},
    "/v1/completions": {"model": "m", "prompt": "x"},
    "/v1/responses": {"model": "m", "input": "x"},
    "/v1/embeddings": {"model": "m", "input": "x", "dimensions": 3},
    "/v1/messages": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]},
    "/v1/messages/count_tokens": {"model": "m", "messages": [{"role": "user", "content": "x"}]},
    "/api/v1/chat/completions": {"model": "m", "messages": [{"role": "user", "content": "x"}]},
}
NAMES = [
    *("model", "messages", "role", "content", "type", "text", "tools", "tool_choice", "function", "name", "parameters"),
    *("input_schema", "properties", "required", "enum", "stream", "stream_options", "include_usage", "n", "stop"),
    *(
        "max_tokens",
        "max_output_tokens",
        "stop_sequences",
        "system",
        "input",
        "prompt",
        "dimensions",
        "usage",
        "include",
    ),
    *("encoding_format", "temperature", "top_p", "instructions", "output", "tool_call_id"),
]
WORDS = [
    *(
        "user",
        "assistant",
        "system",
        "tool",
        "text",
        "input_text",
        "image",
        "function",
        "custom",
        "auto",
        "any",
        "none",
    ),
    *("required", "tool_result", "tool_use", "message", "function_call_output", "object", "base64", "float", "f"),
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 200)
    | st.just(10**400)
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(st.characters(), max_size=9)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def shared():
    with FakeLLMServer(max_num_seqs=1) as server, requests.Session() as session:
        yield server, session
        assert server.errors == ()
        assert (server.running, server.queued) == (0, 0)


def check(server, session, path, body):
    answer = session.post(server.url + path, data=body)
    if answer.status_code != 200:
        assert answer.status_code == 400
        assert is_error(path, answer.json())
    elif "event-stream" in answer.headers["Content-Type"]:
        assert answer.content.endswith(b"\n\n")
    else:
        assert "error" not in answer.json() or answer.json()["error"] is None
    assert server.errors == ()
    assert session.post(server.url + path, json=BODIES[path]).status_code == 200


def is_error(path, value):
    if path.startswith("/v1/messages"):
        return (set(value), value["type"], value["error"]["type"]) == (
            {"type", "error", "request_id"},
            "error",
            "invalid_request_error",
        )
    if path.startswith("/api"):
        return set(value["error"]) == {"code", "message"}
    return set(value["error"]) == {"message", "type", "param", "code"}


@pytest.mark.httpconc(max_idle=1)
@given(body=JSON, path=st.sampled_from(sorted(BODIES)))
def test_no_json_breaks_the_server(shared, body, path):
    check(*shared, path, json.dumps(body))


@pytest.mark.httpconc(max_idle=1)
@given(changes=st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4), path=st.sampled_from(sorted(BODIES)))
def test_no_field_breaks_the_server(shared, changes, path):
    check(*shared, path, json.dumps(BODIES[path] | changes))


PART = st.fixed_dictionaries({}, optional=dict.fromkeys(("type", "text", "content", "tool_use_id", "output"), JSON))
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool"])}, optional={"content": JSON | st.lists(PART, max_size=3)}
)
TOOL = st.fixed_dictionaries(
    {"type": st.sampled_from(["function", "custom"])},
    optional={"name": st.just("f"), "function": JSON, "parameters": JSON, "input_schema": JSON},
)


@pytest.mark.httpconc(max_idle=1)
@given(
    messages=st.lists(MESSAGE, min_size=1, max_size=3),
    tools=st.lists(TOOL, max_size=2),
    choice=st.sampled_from(["auto", "required", {"type": "any"}, {"type": "tool", "name": "f"}]),
    path=st.sampled_from(sorted(BODIES)),
    stream=st.booleans(),
)
def test_no_conversation_breaks_the_server(shared, messages, tools, choice, path, stream):
    fields = {"messages": messages, "input": messages, "tools": tools, "tool_choice": choice, "stream": stream}
    if path in {"/v1/embeddings", "/v1/completions"}:
        del fields["input"]
    check(*shared, path, json.dumps(BODIES[path] | fields))


@pytest.mark.httpconc(max_idle=1)
@given(body=st.binary(max_size=200), path=st.sampled_from(sorted(BODIES)))
def test_no_bytes_break_the_server(shared, body, path):
    check(*shared, path, body)
