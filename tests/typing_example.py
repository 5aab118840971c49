"""What a user writes, checked by mypy and never run: the public names keep their types."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator

import pytest
import requests

from fake_servers import (
    ChaosProxy,
    Exchange,
    FakeAgentServer,
    FakeDockerServer,
    FakeLLMServer,
    FakeServer,
    Injection,
    Ledger,
    Moment,
    Request,
    Response,
    Scenario,
    Stream,
    latency,
)
from fake_servers.agent import AgentSettings, ConcurrencyLimiter, PipelinePool
from fake_servers.faults import Disconnect, Reset, Stall, Status
from pytest_httpconc import CheckFailed, ClientContract, Finding, HttpConc
from pytest_httpconc.clients.agent import TaskResult, run_agents
from pytest_httpconc.clients.batching import BatchQueue, concurrently
from pytest_httpconc.clients.docker import RemoteDockerEnvironment, request_timeout
from pytest_httpconc.clients.llm import OpenRouterModel
from pytest_httpconc.clients.resilience import CircuitBreaker, Fallback, ModelFactory, RetryPolicy
from pytest_httpconc.load import ContractUser

server = FakeServer(scenario=Scenario([Injection(on="POST /orders", fault=Status(503), times=1)], seed=7))

storm = FakeServer(scenario=Scenario.from_toml("storm.toml"))
text: str = storm.scenario.to_toml()


@server.route("POST /orders")
async def create(request: Request) -> Response:
    return Response.json({"id": 1}, status=201)


@server.route("GET /events")
def events(request: Request) -> Stream:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"

    return Stream(chunks(), content_type="text/event-stream")


proxy: ChaosProxy = ChaosProxy(server, verify="ca.pem", connect_timeout=3.0, keep_host=True, seed=7)


def test_everything(fake_docker: FakeDockerServer, httpconc: HttpConc) -> None:
    fake_docker.delay(0.05, on="POST /execute")
    fake_docker.delay(latency.lognormal(median=0.05, sigma=0.4))
    fake_docker.inject(Disconnect(at=Moment.EXECUTED), on="POST /execute", times=1, after=0, probability=1.0)
    fake_docker.inject(Reset(after_bytes=17))
    fake_docker.inject(Stall(at=Moment.REQUEST, seconds=9))
    fake_docker.hold(until_in_flight=10, give_up=2.0, on="POST /execute")
    with RemoteDockerEnvironment(server_url=fake_docker.url, image="python:3.11-slim") as environment:
        returncode: int = environment.execute("true")["returncode"]
    ledger: Ledger = fake_docker.ledger
    exchanges: tuple[Exchange, ...] = ledger.exchanges
    reached: bool = ledger.wait_until(lambda now: now.count("POST /execute") == len(exchanges), timeout=5)
    timeout: float = request_timeout(1800)
    try:
        httpconc.assert_at_most_once(fake_docker, on="POST /execute")
    except CheckFailed as failed:
        findings: tuple[Finding, ...] = failed.findings
        raise AssertionError((findings, returncode, reached, timeout)) from failed


async def in_the_running_loop() -> float:
    async with FakeServer() as inner:
        await inner.ledger.until(lambda now: now.in_flight == 0, timeout=1.0)
        return inner.ledger.speedup("POST /execute")


def test_model(httpconc: HttpConc) -> None:
    with FakeLLMServer(ttft=0.2, itl=latency.lognormal(median=0.02, sigma=0.4), max_num_seqs=8) as model:
        model.script("ping", text="pong", times=1)
        model.script(re.compile("weather"), tool_calls=[("get_weather", {"city": "Paris"})])
        model.script(model="gpt-4o", status=529, error="Overloaded", after_events=3)
        model.generate(tokens=50)
        waiting: int = model.queued + model.running
        httpconc.assert_at_most_once(model, on=f"POST /v1/{waiting}")


async def work_in_a_pool() -> list[int]:
    settings = AgentSettings.recommended("light")
    limiter = ConcurrencyLimiter(max_concurrent=settings.max_concurrent)
    pool: PipelinePool[list[int]] = PipelinePool(list, pool_size=settings.pool_size)
    async with limiter.slot(wait_limit=300), pool.instance(task="X") as pipeline:
        return pipeline


async def test_agents(fake_agent: FakeAgentServer, httpconc: HttpConc) -> None:
    await httpconc.assert_isolated(fake_agent, sessions=3)
    with FakeAgentServer(model="semaphore", max_concurrent=3, pool_size=5, duration=40.0, wait_limit=300.0) as server:
        await httpconc.assert_isolated(server.url, ask=lambda url, question: f"{url} {question}", timeout=60)


async def test_resilience(httpconc: HttpConc) -> None:
    async def double(number: int) -> int:
        return 2 * number

    policy, breaker = RetryPolicy(jitter=0.5), CircuitBreaker(threshold=3)
    doubled: int = await policy.call(double, 1) + await breaker.call(double, 1)
    async with BatchQueue(concurrently(double), batch_size=10) as queue:
        doubled += await queue.submit(2, priority=1)
    factory = ModelFactory(api_keys={"groq": "key"})
    async with Fallback(factory.create("groq"), factory.create("openai", timeout=30)) as model:
        content: str = (await model.query([{"role": "user", "content": f"{doubled}"}])).content
    httpconc.assert_backs_off(server, on="POST /orders", at_least=0.5, at_most_together=len(content))


def test_many_agents(fake_docker: FakeDockerServer) -> None:
    tasks = [{"instance_id": "a"}]
    results: list[TaskResult | BaseException] = run_agents(
        tasks,
        how="gather",
        model=OpenRouterModel("m", api_key="key"),
        docker_server_url=fake_docker.url,
        eval_server_url=server.url,
    )
    assert results


class TestMyClient(ClientContract):
    max_connections = 10
    read_timeout = 30.0
    retry_statuses = frozenset({429})
    known = {"test_every_truncation": {"HC601": "reads no length"}}  # noqa: RUF012 -- as users write it

    @pytest.fixture
    def client(self) -> Iterator[requests.Session]:
        with requests.Session() as session:
            yield session

    def call(self, client: requests.Session, url: str, payload: dict[str, str]) -> object:
        return client.post(url, json=payload, timeout=self.read_timeout).json()


class MyUser(ContractUser):
    contract = TestMyClient
    server = FakeServer(host="process")
    shares_client = True
    min_concurrency = 10
    ignore = ("HC103",)
