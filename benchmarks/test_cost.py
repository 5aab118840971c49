"""What our clients cost beside the bare library that they use: 5 % more CPU for a call is the goal."""

from contextlib import asynccontextmanager
from functools import partial

import aiohttp
import pytest
import requests
from requests.adapters import HTTPAdapter

from fake_servers import FakeEvalServer, FakeLLMServer
from pytest_httpconc import Side
from pytest_httpconc.clients.docker import KEEP_ALIVE_HEADERS, RemoteDockerEnvironment
from pytest_httpconc.clients.evals import LIMIT, LIMIT_PER_HOST, evaluate, evaluation_run
from pytest_httpconc.clients.llm import ChatClient, OpenRouterModel

pytestmark = pytest.mark.benchmark

MOST = 1.05
MATTERS = 1.12
MESSAGES = [{"role": "user", "content": "hello"}]
CALLS = {"calls": 20, "concurrency": 1, "latency": 0.0}
BESIDE = {"calls": 20, "concurrency": 5, "latency": 0.0}


def bare_session():
    session = requests.Session()
    session.headers.update(KEEP_ALIVE_HEADERS)
    session.mount("http://", HTTPAdapter(pool_connections=5, pool_maxsize=10))
    return session


@asynccontextmanager
async def bare_aiohttp():
    connector = aiohttp.TCPConnector(limit=LIMIT, limit_per_host=LIMIT_PER_HOST)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


def check(result):
    """As CPU of two revisions is judged: it takes an effect, and an interval that lies above the bound."""
    assert result.cpu.low <= MOST or result.cpu < MATTERS, f"{result.cpu} times the CPU of the bare library"


def test_commands(httpconc_benchmark, docker):
    with RemoteDockerEnvironment(server_url=docker.url, image="python:3.12") as known:
        body = {
            "container_id": known.container_id,
            "command": "true",
            "cwd": "/",
            "timeout": 1800,
            "env": {},
            "forward_env": [],
            "executable": "docker",
        }

        def bare(session):
            assert session.post(f"{docker.url}/execute", json=body, timeout=1830).json()["returncode"] == 0

        def ours(environment):
            assert environment.execute("true")["returncode"] == 0

        make = partial(RemoteDockerEnvironment, server_url=docker.url, image="python:3.12")
        check(httpconc_benchmark.compare(Side(ours, make), Side(bare, bare_session), **CALLS, server=docker))


def test_evaluations(httpconc_benchmark):
    body = {"instance_id": "task", "container_id": "abc", "mode": "benchmark"}

    async def bare(session):
        async with session.post(f"{server.url}/evaluate", json=body) as response:
            assert (await response.json())["success"]

    async def ours(run):
        _, speedup = await evaluate("Submitted", "", "abc", "task", "", "", server.url)
        assert speedup > 0

    with FakeEvalServer(host="process") as server:
        check(httpconc_benchmark.compare(Side(ours, evaluation_run), Side(bare, bare_aiohttp), **BESIDE, server=server))


def test_completions_by_requests(httpconc_benchmark):
    body = {"model": "openai/gpt-4o", "messages": MESSAGES, "usage": {"include": True}}

    def bare(session):
        answer = session.post(f"{server.url}/api/v1/chat/completions", json=body, timeout=60).json()
        assert answer["usage"]["cost"] is not None

    def ours(model):
        assert model.query(MESSAGES).content

    with FakeLLMServer(host="process") as server:
        make = partial(OpenRouterModel, "openai/gpt-4o", api_key="any", base_url=f"{server.url}/api/v1")
        bare_with_key = partial(with_key, bare_session)
        check(httpconc_benchmark.compare(Side(ours, make), Side(bare, bare_with_key), **CALLS, server=server))


def with_key(make):
    session = make()
    session.headers["Authorization"] = "Bearer any"
    return session


def test_completions_by_aiohttp(httpconc_benchmark):
    body = {"model": "gpt-4o", "messages": MESSAGES}

    async def bare(session):
        async with session.post(f"{server.url}/v1/chat/completions", json=body) as response:
            assert (await response.json())["choices"][0]["message"]["content"]

    async def ours(client):
        assert (await client.complete("gpt-4o", MESSAGES)).content

    with FakeLLMServer(host="process") as server:
        make = partial(ChatClient, f"{server.url}/v1")
        check(httpconc_benchmark.compare(Side(ours, make), Side(bare, bare_aiohttp), **BESIDE, server=server))
