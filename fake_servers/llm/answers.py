"""What is answered: a script's words, seeded text, a call of the tool that has to be called, or an echo."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from fake_servers.llm.orders import Answer, Call, Finish, Order, Text, Tool
from fake_servers.llm.scripts import Script
from fake_servers.llm.tokens import seeded_text, split

__all__ = ["compose", "sample_arguments"]

_DEEPEST = 8


class _Draft(NamedTuple):
    """An answer before it is cut by stop sequences and limits."""

    text: str
    calls: tuple[tuple[str, str], ...] = ()
    finish: Finish | None = None


def compose(order: Order, script: Script | None, *, tokens: int | None, seed: int) -> tuple[Answer, ...]:
    """The answers to an order: for each question in turn as many as are wanted.

    Args:
        order: what is asked for.
        script: what is answered, where one means the request.
        tokens: the length of seeded text; without one, the question is echoed.
        seed: the start of all chance.
    """
    answers = []
    for question in order.questions:
        for index in range(order.choices):
            draft = _draft(order, script, question, tokens, (seed, order.model, question, index))
            answers.append(_cut(draft, order))
    return tuple(answers)


def _draft(
    order: Order, script: Script | None, question: str, tokens: int | None, chance: tuple[object, ...]
) -> _Draft:
    if script is not None and _has_words(script):
        text = seeded_text(script.tokens, *chance) if script.tokens is not None else script.text or ""
        return _Draft(text, script.tool_calls, script.finish_reason)
    finish = None if script is None else script.finish_reason
    if order.must_call is not None:
        arguments = json.dumps(sample_arguments(order.must_call))
        return _Draft("", ((order.must_call.name, arguments),), finish)
    return _Draft(question if tokens is None else seeded_text(tokens, *chance), (), finish)


def _has_words(script: Script) -> bool:
    return script.text is not None or script.tokens is not None or bool(script.tool_calls)


def _cut(draft: _Draft, order: Order) -> Answer:
    text, stopped_by = _stopped(draft.text, order.stop)
    calls = () if stopped_by is not None else draft.calls
    left = order.most_tokens
    parts: list[Text | Call] = []
    for name, value in (("", text), *calls):
        tokens = split(value)[:left]
        left = None if left is None else left - len(tokens)
        if tokens:
            parts.append(Call(name, tokens) if name else Text(tokens))
    kept = Answer(tuple(parts), "stop", stopped_by)
    return Answer(kept.parts, draft.finish or _finish(kept, text, calls), stopped_by)


def _stopped(text: str, stop: tuple[str, ...]) -> tuple[str, str | None]:
    """A text up to the first of its stop sequences, and which one it was."""
    found = [(text.find(mark), mark) for mark in stop if mark in text]
    if not found:
        return text, None
    at, mark = min(found)
    return text[:at], mark


def _finish(answer: Answer, text: str, calls: tuple[tuple[str, str], ...]) -> Finish:
    said = "".join("".join(part.tokens) for part in answer.parts)
    if said != text + "".join(arguments for _, arguments in calls):
        return "length"
    return "tool_calls" if calls else "stop"


def sample_arguments(tool: Tool) -> dict[str, Any]:
    """The least arguments that fit a tool's schema: what is required, with a value of its type."""
    return _object(tool.schema, 0)


def _object(schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, Mapping) or not isinstance(required, list):
        return {}
    return {name: _value(properties.get(name), depth + 1) for name in required if isinstance(name, str)}


def _value(schema: Any, depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return ""
    choices = schema.get("enum")
    if isinstance(choices, list) and choices and isinstance(choices[0], (str, int)):
        return choices[0]
    if schema.get("type") == "object":
        return _object(schema, depth)
    kind = schema.get("type")
    empty: dict[str, Any] = {"integer": 0, "number": 0.0, "boolean": False, "array": [], "null": None}
    return empty.get(kind, "") if isinstance(kind, str) else ""
