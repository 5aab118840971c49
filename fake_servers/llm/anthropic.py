"""Messages, plain and streamed (Anthropic API reference, "Messages" and "Streaming messages")."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from fake_servers.llm.dialect import STEP, Dialect, Part
from fake_servers.llm.errors import Provider, body_of_error
from fake_servers.llm.orders import Call, Order, Reply, Text, Tool
from fake_servers.llm.reading import (
    Place,
    fields,
    last_question,
    read_messages,
    read_tool,
    read_tools,
    size_of,
    stops,
    text_of,
    tool_named,
    wrong,
)
from fake_servers.llm.sse import event
from fake_servers.llm.tokens import count
from fake_servers.validation import Field

__all__ = ["AnthropicMessages", "input_tokens"]

_COUNTED: Final = (Field("model", str), Field("messages", list))
_FIELDS: Final = (
    *_COUNTED,
    Field("max_tokens", int),
    Field("stream", bool, False),
    Field("temperature", (int, float), 1),
    Field("top_p", (int, float), 1),
    Field("tools", list, []),
    Field("tool_choice", dict, {"type": "auto"}),
)
_ROLES: Final = frozenset({"user", "assistant"})
_REASONS: Final = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


class AnthropicMessages(Dialect):
    """``POST /v1/messages``."""

    provider = Provider.ANTHROPIC

    def read(self, body: Mapping[str, Any]) -> Order:
        found = fields(body, _FIELDS, max_tokens=(1, 2**31), temperature=(0, 1), top_p=(0, 1))
        messages = read_messages(found["messages"], _ROLES)
        tools = read_tools(found["tools"], _tool)
        return Order(
            model=found["model"],
            questions=(last_question(messages),),
            input_tokens=size_of(messages) + _system_size(body),
            stream=found["stream"],
            stop=stops(body, "stop_sequences"),
            most_tokens=found["max_tokens"],
            tools=tools,
            must_call=_must_call(found["tool_choice"], tools),
            body=body,
        )

    def whole(self, reply: Reply) -> dict[str, Any]:
        answer = reply.answers[0]
        content = [_block(reply, index) for index in range(len(answer.parts))]
        return {**_message(reply, reply.output_tokens), "content": content, **_end(reply)}

    def events(self, reply: Reply) -> Iterator[Part]:
        return map(_encoded, _values(reply))

    def failure(self, reply: Reply, status: int, message: str, sent: int) -> bytes:
        return event(body_of_error(self.provider, status, message))


def input_tokens(body: Mapping[str, Any]) -> int:
    """What ``POST /v1/messages/count_tokens`` tells.

    Raises:
        Invalid: a field is missing or wrong.
    """
    found = fields(body, _COUNTED)
    return size_of(read_messages(found["messages"], _ROLES)) + _system_size(body)


def _system_size(body: Mapping[str, Any]) -> int:
    return count(text_of(body.get("system", ""), ("system",)))


def _tool(given: Mapping[str, Any], at: Place) -> Tool | None:
    return read_tool(given, at, "input_schema") if given.get("type", "custom") == "custom" else None


def _must_call(choice: Mapping[str, Any], tools: tuple[Tool, ...]) -> Tool | None:
    kind, name = choice.get("type"), choice.get("name")
    if kind in ("none", "auto"):
        return None
    if kind == "any":
        return tool_named(tools, None, ("tool_choice",))
    if kind != "tool" or name is None:
        wrong(("tool_choice", "type"), "Input should be auto, any, none, or tool with a name")
    return tool_named(tools, name, ("tool_choice", "name"))


def _message(reply: Reply, output_tokens: int) -> dict[str, Any]:
    return {
        "id": reply.id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": reply.order.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": reply.order.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": output_tokens,
        },
    }


def _end(reply: Reply) -> dict[str, Any]:
    answer = reply.answers[0]
    reason = "stop_sequence" if answer.stopped_by is not None else _REASONS[answer.finish]
    return {"stop_reason": reason, "stop_sequence": answer.stopped_by}


def _block(reply: Reply, index: int, *, filled: bool = True) -> dict[str, Any]:
    part = reply.answers[0].parts[index]
    value = "".join(part.tokens) if filled else ""
    if isinstance(part, Text):
        return {"type": "text", "text": value}
    return {"type": "tool_use", "id": reply.id("toolu_", index), "name": part.name, "input": _decoded(value)}


def _decoded(arguments: str) -> Any:
    """The arguments of a call; of those that broke off, none."""
    try:
        return json.loads(arguments)
    except ValueError:
        return {}


def _encoded(value: dict[str, Any] | None) -> Part:
    return STEP if value is None else event(value)


def _values(reply: Reply) -> Iterator[dict[str, Any] | None]:
    yield {"type": "message_start", "message": _message(reply, 1)}
    parts = reply.answers[0].parts
    for index, part in enumerate(parts):
        started = {"type": "content_block_start", "index": index}
        yield {**started, "content_block": _block(reply, index, filled=False)}
        if index == 0:
            yield {"type": "ping"}
        yield from _deltas(index, part)
        yield {"type": "content_block_stop", "index": index}
    if not parts:
        yield STEP
    yield {"type": "message_delta", "delta": _end(reply), "usage": {"output_tokens": reply.output_tokens}}
    yield {"type": "message_stop"}


def _deltas(index: int, part: Text | Call) -> Iterator[dict[str, Any] | None]:
    kind, name = ("text_delta", "text") if isinstance(part, Text) else ("input_json_delta", "partial_json")
    delta = {"type": "content_block_delta", "index": index}
    if isinstance(part, Call):  # as the reference shows it, a call begins with no arguments yet
        yield {**delta, "delta": {"type": kind, name: ""}}
    for token in part.tokens:
        yield STEP
        yield {**delta, "delta": {"type": kind, name: token}}
