"""Chat completions, plain and streamed (OpenAI API reference, "Chat" and "Chat completion chunk")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fake_servers.llm.dialect import STEP, Dialect, Part
from fake_servers.llm.orders import EPOCH, Answer, Call, Order, Reply, Text, Tool
from fake_servers.llm.reading import (
    Place,
    fields,
    last_question,
    read_messages,
    read_tool,
    read_tools,
    size_of,
    stops,
    tool_named,
    wrong,
)
from fake_servers.llm.sse import DONE, data
from fake_servers.validation import Field

__all__ = ["FLAG_AND_NUMBERS", "MOST", "RANGES", "OpenAIChat", "usage", "wants_usage"]

FLAG_AND_NUMBERS: Final = (
    Field("stream", bool, False),
    Field("stream_options", dict, {}),
    Field("n", int, 1),
    Field("temperature", (int, float), 1),
    Field("top_p", (int, float), 1),
)
RANGES: Final = {"n": (1, 128), "temperature": (0, 2), "top_p": (0, 1)}
MOST: Final = (1, 2**31)
_FIELDS: Final = (
    Field("model", str),
    Field("messages", list),
    *FLAG_AND_NUMBERS,
    Field("max_tokens", int, None),
    Field("max_completion_tokens", int, None),
    Field("tools", list, []),
)
_ROLES: Final = frozenset({"developer", "system", "user", "assistant", "tool", "function"})


class OpenAIChat(Dialect):
    """``POST /v1/chat/completions``."""

    def read(self, body: Mapping[str, Any]) -> Order:
        found = fields(body, _FIELDS, **RANGES, max_tokens=MOST, max_completion_tokens=MOST)
        messages = read_messages(found["messages"], _ROLES)
        tools = read_tools(found["tools"], _tool)
        return Order(
            model=found["model"],
            questions=(last_question(messages),),
            input_tokens=size_of(messages),
            stream=found["stream"],
            choices=found["n"],
            stop=stops(body),
            most_tokens=found["max_completion_tokens"] or found["max_tokens"],
            tools=tools,
            must_call=_must_call(body.get("tool_choice", "auto"), tools),
            body=body,
        )

    def whole(self, reply: Reply) -> dict[str, Any]:
        choices = [
            {"index": index, "message": _message(reply, index), "logprobs": None, "finish_reason": answer.finish}
            for index, answer in enumerate(reply.answers)
        ]
        return {**self._envelope(reply, "chat.completion"), "choices": choices, "usage": self._usage(reply)}

    def events(self, reply: Reply) -> Iterator[Part]:
        steps = [_deltas(reply, index) for index in range(len(reply.answers))]
        for number in range(reply.steps):
            yield STEP
            for index, choice in enumerate(steps):
                for delta in choice[number] if number < len(choice) else ():
                    yield self._chunk(reply, [_choice(index, delta)])
                if number == max(len(choice), 1) - 1:
                    yield self._chunk(reply, [_choice(index, {}, reply.answers[index].finish)])
        if self._tells_usage(reply):
            yield self._chunk(reply, [], self._usage(reply))
        yield DONE

    def _chunk(self, reply: Reply, choices: list[dict[str, Any]], used: dict[str, Any] | None = None) -> bytes:
        chunk = {**self._envelope(reply, "chat.completion.chunk"), "choices": choices}
        return data({**chunk, "usage": used} if self._tells_usage(reply) else chunk)

    def _envelope(self, reply: Reply, kind: str) -> dict[str, Any]:
        return {
            "id": reply.id("chatcmpl-"),
            "object": kind,
            "created": EPOCH,
            "model": reply.order.model,
            "service_tier": "default",
            "system_fingerprint": "fp_fake",
        }

    def _usage(self, reply: Reply) -> dict[str, Any]:
        return usage(reply)

    def _tells_usage(self, reply: Reply) -> bool:
        return wants_usage(reply.order)


def wants_usage(order: Order) -> bool:
    """Whether a stream shall end with its usage."""
    return order.body.get("stream_options", {}).get("include_usage") is True


def usage(reply: Reply) -> dict[str, Any]:
    """The tokens of a reply."""
    return {
        "prompt_tokens": reply.order.input_tokens,
        "completion_tokens": reply.output_tokens,
        "total_tokens": reply.total_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _tool(given: Mapping[str, Any], at: Place) -> Tool | None:
    return (
        read_tool(given.get("function"), (*at, "function"), "parameters") if given.get("type") == "function" else None
    )


def _must_call(choice: Any, tools: tuple[Tool, ...]) -> Tool | None:
    if choice in ("none", "auto"):
        return None
    if choice == "required":
        return tool_named(tools, None, ("tool_choice",))
    named = choice.get("function") if isinstance(choice, Mapping) else None
    if not isinstance(named, Mapping) or named.get("name") is None:
        wrong(("tool_choice",), "Input should be none, auto, required, or a function by its name")
    return tool_named(tools, named["name"], ("tool_choice", "function", "name"))


def _message(reply: Reply, index: int) -> dict[str, Any]:
    answer = reply.answers[index]
    calls = [
        {**_call_head(reply, index, number, call), "function": {"name": call.name, "arguments": "".join(call.tokens)}}
        for number, call in enumerate(answer.calls)
    ]
    message: dict[str, Any] = {"role": "assistant", "content": _content(answer), "refusal": None, "annotations": []}
    return {**message, "tool_calls": calls} if calls else message


def _content(answer: Answer) -> str | None:
    return answer.text or (None if answer.calls else "")


def _call_head(reply: Reply, index: int, number: int, call: Call) -> dict[str, Any]:
    return {"id": reply.id("call_", index, number), "type": "function"}


def _choice(index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def _deltas(reply: Reply, index: int) -> list[list[dict[str, Any]]]:
    """What each step adds to one choice: to the first the role, to a call's first its head, and always a token."""
    answer = reply.answers[index]
    steps: list[list[dict[str, Any]]] = []
    number = 0
    for part in answer.parts:
        if isinstance(part, Text):
            steps += [[{"content": token}] for token in part.tokens]
        else:
            head = {**_call_head(reply, index, number, part), "function": {"name": part.name, "arguments": ""}}
            tokens = [[_call_delta(number, {"function": {"arguments": token}})] for token in part.tokens]
            steps += [[_call_delta(number, head), *tokens[0]], *tokens[1:]]
            number += 1
    role = {"role": "assistant", "content": None if answer.calls and not answer.text else "", "refusal": None}
    return [[role, *steps[0]], *steps[1:]] if steps else [[role]]


def _call_delta(number: int, call: dict[str, Any]) -> dict[str, Any]:
    return {"tool_calls": [{"index": number, **call}]}
