"""What these tests share: a server, a client of plain JSON, and a reader of events."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
import requests

from fake_servers import FakeLLMServer


class Event(NamedTuple):
    """One server-sent event, its data decoded where it is JSON."""

    name: str
    data: Any


def read_events(body: bytes) -> list[Event]:
    events = []
    for block in body.decode().removesuffix("\n\n").split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        data = lines["data"]
        events.append(Event(lines.get("event", ""), data if data == "[DONE]" else json.loads(data)))
    return events


def free(server: FakeLLMServer) -> bool:
    return (server.running, server.queued) == (0, 0)


@pytest.fixture
def server():
    with FakeLLMServer() as server:
        yield server
    assert free(server)


@pytest.fixture
def events_of():
    return read_events


@pytest.fixture
def post(server):
    with requests.Session() as session:
        yield lambda path, body, **options: session.post(server.url + path, json=body, **options)


@pytest.fixture
def chat(post):
    """Ask one question of a model, and return what is answered, with all that is around it."""

    def chat(question="Hello there, world", **fields):
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": question}], **fields}
        return post("/v1/chat/completions", body)

    return chat


@pytest.fixture
def chat_body():
    """The body of a question as it goes onto the wire."""

    def body(question="one two three", **fields):
        value = {"model": "gpt-4o", "messages": [{"role": "user", "content": question}], **fields}
        return json.dumps(value).encode()

    return body
