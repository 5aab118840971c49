"""The example service: its answers, its slots, and its life under `adev runserver`."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
import requests
from aiohttp.test_utils import TestServer

from fake_servers.agent import PipelinePool
from fake_servers.faults import Status
from pytest_httpconc import CheckFailed
from pytest_httpconc.clients.agent_stream import SessionError, ask, events

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "agent_service"
LONGEST_START = 60.0


@pytest.fixture
def service(monkeypatch, fake_llm, fake_docker):
    """The module of the service, which calls the fixtures' servers."""
    for name, value in (("PIPELINE_POOL_SIZE", "2"), ("MAX_CONCURRENT_REQUESTS", "3")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LLM_URL", fake_llm.url)
    monkeypatch.setenv("DOCKER_URL", fake_docker.url)
    spec = importlib.util.spec_from_file_location("agent_service", FOLDER / "app.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def types(found):
    return [event["type"] for event in found]


def serving(service, work):
    """Run ``work(url)`` while the service runs."""

    async def main():
        server = TestServer(service.create_app())
        await server.start_server()
        try:
            return await work(str(server.make_url("")).rstrip("/"))
        finally:
            await server.close()

    return asyncio.run(main())


def test_question_is_worked_at_with_tools_and_model(service, fake_docker):
    found = serving(service, lambda url: ask(url, "What's new?"))
    assert types(found) == ["session_start", "thinking", "tool_result", "tool_result", "answer", "completed"]
    assert found[2]["output"] == "What's new?\n"
    assert found[4]["content"] == "What's new?"
    assert fake_docker.ledger.count("POST /cleanup") == 1


def test_sessions_are_isolated_and_no_more_run_than_there_are_pipelines(service, fake_llm, httpconc):
    httpconc.assert_isolated(service.create_app(), sessions=6)
    assert fake_llm.ledger.count() == 6
    assert fake_llm.ledger.peak_in_flight <= 2


def test_pipeline_that_requests_share_is_caught(service, fake_llm, fake_docker, httpconc):
    shared = service.Pipeline(fake_llm.url, fake_docker.url)

    class OneForAll(PipelinePool):
        @asynccontextmanager
        async def instance(self, task="", **options):
            yield shared

    fake_docker.hold(until_in_flight=3, on="POST /start")
    with pytest.raises(CheckFailed, match="HC501"):
        httpconc.assert_isolated(service.create_app(OneForAll(object)), sessions=3)


def test_error_of_the_model_ends_the_session_and_gives_the_pipeline_back(service, fake_llm, fake_docker):
    async def work(url):
        fake_llm.inject(Status(500), times=3)
        for _ in range(3):
            with pytest.raises(SessionError, match="500"):
                await ask(url, "x")
        return await ask(url, "x")

    assert types(serving(service, work))[-1] == "completed"
    assert fake_docker.ledger.count("POST /cleanup") == 4


def test_clients_that_leave_give_their_pipelines_back(service, fake_llm):
    async def leave(url):
        async with aclosing(events(url, "x")) as found:
            async for event in found:
                if event["type"] == "tool_result":
                    return

    async def work(url):
        fake_llm.delay(3600, times=3)
        for _ in range(3):
            await leave(url)
        return await ask(url, "x")

    assert types(serving(service, work))[-1] == "completed"


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"[]", 422), (b'{"question": " "}', 422)])
def test_question_that_is_none_is_refused(service, body, status):
    def post(url):
        return asyncio.to_thread(requests.post, f"{url}/chat/stream", data=body, timeout=10)

    assert serving(service, post).status_code == status


def free_ports(count):
    """Ports for a process that has to be told some: below those which systems give to whoever asks for any."""
    found = []
    for port in random.sample(range(20_000, 32_000), 200):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no port is free")


@pytest.fixture
def adev(service):
    """The URL of the service as `adev runserver` runs it, in a process of its own, which is stopped in the end."""
    port, aux_port = free_ports(2)
    command = [sys.executable, "-m", "aiohttp_devtools", "runserver", str(FOLDER), "--no-livereload"]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--aux-port", str(aux_port)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield f"http://127.0.0.1:{port}"
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=LONGEST_START)
        assert "Acquired pipeline instance 1 for task" in output
        assert "Concurrency: 1/3 active requests" in output
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_until_it_answers(url):
    deadline = time.monotonic() + LONGEST_START
    while True:
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"{url}/health", timeout=LONGEST_START).json()
        assert time.monotonic() < deadline, "adev runserver does not answer"
        time.sleep(0.05)


def test_adev_runs_the_service(adev):
    assert wait_until_it_answers(adev)["pool_size"] == 2
    response = requests.post(f"{adev}/chat/stream", json={"question": "What is new?"}, timeout=LONGEST_START)
    found = [json.loads(line.removeprefix("data: ")) for line in response.text.splitlines() if line]
    assert (found[-2]["content"], found[-1]["type"]) == ("What is new?", "completed")
