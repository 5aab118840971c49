"""Responses, plain and streamed (OpenAI API reference, "Responses" and "Streaming events")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fake_servers.llm.dialect import STEP, Dialect, Part
from fake_servers.llm.errors import body_of_error
from fake_servers.llm.orders import EPOCH, Call, Order, Reply, Text, Tool
from fake_servers.llm.reading import (
    Place,
    fields,
    last_question,
    read_messages,
    read_tool,
    read_tools,
    size_of,
    text_of,
    tool_named,
    wrong,
)
from fake_servers.llm.sse import event
from fake_servers.llm.tokens import count
from fake_servers.validation import Field

__all__ = ["OpenAIResponses"]

_FIELDS: Final = (
    Field("model", str),
    Field("input", (str, list)),
    Field("instructions", str, ""),
    Field("stream", bool, False),
    Field("max_output_tokens", int, None),
    Field("temperature", (int, float), 1),
    Field("top_p", (int, float), 1),
    Field("tools", list, []),
)
_ROLES: Final = frozenset({"developer", "system", "user", "assistant"})


class OpenAIResponses(Dialect):
    """``POST /v1/responses``."""

    def read(self, body: Mapping[str, Any]) -> Order:
        found = fields(body, _FIELDS, max_output_tokens=(1, 2**31), temperature=(0, 2), top_p=(0, 1))
        given = found["input"]
        messages = [("user", given)] if isinstance(given, str) else _items(given)
        tools = read_tools(found["tools"], _tool)
        return Order(
            model=found["model"],
            questions=(last_question(messages),),
            input_tokens=size_of(messages) + count(found["instructions"]),
            stream=found["stream"],
            most_tokens=found["max_output_tokens"],
            tools=tools,
            must_call=_must_call(body.get("tool_choice", "auto"), tools),
            body=found,
        )

    def whole(self, reply: Reply) -> dict[str, Any]:
        state = "incomplete" if _reason(reply) else "completed"
        return _response(reply, state, [_item(reply, index, "completed") for index in range(len(_parts(reply)))])

    def events(self, reply: Reply) -> Iterator[Part]:
        number = 0
        for value in _values(reply):
            if value is not None:
                yield event({**value, "sequence_number": number})
                number += 1
            else:
                yield STEP

    def failure(self, reply: Reply, status: int, message: str, sent: int) -> bytes:
        error = body_of_error(self.provider, status, message)["error"]
        code = error["code"] or error["type"]
        return event({"type": "error", "code": code, "message": message, "param": None, "sequence_number": sent})


def _items(items: list[Any]) -> list[tuple[str, str]]:
    if not items:
        wrong(("input",), "List should have at least 1 item")
    return [_read_item(item, ("input", number)) for number, item in enumerate(items)]


def _read_item(item: Any, at: Place) -> tuple[str, str]:
    if not isinstance(item, Mapping):
        wrong(at, "Input should be a valid object")
    kind = item.get("type", "message")
    if kind == "function_call_output":
        return "tool", text_of(item.get("output", ""), (*at, "output"))
    if kind == "message":
        return read_messages([item], _ROLES, "input")[0]
    return "assistant", ""


def _tool(given: Mapping[str, Any], at: Place) -> Tool | None:
    return read_tool(given, at, "parameters") if given.get("type") == "function" else None


def _must_call(choice: Any, tools: tuple[Tool, ...]) -> Tool | None:
    if choice in ("none", "auto"):
        return None
    if choice == "required":
        return tool_named(tools, None, ("tool_choice",))
    if not isinstance(choice, Mapping) or choice.get("name") is None:
        wrong(("tool_choice",), "Input should be none, auto, required, or a function by its name")
    return tool_named(tools, choice["name"], ("tool_choice", "name"))


def _parts(reply: Reply) -> tuple[Text | Call, ...]:
    return reply.answers[0].parts or (Text(()),)


def _reason(reply: Reply) -> str | None:
    return {"length": "max_output_tokens", "content_filter": "content_filter"}.get(reply.answers[0].finish)


def _response(reply: Reply, state: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    """The response object, in one of its states."""
    order, ended = reply.order, state in {"completed", "incomplete"}
    return {
        "id": reply.id("resp_"),
        "object": "response",
        "created_at": EPOCH,
        "status": state,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": _reason(reply)} if state == "incomplete" else None,
        "instructions": order.body["instructions"] or None,
        "max_output_tokens": order.most_tokens,
        "metadata": {},
        "model": order.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": True,
        "temperature": order.body["temperature"],
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": order.body["top_p"],
        "truncation": "disabled",
        "usage": _usage(reply) if ended else None,
    }


def _usage(reply: Reply) -> dict[str, Any]:
    return {
        "input_tokens": reply.order.input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": reply.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": reply.total_tokens,
    }


def _item(reply: Reply, index: int, state: str) -> dict[str, Any]:
    part = _parts(reply)[index]
    ended = state == "completed"
    if isinstance(part, Call):
        head = {"id": reply.id("fc_", index), "type": "function_call", "status": state}
        arguments = "".join(part.tokens) if ended else ""
        return {**head, "call_id": reply.id("call_", index), "name": part.name, "arguments": arguments}
    content = [_content("".join(part.tokens))] if ended else []
    return {"id": reply.id("msg_", index), "type": "message", "status": state, "role": "assistant", "content": content}


def _content(text: str) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _values(reply: Reply) -> Iterator[dict[str, Any] | None]:
    """The events before they are numbered."""
    yield {"type": "response.created", "response": _response(reply, "in_progress", [])}
    yield {"type": "response.in_progress", "response": _response(reply, "in_progress", [])}
    for index, part in enumerate(_parts(reply)):
        added = {"type": "response.output_item.added", "output_index": index}
        yield {**added, "item": _item(reply, index, "in_progress")}
        yield from _call_values(reply, index, part) if isinstance(part, Call) else _text_values(reply, index, part)
        done = {"type": "response.output_item.done", "output_index": index}
        yield {**done, "item": _item(reply, index, "completed")}
    whole = OpenAIResponses().whole(reply)
    yield {"type": f"response.{whole['status']}", "response": whole}


def _text_values(reply: Reply, index: int, part: Text) -> Iterator[dict[str, Any] | None]:
    place = {"item_id": reply.id("msg_", index), "output_index": index, "content_index": 0}
    yield {"type": "response.content_part.added", **place, "part": _content("")}
    for token in part.tokens:
        yield STEP
        yield {"type": "response.output_text.delta", **place, "delta": token, "logprobs": []}
    if not part.tokens:
        yield STEP
    text = "".join(part.tokens)
    yield {"type": "response.output_text.done", **place, "text": text, "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": _content(text)}


def _call_values(reply: Reply, index: int, call: Call) -> Iterator[dict[str, Any] | None]:
    place = {"item_id": reply.id("fc_", index), "output_index": index}
    for token in call.tokens:
        yield STEP
        yield {"type": "response.function_call_arguments.delta", **place, "delta": token}
    arguments = "".join(call.tokens)
    yield {"type": "response.function_call_arguments.done", **place, "name": call.name, "arguments": arguments}
