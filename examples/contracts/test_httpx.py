"""httpx, blocking and async, from one set of limits."""

import ssl

import httpx
import pytest

from pytest_httpconc import ClientContract

TRUST = ssl.create_default_context()  # takes longer than ten calls: it is made once, and not for each client
LIMITS = httpx.Limits(max_connections=5, max_keepalive_connections=5)


class TestHttpx(ClientContract):
    max_connections = 5
    connect_timeout = read_timeout = 30.0
    strict_headers = True

    @pytest.fixture
    def client(self):
        with httpx.Client(verify=TRUST, timeout=30.0, limits=LIMITS) as client:
            yield client

    def call(self, client, url, payload):
        return client.post(url, json=payload).raise_for_status().json()


class TestAsyncHttpx(ClientContract):
    max_connections = 5
    connect_timeout = read_timeout = 30.0
    short_timeout = 1.0
    strict_headers = True
    known = {"test_every_cancellation": {"HC701": "cancelled while it connects, httpcore leaves the connection open"}}

    @pytest.fixture
    async def client(self):
        async with httpx.AsyncClient(verify=TRUST, timeout=self.read_timeout, limits=LIMITS) as client:
            yield client

    async def call(self, client, url, payload):
        response = await client.post(url, json=payload)
        return response.raise_for_status().json()
