"""Released clients through a proxy, with a fault: model streams, attached commands, websockets."""

import aiohttp
import docker
import httpx
import openai
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from fake_servers import ChaosProxy, FakeDockerServer, FakeLLMServer
from fake_servers.faults import Disconnect, Reset


def test_openai_s_stream_breaks_off_after_some_events():
    with FakeLLMServer() as real, ChaosProxy(real) as proxy:
        with openai.OpenAI(base_url=proxy.url + "/v1", api_key="k", max_retries=0) as client:
            ask = {"model": "m", "messages": [{"role": "user", "content": "one two three four"}], "stream": True}
            whole = [chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(**ask)]
            assert "".join(whole) == "one two three four"
            proxy.inject(Disconnect(after_events=3))
            got = []
            with pytest.raises((openai.APIConnectionError, httpx.RemoteProtocolError)):
                got += client.chat.completions.create(**ask)
        assert real.ledger.executions("POST /v1/chat/completions") == 2
        assert [e.outcome for e in proxy.ledger.exchanges] == ["answered", "ended by fault"]


@pytest.fixture
def engine():
    with FakeDockerServer() as real, ChaosProxy(real) as proxy:
        client = docker.DockerClient(base_url=proxy.url.replace("http", "tcp"))
        yield proxy, client
        client.close()


def test_docker_py_attaches_to_commands(engine):
    proxy, client = engine
    client.images.pull("python", tag="3.11-slim")
    container = client.containers.run("python:3.11-slim", "sleep infinity", detach=True)
    assert container.exec_run(["sh", "-c", "echo data >> /log; wc -l < /log"]).output == b"1\n"
    made = client.api.exec_create(container.id, ["cat"], stdin=True)
    sock = client.api.exec_start(made["Id"], socket=True)
    sock._sock.sendall(b"typed\n")
    assert b"typed" in sock._sock.recv(100)
    sock._sock.close()
    sock.close()
    proxy.inject(Reset(after_bytes=400), on="POST /*/exec/*/start")
    made = client.api.exec_create(container.id, ["sh", "-c", "seq 1 1000"])
    with pytest.raises(Exception, match=r"reset|Connection|IncompleteRead"):
        client.api.exec_start(made["Id"])
    container.remove(force=True)


async def websocket(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data.upper())
    return socket


@pytest.mark.asyncio
async def test_websocket_goes_through_and_is_cut():
    app = web.Application()
    app.router.add_get("/ws", websocket)
    async with (
        TestServer(app) as real,
        ChaosProxy(str(real.make_url("/"))) as proxy,
        aiohttp.ClientSession() as session,
    ):
        async with session.ws_connect(proxy.url + "/ws") as socket:
            for word in ("one", "two"):
                await socket.send_str(word)
                assert (await socket.receive_str()) == word.upper()
        await proxy.ledger.until(lambda ledger: not ledger.in_flight, timeout=5)
        [exchange] = proxy.ledger.exchanges
        assert (exchange.status, exchange.outcome) == (101, "answered")
        proxy.inject(Disconnect(after_bytes=300))
        async with session.ws_connect(proxy.url + "/ws") as socket:
            for _ in range(200):
                await socket.send_str("word by word")
                if (await socket.receive()).type is aiohttp.WSMsgType.CLOSED:
                    break
            assert socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE
