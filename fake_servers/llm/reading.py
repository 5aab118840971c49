"""Reading what the protocols share: a JSON body, its messages, their content, and the tools."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NoReturn

from fake_servers.http import Request
from fake_servers.llm.orders import Tool
from fake_servers.llm.tokens import count
from fake_servers.validation import Field, Invalid, read

__all__ = [
    "Place",
    "decode",
    "fields",
    "last_question",
    "missing",
    "read_messages",
    "read_tool",
    "read_tools",
    "size_of",
    "stops",
    "text_of",
    "tool_named",
    "wrong",
]

Place = tuple[str | int, ...]

_TEXTS: Final = frozenset({"text", "input_text", "output_text"})


def wrong(at: Place, message: str, kind: str = "value_error") -> NoReturn:
    """Refuse a field.

    Raises:
        Invalid: always.
    """
    raise Invalid([{"type": kind, "loc": list(at), "msg": message}])


def missing(at: Place) -> NoReturn:
    """Refuse a request for a field that is not there."""
    wrong(at, "Field required", "missing")


def decode(request: Request) -> dict[str, Any]:
    """A request's body, which must be a JSON object; fields that are null count as left out.

    Raises:
        Invalid: it is none.
    """
    try:
        value = _DECODER.decode(request.body.decode())
    except (ValueError, RecursionError) as error:
        wrong((), f"We could not parse the JSON body of your request: {error}", "json_invalid")
    if not isinstance(value, dict):
        wrong((), "Input should be a valid object", "dict_type")
    return {name: given for name, given in value.items() if given is not None}


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_no_number)


def fields(body: Mapping[str, Any], known: Iterable[Field], **ranges: tuple[float, float]) -> dict[str, Any]:
    """The fields of a body that are known, each in its range.

    Raises:
        Invalid: one is missing or wrong.
    """
    found = read(body, known, at=())
    for name, (low, high) in ranges.items():
        if found.get(name) is not None and not low <= found[name] <= high:
            wrong((name,), f"Input should be from {low} to {high}")
    return found


def read_messages(messages: list[Any], roles: frozenset[str], at: str = "messages") -> list[tuple[str, str]]:
    """The role and the text of each message.

    Raises:
        Invalid: there is none, or one is no message.
    """
    if not messages:
        wrong((at,), "List should have at least 1 item")
    return [_message(message, roles, (at, number)) for number, message in enumerate(messages)]


def _message(message: Any, roles: frozenset[str], at: Place) -> tuple[str, str]:
    if not isinstance(message, Mapping):
        wrong(at, "Input should be a valid object")
    role, content = message.get("role"), message.get("content")
    if role is None:
        missing((*at, "role"))
    if not isinstance(role, str) or role not in roles:
        wrong((*at, "role"), f"Input should be one of {', '.join(sorted(roles))}")
    if content is None and role != "assistant":
        missing((*at, "content"))
    return role, text_of("" if content is None else content, (*at, "content"))


def text_of(content: Any, at: Place) -> str:
    """The text of a content that is a text or a list of parts; what is no text has none.

    Raises:
        Invalid: it is neither.
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        wrong(at, "Input should be a valid string or array")
    return "".join(_part(part, (*at, number)) for number, part in enumerate(content))


def _part(part: Any, at: Place) -> str:
    if not isinstance(part, Mapping):
        wrong(at, "Input should be a valid object")
    kind = part.get("type")
    if kind is None:
        missing((*at, "type"))
    if kind == "tool_result":
        return _flat(part.get("content", ""), (*at, "content"))
    if not isinstance(kind, str) or kind not in _TEXTS:
        return ""
    return _flat(part.get("text"), (*at, "text"))


def _flat(content: Any, at: Place) -> str:
    """A text, or parts that hold texts and no more parts."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if _holds_text(part))
    if not isinstance(content, str):
        wrong(at, "Input should be a valid string")
    return content


def _holds_text(part: Any) -> bool:
    return isinstance(part, Mapping) and isinstance(part.get("text"), str)


def last_question(messages: Iterable[tuple[str, str]]) -> str:
    """The last message that is the user's or a tool's; the last of all where there is none."""
    texts = list(messages)
    asked = [text for role, text in texts if role in {"user", "tool", "function"}]
    return asked[-1] if asked else texts[-1][1]


def size_of(messages: Iterable[tuple[str, str]]) -> int:
    """The tokens of all messages."""
    return sum(count(text) for _, text in messages)


def stops(body: Mapping[str, Any], name: str = "stop") -> tuple[str, ...]:
    """The stop sequences, one or several.

    Raises:
        Invalid: they are no texts.
    """
    given = body.get(name, [])
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        wrong((name,), "Input should be a valid string or array of strings")
    return tuple(text for text in texts if text)


def read_tools(tools: list[Any], tool: Callable[[Mapping[str, Any], Place], Tool | None]) -> tuple[Tool, ...]:
    """The tools that are offered; one that is no function is passed over.

    Raises:
        Invalid: one is no object.
    """
    found = []
    for number, given in enumerate(tools):
        if not isinstance(given, Mapping):
            wrong(("tools", number), "Input should be a valid object")
        found.append(tool(given, ("tools", number)))
    return tuple(known for known in found if known is not None)


def read_tool(given: Any, at: Place, schema: str) -> Tool:
    """A tool from its definition, which has the arguments' schema under this name.

    Raises:
        Invalid: it has no name, or its schema is no object.
    """
    if not isinstance(given, Mapping):
        missing(at)
    name, parameters = given.get("name"), given.get(schema)
    if name is None:
        missing((*at, "name"))
    if not isinstance(name, str) or not name:
        wrong((*at, "name"), "Input should be a valid string")
    if parameters is not None and not isinstance(parameters, Mapping):
        wrong((*at, schema), "Input should be a valid object")
    return Tool(name, parameters or {})


def tool_named(tools: tuple[Tool, ...], name: Any, at: Place) -> Tool:
    """The tool of this name; for None the first.

    Raises:
        Invalid: there is none.
    """
    for tool in tools:
        if name is None or tool.name == name:
            return tool
    wrong(at, "Input should be a tool that is given in 'tools'")
