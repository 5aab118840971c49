"""aiohttp: one session, a limited connector, and a deadline for the whole call."""

import aiohttp
import pytest

from pytest_httpconc import ClientContract


class TestAiohttp(ClientContract):
    max_connections = 5
    total_timeout = 3600.0
    short_timeout = 1.0
    strict_headers = True

    @pytest.fixture
    async def client(self):
        connector = aiohttp.TCPConnector(limit=5)
        timeout = aiohttp.ClientTimeout(total=self.total_timeout)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, raise_for_status=True) as session:
            yield session

    async def call(self, client, url, payload):
        async with client.post(url, json=payload) as response:
            return await response.json()
