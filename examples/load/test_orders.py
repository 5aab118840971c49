"""The contracts of two clients that place orders, one blocking and one async: `pytest examples/load/test_orders.py`."""

import aiohttp
import pytest
import requests

from pytest_httpconc import ClientContract


class TestOrders(ClientContract):
    path = "/orders"
    on = "POST /orders"

    @pytest.fixture
    def client(self):
        with requests.Session() as session:
            yield session

    def call(self, client, url, payload):
        response = client.post(url, json=payload, timeout=30)
        response.raise_for_status()
        return response.json()


class TestAsyncOrders(ClientContract):
    path = "/orders"
    on = "POST /orders"
    max_connections = 2

    @pytest.fixture
    async def client(self):
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=2), raise_for_status=True) as session:
            yield session

    async def call(self, client, url, payload):
        async with client.post(url, json=payload) as response:
            return await response.json()
