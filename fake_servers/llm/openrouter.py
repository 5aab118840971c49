"""Chat completions as OpenRouter has them: with the cost, and errors in a stream as chunks of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fake_servers.llm.errors import Provider, body_of_error
from fake_servers.llm.openai_chat import OpenAIChat, usage
from fake_servers.llm.orders import EPOCH, Reply
from fake_servers.llm.sse import data

__all__ = ["INPUT_PRICE", "OUTPUT_PRICE", "OpenRouterChat"]

INPUT_PRICE: Final = 1e-06  #: dollars a token
OUTPUT_PRICE: Final = 2e-06


class OpenRouterChat(OpenAIChat):
    """``POST /api/v1/chat/completions``."""

    provider = Provider.OPENROUTER

    def failure(self, reply: Reply, status: int, message: str, sent: int) -> bytes:
        choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
        chunk = {**self._envelope(reply, "chat.completion.chunk"), "choices": [choice]}
        return data(chunk | body_of_error(self.provider, status, message))

    def _envelope(self, reply: Reply, kind: str) -> dict[str, Any]:
        head = {"id": reply.id("gen-"), "provider": "Fake", "model": reply.order.model}
        return {**head, "object": kind, "created": EPOCH}

    def _usage(self, reply: Reply) -> dict[str, Any]:
        cost = reply.order.input_tokens * INPUT_PRICE + reply.output_tokens * OUTPUT_PRICE
        return {**usage(reply), "cost": round(cost, 9)} if _wants_cost(reply) else usage(reply)

    def _tells_usage(self, reply: Reply) -> bool:
        return _wants_cost(reply) or super()._tells_usage(reply)


def _wants_cost(reply: Reply) -> bool:
    asked = reply.order.body.get("usage")
    return isinstance(asked, Mapping) and asked.get("include") is True
