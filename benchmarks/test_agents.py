"""10 and 50 agents with evaluations of 30 s, in real time that is compressed: by threads, and by gather."""

import pytest
from models import PAUSE, Worker, instances

from fake_servers import FakeEvalServer
from pytest_httpconc.clients.agent import run_agents

pytestmark = pytest.mark.benchmark

EVALUATION = 30.0  # seconds
#: Real seconds to one of the server's: an evaluation takes longer than what the agents do besides, on a slow machine.
TIME_SCALES = {10: 0.005, 50: 0.02}


@pytest.mark.parametrize("how", ["threads", "gather"])
@pytest.mark.parametrize("agents", [10, 50])
def test_agents(httpconc_benchmark, docker, agents, how):
    def run():
        results = run_agents(
            instances(agents),
            how=how,
            workers=agents,
            model=Worker(),
            docker_server_url=docker.url,
            eval_server_url=evals.url,
        )
        assert {result["exit_status"] for result in results} == {"Submitted"}

    with FakeEvalServer(host="process", duration=EVALUATION, time_scale=TIME_SCALES[agents]) as evals:
        result = httpconc_benchmark.run(run, calls=1, concurrency=1, latency=PAUSE, server=evals)
    assert result.candidate.requests == agents
    assert result.candidate.speedup > agents / 3  # one after the other: 1
