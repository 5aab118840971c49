"""Completions of a prompt, plain and streamed (OpenAI API reference, "Completions", which are legacy)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fake_servers.llm.dialect import STEP, Dialect, Part
from fake_servers.llm.openai_chat import FLAG_AND_NUMBERS, MOST, RANGES, usage, wants_usage
from fake_servers.llm.orders import EPOCH, Order, Reply
from fake_servers.llm.prompts import read_prompts, size_of_prompts
from fake_servers.llm.reading import fields, stops
from fake_servers.llm.sse import DONE, data
from fake_servers.validation import Field

__all__ = ["OpenAICompletions"]

_FIELDS: Final = (Field("model", str), Field("prompt", (str, list)), *FLAG_AND_NUMBERS, Field("max_tokens", int, None))


class OpenAICompletions(Dialect):
    """``POST /v1/completions``."""

    def read(self, body: Mapping[str, Any]) -> Order:
        found = fields(body, _FIELDS, **RANGES, max_tokens=MOST)
        prompts = read_prompts(found["prompt"], "prompt")
        return Order(
            model=found["model"],
            questions=prompts,
            input_tokens=size_of_prompts(prompts),
            stream=found["stream"],
            choices=found["n"],
            stop=stops(body),
            most_tokens=found["max_tokens"],
            body=body,
        )

    def whole(self, reply: Reply) -> dict[str, Any]:
        choices = [_choice(index, answer.text, answer.finish) for index, answer in enumerate(reply.answers)]
        return {**_envelope(reply), "choices": choices, "usage": usage(reply)}

    def events(self, reply: Reply) -> Iterator[Part]:
        tokens = [[token for part in answer.parts for token in part.tokens] for answer in reply.answers]
        for number in range(reply.steps):
            yield STEP
            for index, choice in enumerate(tokens):
                if number < len(choice):
                    yield _chunk(reply, [_choice(index, choice[number])])
                if number == max(len(choice), 1) - 1:
                    yield _chunk(reply, [_choice(index, "", reply.answers[index].finish)])
        if wants_usage(reply.order):
            yield _chunk(reply, [], usage(reply))
        yield DONE


def _envelope(reply: Reply) -> dict[str, Any]:
    return {"id": reply.id("cmpl-"), "object": "text_completion", "created": EPOCH, "model": reply.order.model}


def _choice(index: int, text: str, finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}


def _chunk(reply: Reply, choices: list[dict[str, Any]], used: dict[str, Any] | None = None) -> bytes:
    chunk = {**_envelope(reply), "choices": choices}
    return data({**chunk, "usage": used} if wants_usage(reply.order) else chunk)
