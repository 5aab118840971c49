"""A fake model server, in the protocols of OpenAI, Anthropic and OpenRouter."""

from fake_servers.llm.server import FakeLLMServer

__all__ = ["FakeLLMServer"]
