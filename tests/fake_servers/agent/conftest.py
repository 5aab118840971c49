"""What these tests share: a client in the loop, which notes when events come."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import NamedTuple

import aiohttp
import pytest

from fake_servers import FakeAgentServer


class Event(NamedTuple):
    """One event, and when it came."""

    at: float
    data: dict

    @property
    def type(self):
        return self.data["type"]


class Asker:
    """A client in the loop; instants are in seconds since it was made."""

    def __init__(self, server, session):
        self._url = server.url
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._begun_at = self._loop.time()

    @property
    def now(self):
        return self._loop.time() - self._begun_at

    async def chat(self, question, **config):
        """A session's events."""
        async with self._session.post(f"{self._url}/chat/stream", json={"question": question, **config}) as response:
            assert response.status == 200, await response.text()
            lines = [(self.now, line) async for line in response.content if line.startswith(b"data: ")]
            return [Event(at, json.loads(line[6:])) for at, line in lines]

    async def complete(self, question, **fields):
        """When a completion came, its status, and its body."""
        body = {"model": "m", "messages": [{"role": "user", "content": question}], **fields}
        async with self._session.post(f"{self._url}/v1/chat/completions", json=body) as response:
            return self.now, response.status, await response.json()

    async def get(self, path):
        async with self._session.get(self._url + path) as response:
            return await response.json()


@contextlib.asynccontextmanager
async def _asking(**options):
    timeout = aiohttp.ClientTimeout(total=None)
    async with (
        FakeAgentServer(**options) as server,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session,
    ):
        yield server, Asker(server, session)


@pytest.fixture
def asking():
    """Run a server in this loop, and a client of it."""
    return _asking


@pytest.fixture
def answer_of():
    """What the answer among a session's events says."""
    return lambda events: next(event.data["content"] for event in events if event.type == "answer")
