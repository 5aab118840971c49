"""Each client beside the wrong one that it replaced, at servers that do what their calls are about."""

import asyncio
from contextlib import asynccontextmanager
from functools import partial

import pytest
from models import PAUSE, Refused, Worker, instances

from fake_servers import FakeDockerServer, FakeEvalServer
from fake_servers.faults import Disconnect
from pytest_httpconc import Side
from pytest_httpconc.clients.agent import LightAgent, gather_agents
from pytest_httpconc.clients.docker import RemoteDockerEnvironment
from pytest_httpconc.clients.evals import evaluate, evaluation_run
from pytest_httpconc.clients.legacy.agent import BlockingAgent, CarelessAgent
from pytest_httpconc.clients.legacy.docker import (
    LeakyEnvironment,
    PerCallEnvironment,
    RetryingEnvironment,
    ShortTimeoutEnvironment,
)
from pytest_httpconc.clients.legacy.evals import blocking_evaluate, sessionless_evaluate

pytestmark = [pytest.mark.benchmark, pytest.mark.httpconc(leaks="allow")]

COMMANDS = 10
CALLS = {"calls": COMMANDS, "concurrency": 1, "latency": 0.0}
AGENTS = 5
SUBMISSION = {
    "exit_status": "Submitted",
    "result": "",
    "container_id": "abc",
    "instance_id": "task",
    "dataset_name": "",
    "split": "",
}


def environment(kind, server):
    return partial(kind, server_url=server.url, image="python:3.12")


def execute(container):
    return container.execute("true")


def live(kind, server):
    with environment(kind, server)() as container:
        execute(container)


def test_session_beside_none(httpconc_benchmark, docker):
    kinds = (RemoteDockerEnvironment, PerCallEnvironment)
    result = httpconc_benchmark.compare(
        *(Side(execute, environment(kind, docker)) for kind in kinds), **CALLS, server=docker
    )
    assert (result.candidate.connections, result.baseline.connections) == (1, COMMANDS)


def test_commands_sent_once_beside_three_tries(httpconc_benchmark, docker):
    docker.inject(Disconnect(), on="POST /execute")
    kinds = (RemoteDockerEnvironment, RetryingEnvironment)
    result = httpconc_benchmark.compare(
        *(Side(execute, environment(kind, docker)) for kind in kinds), **CALLS, server=docker
    )
    assert (result.candidate.requests, result.baseline.requests) == (COMMANDS, 3 * COMMANDS)


def test_long_command_beside_a_timeout_of_30_seconds(httpconc_benchmark):
    class Hasty(ShortTimeoutEnvironment):
        request_limit = 0.03  # 30 s of the server's

    codes = {RemoteDockerEnvironment: set(), Hasty: set()}
    with FakeDockerServer(host="process", time_scale=0.001) as server:
        server.delay(150.0, on="POST /execute")  # far beyond, as a machine may be busy

        def side(kind):
            return Side(lambda container: codes[kind].add(execute(container)["returncode"]), environment(kind, server))

        httpconc_benchmark.compare(*map(side, codes), calls=2, concurrency=1, latency=PAUSE, server=server)
    assert codes[RemoteDockerEnvironment] == {0}
    assert -1 in codes[Hasty]  # on a machine that is busy, a client may look so late that the answer is there


def test_closed_sessions_beside_kept_ones(httpconc_benchmark, docker):
    try:
        httpconc_benchmark.compare(
            partial(live, RemoteDockerEnvironment, docker),
            partial(live, LeakyEnvironment, docker),
            calls=3,
            concurrency=1,
            latency=PAUSE,  # no passes: what leaks would leak in each of them
            server=docker,
        )
        assert docker.ledger.open_connections == len(LeakyEnvironment.registry) > 0
    finally:
        while LeakyEnvironment.registry:
            LeakyEnvironment.registry.pop().close()


@asynccontextmanager
async def run_of_agents():
    async with evaluation_run(agents=AGENTS):
        yield


@pytest.mark.parametrize("wrong", [blocking_evaluate, sessionless_evaluate])
def test_pooled_evaluations_beside(httpconc_benchmark, wrong):
    def side(function):
        async def call(run):
            assert await function(**SUBMISSION, eval_server_url=server.url) == (1.0, 2.0)

        return Side(call, run_of_agents)

    with FakeEvalServer(host="process", duration=30.0, time_scale=0.001) as server:
        server.script("task", reward=1.0, speedup=2.0)
        result = httpconc_benchmark.compare(
            side(evaluate), side(wrong), calls=2 * AGENTS, concurrency=AGENTS, server=server
        )
    if wrong is blocking_evaluate:
        assert (result.candidate.peak_in_flight, result.baseline.peak_in_flight) == (AGENTS, 1)
    else:
        assert result.candidate.connections <= AGENTS
        assert result.baseline.connections == 2 * AGENTS


def run_of(agent_class, model, docker, evals):
    def run():
        task = {"model": model, "docker_server_url": docker.url, "eval_server_url": evals.url}
        asyncio.run(gather_agents(instances(AGENTS), agent_class=agent_class, **task))

    return run


def test_agents_in_one_loop_beside_agents_that_block_it(httpconc_benchmark, evals):
    with FakeDockerServer(host="process", time_scale=0.001) as docker:
        docker.delay(30.0, on="POST /execute")
        result = httpconc_benchmark.compare(
            run_of(LightAgent, Worker(), docker, evals),
            run_of(BlockingAgent, Worker(), docker, evals),
            calls=1,
            concurrency=1,
            latency=PAUSE,
            server=docker,
        )
    assert result.speedup > 1


def test_agents_that_clean_up_beside_agents_that_do_so_after_a_success(httpconc_benchmark, docker, evals):
    result = httpconc_benchmark.compare(
        run_of(LightAgent, Refused(), docker, evals),
        run_of(CarelessAgent, Refused(), docker, evals),
        calls=1,
        concurrency=1,
        latency=PAUSE,
        server=docker,
    )
    assert result.candidate.requests == result.baseline.requests
