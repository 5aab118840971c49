"""Scripted answers: which requests they mean, and what these are answered."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from fake_servers.errors import ScenarioError
from fake_servers.http import Request
from fake_servers.llm.orders import Finish, Order
from fake_servers.routing import Pattern

__all__ = ["Match", "Script", "ToolCall", "check_count", "read_calls"]

Match = str | re.Pattern[str]
#: A tool's name, and its arguments: an object, or a text that is sent as it is, JSON or not.
ToolCall = tuple[str, Mapping[str, Any] | str]

_FINISHES: Final = get_args(Finish)


@dataclass(slots=True, kw_only=True)
class Script:
    """One scripted answer, and how often it has acted; its values are what `FakeLLMServer.script` takes."""

    message: Match | None = None
    model: Match | None = None
    on: str = "*"
    text: str | None = None
    tokens: int | None = None
    tool_calls: tuple[tuple[str, str], ...] = ()
    finish_reason: Finish | None = None
    status: int | None = None
    error: str | None = None
    after_events: int | None = None
    times: int | None = None
    acted: int = 0

    def __post_init__(self) -> None:
        for name in ("message", "model"):
            _check_match(name, getattr(self, name))
        Pattern.parse(self.on)
        if self.text is not None and not isinstance(self.text, str):
            raise ScenarioError(f"text={self.text!r} is no text; write a string, as in text='Hello.'")
        if self.text is not None and self.tokens is not None:
            raise ScenarioError("text and tokens are two ways to say what the text is; give one of them")
        check_count("tokens", self.tokens)
        check_count("times", self.times)
        if self.finish_reason is not None and self.finish_reason not in _FINISHES:
            allowed = ", ".join(map(repr, _FINISHES))
            raise ScenarioError(f"finish_reason={self.finish_reason!r} is not known; allowed are {allowed}")
        self._check_error()

    def _check_error(self) -> None:
        status, after = self.status, self.after_events
        if status is not None and (isinstance(status, bool) or not isinstance(status, int) or not 400 <= status <= 599):
            raise ScenarioError(f"status={status!r} is no error; allowed are 400 to 599, as in status=529")
        if status is None and (self.error is not None or after is not None):
            raise ScenarioError("error and after_events are about an error; give its status, as in status=529")
        if after is not None and (isinstance(after, bool) or not isinstance(after, int) or after < 0):
            raise ScenarioError(f"after_events={after!r} is no count; allowed are whole numbers from 0 up, as in 3")

    def means(self, request: Request, order: Order) -> bool:
        """Whether it acts on this request."""
        return (
            (self.times is None or self.acted < self.times)
            and Pattern.parse(self.on).matches(request.method, request.path)
            and _fits(self.model, order.model)
            and any(_fits(self.message, question) for question in order.questions)
        )

    @property
    def message_of_error(self) -> str:
        """What its error says."""
        return f"scripted status {self.status}" if self.error is None else self.error


def _fits(match: Match | None, text: str) -> bool:
    if match is None:
        return True
    return match == text if isinstance(match, str) else match.search(text) is not None


def _check_match(name: str, match: Match | None) -> None:
    if match is not None and not isinstance(match, (str, re.Pattern)):
        raise ScenarioError(
            f"{name}={match!r} matches nothing; allowed are None, a whole string or a compiled pattern, "
            f"as in {name}=re.compile('^Hello')"
        )


def check_count(name: str, value: int | None) -> None:
    """Refuse what is neither None nor a count.

    Raises:
        ScenarioError: it is neither.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ScenarioError(
            f"{name}={value!r} is no count; allowed are None or whole numbers from 1 up, as in {name}=20"
        )


def read_calls(calls: Iterable[ToolCall]) -> tuple[tuple[str, str], ...]:
    """The calls of a script, their arguments as JSON.

    Raises:
        ScenarioError: one is not a name with arguments.
    """
    return tuple(_read_call(call) for call in calls)


def _read_call(call: ToolCall) -> tuple[str, str]:
    try:
        name, arguments = call
        if isinstance(name, str) and isinstance(arguments, (str, Mapping)):
            return name, arguments if isinstance(arguments, str) else json.dumps(dict(arguments))
    except (TypeError, ValueError):
        pass
    raise ScenarioError(
        f"tool call {call!r} is none; write a name and its arguments, as in ('get_weather', {{'city': 'Paris'}})"
    )
