"""What is answered: an echo, a script's words, seeded text, calls of tools; and where an answer ends."""

import re

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from fake_servers import FakeLLMServer, ScenarioError
from fake_servers.llm.answers import compose, sample_arguments
from fake_servers.llm.orders import Order, Tool
from fake_servers.llm.tokens import count, seeded_text, split

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]


@given(st.text())
def test_tokens_joined_are_the_text(text):
    assert "".join(split(text)) == text
    assert count(text) == len(split(text))


@given(st.integers(1, 200), st.integers())
def test_seeded_text_has_its_length_and_is_the_same_each_time(length, seed):
    text = seeded_text(length, seed)
    assert (count(text), text) == (length, seeded_text(length, seed))


@given(st.text(), st.lists(st.text(min_size=1, max_size=3), max_size=3), st.none() | st.integers(1, 9))
def test_answer_ends_before_its_first_stop_sequence_and_within_its_length(text, stop, most):
    order = Order(model="m", questions=(text,), input_tokens=0, stop=tuple(stop), most_tokens=most)
    [answer] = compose(order, None, tokens=None, seed=0)
    assert text.startswith(answer.text)
    assert not any(mark in answer.text for mark in stop)
    assert most is None or answer.size <= most
    if answer.finish == "stop" and answer.stopped_by is None:
        assert answer.text == text
    if answer.finish == "length":
        assert answer.size == most


def test_last_user_message_is_echoed(chat):
    body = chat().json()
    [choice] = body["choices"]
    assert choice["message"]["content"] == "Hello there, world"
    assert choice["finish_reason"] == "stop"
    assert (body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]) == (3, 3)


def test_echo_passes_over_the_system_the_assistant_and_what_is_no_text(post):
    parts = [{"type": "text", "text": "what is"}, {"type": "image_url", "image_url": {"url": "x"}}]
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [*parts, {"type": "text", "text": " this"}]},
        {"role": "assistant", "content": None, "tool_calls": []},
    ]
    body = post("/v1/chat/completions", {"model": "m", "messages": messages}).json()
    assert body["choices"][0]["message"]["content"] == "what is this"
    assert body["usage"]["prompt_tokens"] == 5


def test_result_of_a_tool_is_echoed_too(post):
    messages = [{"role": "user", "content": "Weather?"}, {"role": "tool", "tool_call_id": "x", "content": "12 C"}]
    assert post("/v1/chat/completions", {"model": "m", "messages": messages}).json()["choices"][0]["message"][
        "content"
    ] == ("12 C")


def test_first_script_that_means_a_request_acts(server, chat):
    def answer(question, **fields):
        return chat(question, **fields).json()["choices"][0]["message"]["content"]

    server.script("ping", text="pong", times=1)
    server.script(re.compile("^count"), model="small", text="one")
    server.script(model=re.compile("^large"), text="big")
    server.script(on="POST /v1/completions", text="never")
    assert [answer("ping"), answer("ping")] == ["pong", "ping"]
    assert [answer("count", model="small"), answer("count"), answer("x", model="large-2")] == ["one", "count", "big"]


def test_script_calls_tools_and_says_why_it_ended(server, chat):
    server.script(text="Let me see.", tool_calls=[("get_weather", {"city": "Paris"}), ("raw", "{broken")])
    [choice] = chat(tools=TOOLS).json()["choices"]
    first, second = choice["message"]["tool_calls"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", "Let me see.")
    assert first["function"] == {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    assert second["function"]["arguments"] == "{broken"
    assert first["id"] != second["id"]


def test_tool_that_has_to_be_called_is_called_with_what_it_requires(chat):
    for choice in ("required", {"type": "function", "function": {"name": "get_weather"}}):
        [answer] = chat(tools=TOOLS, tool_choice=choice).json()["choices"]
        [call] = answer["message"]["tool_calls"]
        assert (call["function"]["arguments"], answer["message"]["content"]) == ('{"city": ""}', None)
    assert "tool_calls" not in chat(tools=TOOLS).json()["choices"][0]["message"]


def test_arguments_are_sampled_by_type():
    kinds = ["string", "integer", "number", "boolean", "array", "null", "strange"]
    properties = {kind: {"type": kind} for kind in kinds}
    properties["pick"] = {"enum": ["red", "blue"]}
    properties["inner"] = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    schema = {"properties": properties, "required": [*properties, "unknown", 7]}
    assert sample_arguments(Tool("t", schema)) == {
        "string": "",
        "integer": 0,
        "number": 0.0,
        "boolean": False,
        "array": [],
        "null": None,
        "strange": "",
        "pick": "red",
        "inner": {"x": 0},
        "unknown": "",
    }


def test_length_is_limited(chat):
    for name in ("max_tokens", "max_completion_tokens"):
        body = chat("one two three", **{name: 2}).json()
        assert body["choices"][0]["message"]["content"] == "one two"
        assert (body["choices"][0]["finish_reason"], body["usage"]["completion_tokens"]) == ("length", 2)


def test_stop_sequence_ends_the_answer(chat):
    [choice] = chat("one two three", stop=["three", " two"]).json()["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("one", "stop")


def test_call_that_breaks_off_has_no_whole_arguments(server, post):
    server.script(tool_calls=[("f", {"city": "Paris and London"})])
    message = {"role": "user", "content": "x"}
    body = post("/v1/messages", {"model": "m", "max_tokens": 2, "messages": [message]}).json()
    assert body["content"][0]["input"] == {}
    assert body["stop_reason"] == "max_tokens"


def test_text_of_a_length_is_generated_alike_in_every_run():
    def answers(seed):
        with FakeLLMServer(tokens=12, seed=seed) as server, requests.Session() as session:
            body = {"model": "m", "n": 2, "messages": [{"role": "user", "content": "x"}]}
            replies = [session.post(server.url + "/v1/chat/completions", json=body) for _ in range(2)]
            return [reply.json() for reply in replies], [reply.headers["x-request-id"] for reply in replies]

    first, second = answers(1)[0]
    texts = [choice["message"]["content"] for choice in first["choices"]]
    assert [count(text) for text in texts] == [12, 12]
    assert texts[0] != texts[1]
    assert first["choices"] == second["choices"]
    assert first["id"] != second["id"]
    assert answers(1) == answers(1)
    assert answers(2)[0][0]["choices"] != first["choices"]


def test_generate_holds_until_reset(server, chat):
    def length():
        return chat("one").json()["usage"]["completion_tokens"]

    server.generate(5)
    server.script("short", tokens=2)
    assert (length(), chat("short").json()["usage"]["completion_tokens"]) == (5, 2)
    server.reset()
    assert length() == 1
    assert chat("short").json()["usage"]["completion_tokens"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"message": 7}, "message=7 matches nothing"),
        ({"model": b"x"}, "model=b'x' matches nothing"),
        ({"on": "/v1"}, "is not a pattern"),
        ({"text": 7}, "text=7 is no text"),
        ({"text": "a", "tokens": 3}, "two ways"),
        ({"tokens": 0}, "tokens=0 is no count"),
        ({"times": True}, "times=True is no count"),
        ({"finish_reason": "end"}, "allowed are 'stop', 'length'"),
        ({"status": 200}, "status=200 is no error"),
        ({"error": "x"}, "give its status"),
        ({"after_events": 1}, "give its status"),
        ({"status": 500, "after_events": -1}, "after_events=-1 is no count"),
        ({"tool_calls": ["f"]}, "tool call 'f' is none"),
        ({"tool_calls": [("f", 7)]}, "is none; write a name and its arguments"),
    ],
)
def test_script_that_makes_no_sense_is_refused(arguments, words):
    with pytest.raises(ScenarioError, match=re.escape(words)):
        FakeLLMServer().script(**arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"ttft": -1}, "is not a duration"),
        ({"itl": "fast"}, "neither seconds nor a distribution"),
        ({"slowdown": -0.1}, "slowdown=-0.1 is out of range"),
        ({"slowdown": float("inf")}, "slowdown=inf is out of range"),
        ({"max_num_seqs": 0}, "max_num_seqs=0 is no count"),
        ({"max_num_seqs": 4, "single_threaded": True}, "makes no sense with single_threaded=True"),
        ({"single_threaded": "yes"}, "neither True nor False"),
        ({"requests_per_minute": 0}, "requests_per_minute=0 is no count"),
        ({"tokens_per_minute": 1.5}, "tokens_per_minute=1.5 is no count"),
        ({"api_keys": "sk-1"}, "are no keys"),
        ({"api_keys": []}, "are no keys"),
        ({"models": "gpt-4o"}, "are no names"),
        ({"models": ()}, "are no names"),
        ({"tokens": -1}, "tokens=-1 is no count"),
    ],
)
def test_server_that_makes_no_sense_is_refused(arguments, words):
    with pytest.raises(ScenarioError, match=re.escape(words)):
        FakeLLMServer(**arguments)
