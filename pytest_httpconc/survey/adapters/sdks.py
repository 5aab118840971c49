"""The SDKs of OpenAI and Anthropic, blocking and in a loop.

Their HTTP client is the one that they make themselves, but for the certificates: loading those takes longer than a
trial, and all calls are plain HTTP.
"""

from __future__ import annotations

from typing import Any, Final

from pytest_httpconc.survey.adapters.kinds import Answer, Settings

__all__ = ["Anthropic", "AsyncAnthropic", "AsyncOpenAI", "OpenAI"]

_OPENAI_MODEL: Final = "gpt-4o"
_ANTHROPIC_MODEL: Final = "claude-haiku-4-5"


def _options(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {} if settings.retries else {"max_retries": 0}
    if settings.timeout is not None:
        options["timeout"] = settings.timeout
    return options


def _question(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


class OpenAI:
    """``openai.OpenAI``."""

    def __init__(self, settings: Settings) -> None:
        import openai

        http_client = openai.DefaultHttpxClient(verify=False)
        url = f"{settings.url}/v1"
        self._client = openai.OpenAI(base_url=url, api_key="any", http_client=http_client, **_options(settings))

    def __enter__(self) -> OpenAI:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def post(self, text: str) -> Answer:
        answer = self._client.chat.completions.create(model=_OPENAI_MODEL, messages=_question(text))
        return Answer(200, answer.choices[0].message.content or "")

    def get(self) -> Answer:
        return Answer(200, " ".join(model.id for model in self._client.models.list()))

    def stream(self, text: str) -> Answer:
        with self._client.chat.completions.create(model=_OPENAI_MODEL, messages=_question(text), stream=True) as chunks:
            return Answer(200, "".join(c.choices[0].delta.content or "" for c in chunks if c.choices))


class AsyncOpenAI:
    """``openai.AsyncOpenAI``."""

    def __init__(self, settings: Settings) -> None:
        import openai

        http_client = openai.DefaultAsyncHttpxClient(verify=False)
        url = f"{settings.url}/v1"
        self._client = openai.AsyncOpenAI(base_url=url, api_key="any", http_client=http_client, **_options(settings))

    async def __aenter__(self) -> AsyncOpenAI:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def post(self, text: str) -> Answer:
        answer = await self._client.chat.completions.create(model=_OPENAI_MODEL, messages=_question(text))
        return Answer(200, answer.choices[0].message.content or "")

    async def get(self) -> Answer:
        return Answer(200, " ".join([model.id async for model in self._client.models.list()]))

    async def stream(self, text: str) -> Answer:
        async with await self._client.chat.completions.create(
            model=_OPENAI_MODEL, messages=_question(text), stream=True
        ) as chunks:
            return Answer(200, "".join([c.choices[0].delta.content or "" async for c in chunks if c.choices]))


class Anthropic:
    """``anthropic.Anthropic``."""

    def __init__(self, settings: Settings) -> None:
        import anthropic

        http_client = anthropic.DefaultHttpxClient(verify=False)
        self._client = anthropic.Anthropic(
            base_url=settings.url, api_key="any", http_client=http_client, **_options(settings)
        )

    def __enter__(self) -> Anthropic:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def post(self, text: str) -> Answer:
        return _first_text(
            self._client.messages.create(model=_ANTHROPIC_MODEL, max_tokens=100, messages=_question(text))
        )

    def get(self) -> Answer:
        return Answer(200, " ".join(model.id for model in self._client.models.list()))

    def stream(self, text: str) -> Answer:
        with self._client.messages.stream(model=_ANTHROPIC_MODEL, max_tokens=100, messages=_question(text)) as stream:
            return Answer(200, "".join(stream.text_stream))


class AsyncAnthropic:
    """``anthropic.AsyncAnthropic``."""

    def __init__(self, settings: Settings) -> None:
        import anthropic

        http_client = anthropic.DefaultAsyncHttpxClient(verify=False)
        self._client = anthropic.AsyncAnthropic(
            base_url=settings.url, api_key="any", http_client=http_client, **_options(settings)
        )

    async def __aenter__(self) -> AsyncAnthropic:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def post(self, text: str) -> Answer:
        return _first_text(
            await self._client.messages.create(model=_ANTHROPIC_MODEL, max_tokens=100, messages=_question(text))
        )

    async def get(self) -> Answer:
        return Answer(200, " ".join([model.id async for model in self._client.models.list()]))

    async def stream(self, text: str) -> Answer:
        async with self._client.messages.stream(
            model=_ANTHROPIC_MODEL, max_tokens=100, messages=_question(text)
        ) as stream:
            return Answer(200, "".join([part async for part in stream.text_stream]))


def _first_text(message: Any) -> Answer:
    return Answer(200, "".join(block.text for block in message.content if block.type == "text"))
