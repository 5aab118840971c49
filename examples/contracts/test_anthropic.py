"""anthropic's SDK, async, against a model server that echoes."""

import ssl

import anthropic
import pytest

from pytest_httpconc import ClientContract

TRUST = ssl.create_default_context()  # takes longer than ten calls: it is made once, and not for each client


class TestAnthropic(ClientContract):
    read_timeout = 60.0
    truncations = 40

    @pytest.fixture
    def server(self, fake_llm):
        return fake_llm

    @pytest.fixture
    async def client(self, server):
        http = anthropic.DefaultAsyncHttpxClient(verify=TRUST)
        async with anthropic.AsyncAnthropic(
            base_url=server.url, api_key="any", timeout=60.0, max_retries=0, http_client=http
        ) as client:
            yield client

    async def call(self, client, url, payload):
        messages = [{"role": "user", "content": payload["nonce"]}]
        answer = await client.messages.create(model="claude-haiku-4-5", max_tokens=50, messages=messages)
        return answer.content[0].text
