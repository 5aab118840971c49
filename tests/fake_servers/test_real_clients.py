"""The clients that people use, against the server: plain calls, reuse, and an answer that never comes."""

from __future__ import annotations

import asyncio
import contextlib
import http.client

import aiohttp
import httpx
import pytest
import requests
import urllib3

from fake_servers.faults import Disconnect

pytestmark = pytest.mark.usefixtures("any_loop")


@contextlib.contextmanager
def with_requests(server):
    with requests.Session() as session:
        yield lambda method, path: session.request(method, server.url + path, data=b"body").content


@contextlib.contextmanager
def with_urllib3(server):
    with urllib3.PoolManager(retries=False) as pool:
        yield lambda method, path: pool.request(method, server.url + path, body=b"body").data


@contextlib.contextmanager
def with_httpx(server):
    with httpx.Client(base_url=server.url) as client:
        yield lambda method, path: client.request(method, path, content=b"body").content


@contextlib.contextmanager
def with_http_client(server):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection:

        def call(method: str, path: str) -> bytes:
            connection.request(method, path, body=b"body")
            return connection.getresponse().read()

        yield call


@contextlib.contextmanager
def with_async_httpx(server):
    async def call(method: str, path: str) -> bytes:
        return (await client.request(method, path, content=b"body")).content

    with running_loop() as run:
        client = httpx.AsyncClient(base_url=server.url)
        yield lambda method, path: run(call(method, path))
        run(client.aclose())


@contextlib.contextmanager
def with_aiohttp(server):
    async def open_session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession()

    async def call(method: str, path: str) -> bytes:
        async with session.request(method, server.url + path, data=b"body") as response:
            return await response.read()

    with running_loop() as run:
        session = run(open_session())
        yield lambda method, path: run(call(method, path))
        run(session.close())


@contextlib.contextmanager
def running_loop():
    loop = asyncio.new_event_loop()
    try:
        yield loop.run_until_complete
    finally:
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


CLIENTS = {
    "requests": (with_requests, requests.ConnectionError),
    "urllib3": (with_urllib3, urllib3.exceptions.ProtocolError),
    "httpx": (with_httpx, httpx.RemoteProtocolError),
    "httpx async": (with_async_httpx, httpx.RemoteProtocolError),
    "aiohttp": (with_aiohttp, aiohttp.ServerDisconnectedError),
    "http.client": (with_http_client, http.client.RemoteDisconnected),
}


@pytest.fixture(params=CLIENTS)
def kind(request):
    return CLIENTS[request.param]


@pytest.fixture
def call(kind, server):
    with kind[0](server) as call:
        yield call


def test_plain_calls_on_one_connection(call, server, over):
    assert [call("POST", "/echo") for _ in range(3)] == [b"body"] * 3
    assert [(e.connection, e.sequence, e.body) for e in over(3)] == [(1, 1, b"body"), (1, 2, b"body"), (1, 3, b"body")]


@pytest.mark.parametrize("path", ["/stream", "/sized-stream"])
def test_streams_on_one_connection(call, path, server, over):
    assert [call("GET", path) for _ in range(2)] == [b"one two three"] * 2
    assert {e.connection for e in over(2)} == {1}


def test_responses_without_a_body_on_one_connection(call, over):
    assert [call("GET", "/nothing"), call("HEAD", "/hello"), call("GET", "/hello")] == [b"", b"", b"hello"]
    assert {e.connection for e in over(3)} == {1}


def test_disconnect_once_executed_raises(call, kind, server, over):
    server.inject(Disconnect(), times=1)
    with pytest.raises(kind[1]):
        call("POST", "/echo")
    [exchange] = over()
    assert (exchange.outcome, server.ledger.executions()) == ("ended by fault", 1)


def test_client_serves_again_after_a_disconnect(call, kind, server, over):
    call("POST", "/echo")
    server.inject(Disconnect(), times=1)
    with pytest.raises(kind[1]):
        call("POST", "/echo")
    assert call("POST", "/echo") == b"body"
    assert [e.connection for e in over(3)] == [1, 1, 2]
