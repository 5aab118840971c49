"""The events of each protocol's streams, in the order that its reference gives."""

import json
import re

import pytest

from fake_servers.llm.answers import compose
from fake_servers.llm.anthropic import AnthropicMessages
from fake_servers.llm.openai_chat import OpenAIChat
from fake_servers.llm.openai_completions import OpenAICompletions
from fake_servers.llm.openai_responses import OpenAIResponses
from fake_servers.llm.openrouter import OpenRouterChat
from fake_servers.llm.orders import Reply
from fake_servers.llm.scripts import Script

MESSAGES = [{"role": "user", "content": "Hi you"}]


def reply_to(dialect, script=None, **body):
    order = dialect.read({"model": "m", **body})
    return Reply(order, compose(order, script, tokens=None, seed=0), "key")


def events(dialect, script=None, **body):
    """A stream's events, decoded, with None for each step."""
    return [decoded(part) for part in dialect.events(reply_to(dialect, script, **body))]


def decoded(part):
    if part is None:
        return None
    assert re.fullmatch(rb"(event: [a-z_.]+\n)?data: [^\n]+\n\n", part)
    head, _, data = part.decode().rpartition("data: ")
    if data == "[DONE]\n\n":
        return "[DONE]"
    value = json.loads(data)
    if head:
        assert head == f"event: {value['type']}\n"
    return value


def deltas(found):
    return [
        (c["index"], c["delta"], c["finish_reason"]) for e in found if isinstance(e, dict) for c in e.get("choices", [])
    ]


def test_chat_begins_with_the_role_and_ends_with_done():
    found = events(OpenAIChat(), messages=MESSAGES)
    role = {"role": "assistant", "content": "", "refusal": None}
    assert deltas(found) == [
        (0, role, None),
        (0, {"content": "Hi"}, None),
        (0, {"content": " you"}, None),
        (0, {}, "stop"),
    ]
    assert [e if not isinstance(e, dict) else e["object"] for e in found] == [
        *(None, "chat.completion.chunk", "chat.completion.chunk", None),
        *("chat.completion.chunk", "chat.completion.chunk", "[DONE]"),
    ]
    assert len({e["id"] for e in found if isinstance(e, dict)}) == 1
    assert not any("usage" in e for e in found if isinstance(e, dict))


def test_chat_tells_its_usage_last_with_no_choices():
    found = events(OpenAIChat(), messages=MESSAGES, stream_options={"include_usage": True})
    chunks = [e for e in found if isinstance(e, dict)]
    assert [e["usage"] for e in chunks[:-1]] == [None] * 4
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["total_tokens"]) == ([], 4)
    assert found[-1] == "[DONE]"


def test_choices_of_a_chat_grow_together():
    found = events(OpenAIChat(), messages=MESSAGES, n=2)
    assert found.count(None) == 2
    assert [index for index, *_ in deltas(found)] == [0, 0, 1, 1, 0, 0, 1, 1]


def test_chat_sends_a_calls_head_first_and_then_its_arguments():
    script = Script(tool_calls=(("f", '{"a": 1}'), ("g", "{}")))
    found = deltas(events(OpenAIChat(), script, messages=MESSAGES))
    calls = [call for _, delta, _ in found for call in delta.get("tool_calls", [])]
    assert [(c["index"], c.get("id") is not None, c["function"]) for c in calls] == [
        (0, True, {"name": "f", "arguments": ""}),
        (0, False, {"arguments": '{"a":'}),
        (0, False, {"arguments": " 1}"}),
        (1, True, {"name": "g", "arguments": ""}),
        (1, False, {"arguments": "{}"}),
    ]
    assert found[0][1]["content"] is None
    assert found[-1][2] == "tool_calls"


@pytest.mark.parametrize("dialect", [OpenAIChat(), OpenRouterChat()])
def test_answer_without_a_token_takes_one_step(dialect):
    found = events(dialect, messages=[{"role": "user", "content": ""}])
    assert found[0] is None
    assert [finish for *_, finish in deltas(found)] == [None, "stop"]
    assert found.count(None) == 1


def test_openrouter_tells_the_cost_when_asked():
    found = events(OpenRouterChat(), messages=MESSAGES, usage={"include": True})
    assert found[-2]["usage"]["cost"] == pytest.approx(2e-6 + 4e-6)
    plain = OpenRouterChat().whole(reply_to(OpenRouterChat(), messages=MESSAGES))
    assert "cost" not in plain["usage"]


def test_completions_send_text_for_each_prompt():
    found = events(OpenAICompletions(), prompt=["a b", [1, 2, 3]], stream_options={"include_usage": True})
    chunks = [(c["index"], c["text"], c["finish_reason"]) for e in found if isinstance(e, dict) for c in e["choices"]]
    assert chunks == [
        *((0, "a", None), (1, "1", None), (0, " b", None), (0, "", "stop")),
        *((1, " 2", None), (1, " 3", None), (1, "", "stop")),
    ]
    assert (found[-2]["choices"], found[-2]["usage"]["prompt_tokens"], found[-1]) == ([], 5, "[DONE]")


def test_responses_come_in_the_documented_order():
    found = events(OpenAIResponses(), input="Hi you")
    assert [None if e is None else e["type"] for e in found] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        None,
        "response.output_text.delta",
        None,
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    numbered = [e for e in found if e is not None]
    assert [e["sequence_number"] for e in numbered] == list(range(10))
    assert numbered[-1]["response"] == OpenAIResponses().whole(reply_to(OpenAIResponses(), input="Hi you"))
    assert numbered[0]["response"]["usage"] is None


def test_responses_call_functions():
    found = [e for e in events(OpenAIResponses(), Script(tool_calls=(("f", '{"a": 1}'),)), input="x") if e]
    assert [e["type"].removeprefix("response.") for e in found[2:-1]] == [
        *("output_item.added", "function_call_arguments.delta", "function_call_arguments.delta"),
        *("function_call_arguments.done", "output_item.done"),
    ]
    [item] = found[-1]["response"]["output"]
    assert (item["type"], item["name"], item["arguments"]) == ("function_call", "f", '{"a": 1}')
    assert found[2]["item"]["arguments"] == ""


def test_response_that_breaks_off_is_incomplete():
    found = events(OpenAIResponses(), input="one two", max_output_tokens=1)
    assert found[-1]["type"] == "response.incomplete"
    assert found[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_responses_read_instructions_and_the_results_of_functions():
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "12 C"},
    ]
    reply = reply_to(OpenAIResponses(), input=items, instructions="Be brief.")
    assert (reply.answers[0].text, reply.order.input_tokens) == ("12 C", 5)


def test_messages_come_in_the_documented_order():
    found = events(AnthropicMessages(), messages=MESSAGES, max_tokens=9)
    assert [None if e is None else e["type"] for e in found] == [
        "message_start",
        "content_block_start",
        "ping",
        None,
        "content_block_delta",
        None,
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert found[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert (found[0]["message"]["usage"]["input_tokens"], found[-2]["usage"]) == (2, {"output_tokens": 2})


def test_messages_use_tools_in_blocks_of_their_own():
    script = Script(text="ok", tool_calls=(("f", '{"a": 1}'),))
    found = [e for e in events(AnthropicMessages(), script, messages=MESSAGES, max_tokens=9) if e]
    starts = [e["content_block"] for e in found if e["type"] == "content_block_start"]
    assert [(b["type"], b.get("name"), b.get("input")) for b in starts] == [
        ("text", None, None),
        ("tool_use", "f", {}),
    ]
    parts = [e["delta"]["partial_json"] for e in found if e.get("delta", {}).get("type") == "input_json_delta"]
    assert parts == ["", '{"a":', " 1}"]
    assert [e["type"] for e in found].count("ping") == 1
    assert found[-2]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("script", "fields", "reason"),
    [
        (None, {"max_tokens": 1}, "max_tokens"),
        (None, {"stop_sequences": ["you"]}, "stop_sequence"),
        (Script(finish_reason="content_filter"), {}, "refusal"),
    ],
)
def test_messages_say_why_they_end(script, fields, reason):
    reply = reply_to(AnthropicMessages(), script, **{"messages": MESSAGES, "max_tokens": 9, **fields})
    assert AnthropicMessages().whole(reply)["stop_reason"] == reason


def test_message_without_a_token_takes_one_step():
    found = events(AnthropicMessages(), messages=[{"role": "user", "content": ""}], max_tokens=9)
    assert [None if e is None else e["type"] for e in found] == ["message_start", None, "message_delta", "message_stop"]
