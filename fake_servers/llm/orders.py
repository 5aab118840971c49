"""What a request asks for and what it is answered, whatever its protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from fake_servers.llm.tokens import digest

__all__ = ["EPOCH", "Answer", "Call", "Finish", "Order", "Reply", "Text", "Tool"]

Finish = Literal["stop", "length", "tool_calls", "content_filter"]

EPOCH: Final = 1_700_000_000  #: when everything was created, in seconds: the same in every run


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that a client offers: its name, and the JSON schema of its arguments."""

    name: str
    schema: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for.

    Args:
        model: as the client names it.
        questions: the last message that is the user's or a tool's; for each there are ``choices`` answers.
        input_tokens: of all that the client sent.
        stream: whether the answer is wanted as events.
        choices: answers to each question.
        stop: texts before which an answer ends.
        most_tokens: after which an answer breaks off.
        tools: what may be called.
        must_call: the tool that has to be called.
        body: the request as it was sent.
    """

    model: str
    questions: tuple[str, ...]
    input_tokens: int
    stream: bool = False
    choices: int = 1
    stop: tuple[str, ...] = ()
    most_tokens: int | None = None
    tools: tuple[Tool, ...] = ()
    must_call: Tool | None = None
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Text:
    """A part of an answer that is text, as its tokens."""

    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A part of an answer that calls a tool, with its arguments, which are JSON, as tokens."""

    name: str
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One choice: its parts, why it ended, and the stop sequence that ended it."""

    parts: tuple[Text | Call, ...]
    finish: Finish
    stopped_by: str | None = None

    @property
    def text(self) -> str:
        """All of its text."""
        return "".join("".join(part.tokens) for part in self.parts if isinstance(part, Text))

    @property
    def calls(self) -> tuple[Call, ...]:
        """Its calls of tools."""
        return tuple(part for part in self.parts if isinstance(part, Call))

    @property
    def size(self) -> int:
        """Its length in tokens."""
        return sum(len(part.tokens) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Reply:
    """An order and its answers; ``key`` makes its ids, which are the same in every run with the same seed."""

    order: Order
    answers: tuple[Answer, ...]
    key: str = ""

    def id(self, prefix: str, *parts: object) -> str:
        """An id of the reply, or of one of its parts."""
        return prefix + digest(self.key, prefix, *parts)[:24]

    @property
    def output_tokens(self) -> int:
        """Tokens of all its answers."""
        return sum(answer.size for answer in self.answers)

    @property
    def total_tokens(self) -> int:
        """Tokens of the order and of all answers."""
        return self.order.input_tokens + self.output_tokens

    @property
    def steps(self) -> int:
        """How often the model takes a step: all choices grow together, by a token each; 1 for no tokens at all."""
        return max((answer.size for answer in self.answers), default=1) or 1
