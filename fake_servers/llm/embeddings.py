"""Embeddings: vectors of length 1 that are the same for the same text (OpenAI API reference, "Embeddings")."""

from __future__ import annotations

import math
import sys
from array import array
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

from fake_servers.llm.dialect import Dialect
from fake_servers.llm.orders import Order, Reply
from fake_servers.llm.prompts import read_prompts, size_of_prompts
from fake_servers.llm.reading import fields, wrong
from fake_servers.llm.tokens import seeded
from fake_servers.validation import Field

__all__ = ["Embeddings", "vector"]

_DIMENSIONS: Final = 1536
_FIELDS: Final = (
    Field("model", str),
    Field("input", (str, list)),
    Field("dimensions", int, _DIMENSIONS),
    Field("encoding_format", str, "float"),
)


class Embeddings(Dialect):
    """``POST /v1/embeddings``. It has no choices, and takes the time of one token."""

    def read(self, body: Mapping[str, Any]) -> Order:
        found = fields(body, _FIELDS, dimensions=(1, 4096))
        if found["encoding_format"] not in {"float", "base64"}:
            wrong(("encoding_format",), "Input should be float or base64")
        texts = read_prompts(found["input"], "input")
        if "" in texts:
            wrong(("input",), "Input can't be an empty string")
        size = size_of_prompts(texts)
        return Order(model=found["model"], questions=texts, input_tokens=size, choices=0, body=found)

    def whole(self, reply: Reply) -> dict[str, Any]:
        order, used = reply.order, {"prompt_tokens": reply.order.input_tokens, "total_tokens": reply.total_tokens}
        vectors = [_encoded(order, text) for text in order.questions]
        data = [{"object": "embedding", "index": index, "embedding": value} for index, value in enumerate(vectors)]
        return {"object": "list", "data": data, "model": order.model, "usage": used}


def _encoded(order: Order, text: str) -> list[float] | str:
    values = vector(text, order.model, order.body["dimensions"])
    if order.body["encoding_format"] == "float":
        return values.tolist()
    if sys.byteorder == "big":
        values.byteswap()
    return b64encode(values.tobytes()).decode()


def vector(text: str, model: str, dimensions: int) -> array[float]:
    """A text's embedding, in single precision; it depends on text, model and dimensions alone."""
    random = seeded("embedding", model, text)
    values = [random.random() - 0.5 for _ in range(dimensions)]
    length = math.hypot(*values) or 1.0
    return array("f", [value / length for value in values])
