"""The evaluation server: its protocol, its GPUs and their queue, on a virtual clock."""

from __future__ import annotations

import asyncio
import json
import re

import aiohttp
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from fake_servers import FakeEvalServer, ScenarioError, latency
from fake_servers.faults import Status

pytestmark = pytest.mark.asyncio
VIRTUAL = pytest.mark.looptime
ORDER = {"instance_id": "django-1", "container_id": "abc"}


@pytest_asyncio.fixture
async def session():
    unhurried = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=unhurried) as session:
        yield session


async def evaluate(session, server, path="/evaluate", **fields):
    async with session.post(server.url + path, json=ORDER | fields) as response:
        assert response.status == 200
        return await response.json()


async def health(session, server):
    async with session.get(f"{server.url}/health") as response:
        return await response.json()


@pytest.mark.parametrize("path", ["/evaluate", "/evaluate_v3"])
async def test_evaluation_has_a_result(session, path):
    async with FakeEvalServer(gpus=2) as server:
        answer = await evaluate(session, server, path)
        assert server.ledger.executions(f"POST {path}") == 1
    assert answer.keys() == {"success", "reward", "speedup", "exit_code", "timed_out", "gpu_id", "stdout"}
    assert (answer["success"], answer["exit_code"], answer["timed_out"], answer["gpu_id"]) == (True, 0, False, 0)
    assert 0 <= answer["reward"] <= 1 < answer["speedup"] * 100


async def test_results_are_the_same_in_every_run_with_the_same_seed(session):
    runs = []
    for seed in (1, 1, 2):
        async with FakeEvalServer(seed=seed) as server:
            runs.append([await evaluate(session, server, instance_id=name) for name in ("a", "b", "a")])
    assert runs[0] == runs[1] != runs[2]


@VIRTUAL
@pytest.mark.parametrize(("agents", "serial"), [(10, 300), (50, 1500)])
async def test_enough_gpus_make_serial_hours_one_evaluation_long(session, agents, serial):
    loop = asyncio.get_running_loop()
    async with FakeEvalServer(gpus=agents, duration=30.0) as server:
        begun_at = loop.time()
        answers = await asyncio.gather(*(evaluate(session, server) for _ in range(agents)))
        assert loop.time() - begun_at == 30
        assert (server.ledger.service_time(), server.ledger.speedup()) == (serial, agents)
    assert sorted(answer["gpu_id"] for answer in answers) == list(range(agents))


@VIRTUAL
async def test_who_waits_for_a_gpu_is_served_in_order_and_the_wait_is_no_service_time(session):
    async with FakeEvalServer(gpus=2, duration=30.0) as server:
        await asyncio.gather(*(evaluate(session, server, gpu_acquire_timeout=1000) for _ in range(6)))
        exchanges = server.ledger.exchanges
        assert [e.waited for e in exchanges] == [0, 0, 30, 30, 60, 60]
        assert {e.service_time for e in exchanges} == {30}
        assert [e.executed_at - e.received_at for e in exchanges] == [0, 0, 30, 30, 60, 60]
        assert (server.ledger.speedup(), server.ledger.peak_in_flight) == (2, 6)


@VIRTUAL
async def test_wait_for_a_gpu_ends_at_its_limit_and_nothing_was_executed(session):
    loop = asyncio.get_running_loop()
    async with FakeEvalServer(gpus=1, duration=1000.0) as server:
        first = asyncio.ensure_future(evaluate(session, server))
        await server.ledger.until(lambda ledger: ledger.executions() == 1)
        begun_at = loop.time()
        answer = await evaluate(session, server)
        assert loop.time() - begun_at == 300
        assert (server.ledger.exchanges[-1].waited, server.ledger.exchanges[-1].service_time) == (300, 0)
        assert answer == {
            "success": False,
            "error": "no GPU was free within 300 s",
            "error_detail": "1 of 1 are in use, and 0 requests wait",
        }
        assert server.ledger.executions() == 1
        assert (await first)["success"]


@VIRTUAL
async def test_health_tells_who_runs_and_who_waits(session):
    async with FakeEvalServer(gpus=2, duration=30.0) as server:
        calls = [asyncio.ensure_future(evaluate(session, server, instance_id=name)) for name in ("a", "b", "c")]
        await server.ledger.until(lambda ledger: ledger.count() == 3 and ledger.executions() == 2)
        busy = await health(session, server)
        await asyncio.gather(*calls)
        idle = await health(session, server)
    assert busy["status"] == idle["status"] == "healthy"
    assert (busy["gpus"], busy["gpus_in_use"], busy["queued"]) == (2, 2, 1)
    assert [run["gpu_id"] for run in busy["running"]] == [0, 1]
    assert (idle["gpus_in_use"], idle["queued"], idle["running"]) == (0, 0, [])


@VIRTUAL
async def test_client_that_leaves_gives_up_its_place_but_not_its_evaluation(session):
    async with FakeEvalServer(gpus=1, duration=30.0) as server:
        running, queued, waiting = [asyncio.ensure_future(evaluate(session, server)) for _ in range(3)]
        await server.ledger.until(lambda ledger: ledger.count() == 3 and ledger.executions() == 1)
        for call in (running, queued):
            call.cancel()
        await server.ledger.until(lambda ledger: ledger.in_flight == 1)
        assert (await health(session, server))["gpus_in_use"] == 1
        assert (await waiting)["success"]
        assert server.ledger.executions("POST /evaluate") == 2
        assert [e.waited for e in server.ledger.matching("POST /evaluate")] == [0, 0, 30]


@VIRTUAL
async def test_instances_have_durations_of_their_own(session):
    loop = asyncio.get_running_loop()
    async with FakeEvalServer(duration=latency.uniform(1, 2)) as server:
        server.script(re.compile("^slow"), duration=600)
        begun_at = loop.time()
        await evaluate(session, server, instance_id="slow-1")
        assert loop.time() - begun_at == 600
        await evaluate(session, server, instance_id="other")
        assert 601 <= loop.time() - begun_at <= 602


@VIRTUAL
async def test_evaluation_that_outlives_its_timeout_is_timed_out(session):
    async with FakeEvalServer(duration=100.0) as server:
        answer = await evaluate(session, server, timeout=60)
        assert (answer["success"], answer["timed_out"], answer["exit_code"]) == (True, True, 124)
        assert (answer["reward"], answer["speedup"]) == (0.0, -1.0)
        assert server.ledger.exchanges[0].service_time == 60
        assert not (await evaluate(session, server, timeout=100))["timed_out"]


async def test_scripts_set_what_comes_of_an_instance(session):
    async with FakeEvalServer() as server:
        server.script("good", reward=0.75, speedup=2.5, exit_code=3, stdout="done\n", times=1)
        server.script("good", error="flaky", error_detail="device lost")
        server.script(re.compile("broken"), build_output="error: no rule to make target")
        answers = [await evaluate(session, server, instance_id=name) for name in ("good", "good", "is-broken")]
    assert answers == [
        {
            "success": True,
            "reward": 0.75,
            "speedup": 2.5,
            "exit_code": 3,
            "timed_out": False,
            "gpu_id": 0,
            "stdout": "done\n",
        },
        {"success": False, "error": "flaky", "error_detail": "device lost"},
        {"success": False, "error": "build failed", "build_output": "error: no rule to make target"},
    ]


async def test_reset_forgets_scripts_and_gives_all_gpus_back(session):
    async with FakeEvalServer(gpus=1, duration=1000.0, time_scale=1.0) as server:
        server.script("a", error="no")
        first = asyncio.ensure_future(evaluate(session, server))
        await server.ledger.until(lambda ledger: ledger.executions() == 1)
        server.reset()
        with pytest.raises(aiohttp.ClientError):
            await first
        assert (await health(session, server))["gpus_in_use"] == 0
        server.script("a", reward=1.0, duration=0)
        assert (await evaluate(session, server, instance_id="a"))["reward"] == 1.0


@VIRTUAL
async def test_stop_leaves_no_evaluation_and_a_restart_finds_every_gpu_free(session):
    server = FakeEvalServer(gpus=1, duration=1000.0)
    async with server:
        call = asyncio.ensure_future(evaluate(session, server))
        await server.ledger.until(lambda ledger: ledger.executions() == 1)
        call.cancel()
        await server.ledger.until(lambda ledger: not ledger.in_flight)
    assert not [task for task in asyncio.all_tasks() if "FakeEvalServer" in str(task)]
    async with server:
        assert (await evaluate(session, server))["gpu_id"] == 0


async def test_error_after_the_client_has_gone_is_kept(session):
    class Broken(FakeEvalServer):
        async def _run(self, *arguments):
            await going_on.wait()
            raise LookupError("a bug")

    going_on = asyncio.Event()
    server = Broken()
    await server.start_in_loop()
    call = asyncio.ensure_future(evaluate(session, server))
    await server.ledger.until(lambda ledger: ledger.executions() == 1)
    call.cancel()
    await server.ledger.until(lambda ledger: not ledger.in_flight)
    going_on.set()
    for _ in range(5):  # rounds of the loop
        await asyncio.sleep(0)
    await server.stop_in_loop()
    assert "LookupError('a bug')" in str(server.errors[0])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ["body", "instance_id"]),
        ({"instance_id": "a"}, ["body", "container_id"]),
        (ORDER | {"instance_id": 5}, ["body", "instance_id"]),
        (ORDER | {"timeout": "long"}, ["body", "timeout"]),
        (ORDER | {"args": ["-x", 1]}, ["body", "args", 1]),
        (ORDER | {"gpu_acquire_timeout": None}, ["body", "gpu_acquire_timeout"]),
        ([], ["body"]),
    ],
)
async def test_malformed_order_is_refused_with_the_field_named(session, body, field):
    async with FakeEvalServer() as server:
        async with session.post(f"{server.url}/evaluate", json=body) as response:
            assert response.status == 422
            assert field in [problem["loc"] for problem in (await response.json())["detail"]]
        assert server.ledger.executions() == 0


async def test_injected_status_takes_no_gpu(session):
    async with FakeEvalServer(gpus=1) as server:
        server.inject(Status(503), on="POST /evaluate", times=1)
        async with session.post(f"{server.url}/evaluate", json=ORDER) as response:
            assert response.status == 503
        assert (await evaluate(session, server))["success"]
        assert server.ledger.executions() == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ORDERS = st.fixed_dictionaries(
    {},
    optional={
        "instance_id": JSON | st.text(),
        "container_id": JSON | st.text(),
        "timeout": JSON | st.floats(-5, 5),
        "gpu_acquire_timeout": JSON | st.floats(-5, 5),
        "args": JSON,
        "mode": JSON,
    },
)


@given(st.binary(max_size=60) | (JSON | ORDERS).map(lambda value: json.dumps(value).encode()))
async def test_no_body_stops_the_server(body):
    async with FakeEvalServer(gpus=1) as server, aiohttp.ClientSession() as session:
        for path in ("/evaluate", "/evaluate_v3"):
            async with session.post(server.url + path, data=body) as response:
                assert response.status in {200, 422}
                assert (await response.json()).keys() & {"success", "detail"}
        assert (await health(session, server))["gpus_in_use"] == 0
        assert server.errors == ()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FakeEvalServer(gpus=0), "gpus=0 is no count"),
        (lambda: FakeEvalServer(gpus="8"), "gpus='8' is no count"),
        (lambda: FakeEvalServer(duration=-1), "seconds from 0 up"),
        (lambda: FakeEvalServer(duration="30"), "neither seconds nor a distribution"),
        (lambda: FakeEvalServer().script(5), "neither an id nor a pattern"),
        (lambda: FakeEvalServer().script("a", exit_code=256), "allowed are 0 to 255"),
        (lambda: FakeEvalServer().script("a", times=0), "times=0 is no count"),
    ],
)
async def test_setting_that_makes_no_sense_is_refused(make, message):
    with pytest.raises(ScenarioError, match=message):
        make()
