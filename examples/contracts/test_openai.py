"""openai's SDK, blocking, against a model server that echoes."""

import ssl

import openai
import pytest

from pytest_httpconc import ClientContract

TRUST = ssl.create_default_context()  # takes longer than ten calls: it is made once, and not for each client


class TestOpenAI(ClientContract):
    read_timeout = 60.0
    truncations = 40

    @pytest.fixture
    def server(self, fake_llm):
        return fake_llm

    @pytest.fixture
    def client(self, server):
        http = openai.DefaultHttpxClient(verify=TRUST)
        with openai.OpenAI(
            base_url=f"{server.url}/v1", api_key="any", timeout=60.0, max_retries=0, http_client=http
        ) as client:
            yield client

    def call(self, client, url, payload):
        messages = [{"role": "user", "content": payload["nonce"]}]
        answer = client.chat.completions.create(model="gpt-4o", messages=messages)
        return answer.choices[0].message.content
