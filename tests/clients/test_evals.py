"""The evaluation client against the server, and the two mistakes it once made."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from fake_servers import FakeEvalServer, Moment
from fake_servers.faults import Disconnect, HalfClose, Malformed, Redirect, Reset, Stall, Status, WrongLength
from pytest_httpconc import CheckFailed
from pytest_httpconc.clients.evals import (
    Limits,
    evaluate,
    evaluate_in_batches,
    evaluate_info,
    evaluation_run,
    safe_evaluate,
)
from pytest_httpconc.clients.legacy.evals import blocking_evaluate, sessionless_evaluate

NOTHING = (0.0, -1.0)


def call(server, number=0, exit_status="Submitted"):
    return {
        "exit_status": exit_status,
        "result": "diff --git",
        "container_id": f"container-{number}",
        "instance_id": f"instance-{number}",
        "dataset_name": "bench",
        "split": "test",
        "eval_server_url": server.url,
    }


def run_one(server, **changes):
    return asyncio.run(evaluate_info(**call(server) | changes))


def test_result_is_reward_and_speedup_and_everything_besides(fake_eval):
    fake_eval.script("instance-0", reward=0.5, speedup=1.25)
    assert asyncio.run(evaluate(**call(fake_eval))) == (0.5, 1.25)
    reward, speedup, info = run_one(fake_eval)
    assert (reward, speedup) == (0.5, 1.25)
    assert info["request"] == {
        "url": f"{fake_eval.url}/evaluate",
        "body": {"instance_id": "instance-0", "container_id": "container-0", "mode": "benchmark"},
    }
    assert info["response"]["status"] == 200
    assert info["extracted"] == {"reward": 0.5, "speedup": 1.25}
    assert (info["meta"]["dataset_name"], info["meta"]["split"], info["meta"]["error"]) == ("bench", "test", None)


@pytest.mark.parametrize("exit_status", ["LimitsExceeded", "", "submitted"])
def test_what_was_not_submitted_is_not_sent(fake_eval, exit_status):
    reward, speedup, info = run_one(fake_eval, exit_status=exit_status)
    assert (reward, speedup) == NOTHING
    assert repr(exit_status) in info["meta"]["error"]
    assert fake_eval.ledger.count() == 0


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Status(400), "HTTP 400"),
        (Status(500), "HTTP 500"),
        (Status(503, {"Retry-After": "1"}), "HTTP 503"),
        (Redirect("http://127.0.0.1:1/"), "HTTP 307"),
        (Status(200, body=b"<html>"), "Expecting value"),
        (Status(200, body=b"[]"), "no JSON object"),
        (Status(200, body=b'{"success": true}'), "reward is None"),
        (Status(200, body=b'{"success": true, "reward": true, "speedup": 1}'), "reward is True"),
        (Status(200, body=b'{"success": true, "reward": NaN, "speedup": 1}'), "reward is nan"),
        (Status(200, body=b'{"success": "yes", "reward": 1, "speedup": 1}'), "evaluation failed"),
        (Status(200, body=b'{"success": true, "reward": 1' + b"0" * 400 + b', "speedup": 1}'), "no number"),
        (Status(200, body=b"\xff\xfe"), ""),
        (Status(200, body=b"[" * 100_000), ""),
        (Disconnect(at=Moment.REQUEST), ""),
        (Disconnect(), ""),
        (Disconnect(after_bytes=10), ""),
        (Disconnect(after_bytes=120), ""),
        (Reset(), ""),
        (Reset(after_bytes=120), ""),
        (Malformed("status"), ""),
        (Malformed("chunk"), ""),
        (WrongLength(9), ""),
    ],
    ids=str,
)
def test_what_goes_wrong_is_told_and_not_raised(fake_eval, httpconc, fault, reason):
    fake_eval.inject(fault)
    reward, speedup, info = run_one(fake_eval)
    assert (reward, speedup) == NOTHING
    assert info["meta"]["error"]
    assert reason in info["meta"]["error"]
    assert info["extracted"] == {"reward": 0.0, "speedup": -1.0}
    httpconc.assert_at_most_once(fake_eval, on="POST /evaluate")
    assert fake_eval.ledger.count() == 1


@pytest.mark.parametrize(
    "script", [{"error": "no such container"}, {"build_output": "no rule", "error": "no such container"}]
)
def test_failed_evaluation_has_the_servers_reason(fake_eval, script):
    fake_eval.script("instance-0", **script)
    *result, info = run_one(fake_eval)
    assert tuple(result) == NOTHING
    assert info["meta"]["error"] == "evaluation failed: no such container"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nowhere", "", "http://[::1", "ftp://x"])
def test_server_that_is_not_there_is_told_and_not_raised(fake_eval, url):
    *result, info = run_one(fake_eval, eval_server_url=url)
    assert tuple(result) == NOTHING
    assert info["meta"]["error"]


@pytest.mark.asyncio
@pytest.mark.looptime
async def test_call_ends_after_an_hour_in_all():
    loop = asyncio.get_running_loop()
    async with FakeEvalServer() as server:
        server.inject(Stall())
        begun_at = loop.time()
        *result, info = await evaluate_info(**call(server))
        assert loop.time() - begun_at == pytest.approx(3600, abs=1)  # aiohttp rounds up to a whole second
        assert (tuple(result), info["meta"]["error"]) == (NOTHING, "timed out")


@pytest.mark.asyncio
@pytest.mark.looptime
async def test_run_may_have_another_timeout():
    async with FakeEvalServer() as server:
        server.delay(4000)
        server.script("instance-0", reward=1.0, speedup=2.0)
        assert await evaluate(**call(server)) == NOTHING
        async with evaluation_run(limits=Limits(total=7200)):
            assert await evaluate(**call(server)) == (1.0, 2.0)


def test_calls_in_flight_together_share_one_pool(fake_eval, httpconc):
    fake_eval.hold(until_in_flight=50, give_up=20)

    async def main():
        return await asyncio.gather(*(evaluate(**call(fake_eval, number)) for number in range(120)))

    assert all(reward >= 0 for reward, _ in asyncio.run(main()))
    assert fake_eval.ledger.count() == 120
    httpconc.assert_connections(fake_eval, at_most=50)
    httpconc.assert_concurrency(fake_eval, at_least=50)


def test_many_agents_have_twice_the_connections(fake_eval, httpconc):
    fake_eval.hold(until_in_flight=100, give_up=20)

    async def main():
        async with evaluation_run(agents=50):
            await asyncio.gather(*(evaluate(**call(fake_eval, number)) for number in range(150)))

    asyncio.run(main())
    assert fake_eval.ledger.peak_connections == 100
    httpconc.assert_concurrency(fake_eval, at_least=100)


@pytest.mark.parametrize(("agents", "limits"), [(1, (100, 50)), (49, (100, 50)), (50, (200, 100)), (500, (200, 100))])
def test_limits_follow_the_agents(agents, limits):
    assert Limits.of(agents) == Limits(*limits, 3600)


@pytest.mark.parametrize("limits", [{"connections": 0}, {"connections_per_host": 1.5}, {"total": 0}])
def test_limits_that_make_no_sense_are_refused(limits):
    with pytest.raises(ValueError, match="must be"):
        Limits(**limits)


def test_run_keeps_its_connections_between_calls(fake_eval, httpconc):
    async def main():
        async with evaluation_run():
            for number in range(5):
                await evaluate(**call(fake_eval, number))

    asyncio.run(main())
    httpconc.assert_connections(fake_eval, at_most=1)
    assert [e.sequence for e in fake_eval.ledger.exchanges] == [1, 2, 3, 4, 5]


def test_runs_side_by_side_have_pools_of_their_own(fake_eval):
    async def run():
        async with evaluation_run():
            return [await evaluate(**call(fake_eval)) for _ in range(3)]

    async def main():
        await asyncio.gather(run(), run())

    asyncio.run(main())
    assert [c.exchanges for c in fake_eval.ledger.connections] == [3, 3]


def test_threads_with_loops_of_their_own_work_side_by_side(fake_eval, httpconc):
    workers = min(max(os.cpu_count() or 1, 2) * 2, 20)
    fake_eval.hold(until_in_flight=workers, give_up=20)
    with ThreadPoolExecutor(workers) as pool:
        results = list(pool.map(lambda number: asyncio.run(evaluate(**call(fake_eval, number))), range(12)))
    assert len(results) == 12
    httpconc.assert_concurrency(fake_eval, at_least=workers)


def test_batches_are_worked_through_twenty_at_a_time(fake_eval, httpconc):
    fake_eval.script("instance-7", reward=0.7, speedup=1.7)
    fake_eval.hold(until_in_flight=20, give_up=20)
    calls = [call(fake_eval, number) for number in range(45)]
    results = asyncio.run(evaluate_in_batches(calls))
    assert (len(results), results[7]) == (45, (0.7, 1.7))
    assert (fake_eval.ledger.peak_in_flight, fake_eval.ledger.peak_connections) == (20, 20)
    httpconc.assert_connections(fake_eval, at_most=20)


def test_what_one_of_a_batch_raises_stands_in_its_place(fake_eval):
    calls = [call(fake_eval, 1), call(fake_eval, 2) | {"eval_server_url": None}, call(fake_eval, 3)]
    first, second, third = asyncio.run(evaluate_in_batches(calls, batch_size=2))
    assert isinstance(second, AttributeError)
    assert {type(first), type(third)} == {tuple}
    assert fake_eval.ledger.count() == 2


@pytest.mark.parametrize("size", [0, -1, 2.5, True, None])
def test_batch_of_no_size_is_refused(size):
    with pytest.raises(ValueError, match="must be a whole number from 1 up"):
        asyncio.run(evaluate_in_batches([], batch_size=size))


def test_safe_evaluation_turns_an_exception_into_an_answer(fake_eval):
    fake_eval.script("instance-0", reward=0.5, speedup=1.25)
    good = asyncio.run(safe_evaluate(**call(fake_eval)))
    assert (good["reward"], good["speedup"], good["info"]["meta"]["error"]) == (0.5, 1.25, None)
    bad = asyncio.run(safe_evaluate(**call(fake_eval) | {"eval_server_url": None}))
    assert bad == {"error": "'NoneType' object has no attribute 'rstrip'", "reward": 0.0}


def test_cancelled_evaluation_leaves_no_connection(fake_eval):
    fake_eval.inject(Stall())

    async def main():
        task = asyncio.ensure_future(safe_evaluate(**call(fake_eval)))
        await asyncio.to_thread(fake_eval.ledger.wait_until, lambda ledger: ledger.in_flight == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    fake_eval.ledger.wait_until(lambda ledger: not ledger.open_connections)


def test_stale_connection_is_no_reason_to_evaluate_twice(fake_eval, httpconc):
    fake_eval.inject(HalfClose(), times=1)

    async def main():
        async with evaluation_run():
            for number in range(3):
                await evaluate(**call(fake_eval, number))

    asyncio.run(main())
    httpconc.assert_at_most_once(fake_eval, on="POST /evaluate")


def test_thread_that_is_started_inside_a_run_has_a_session_of_its_own(fake_eval):
    async def main():
        async with evaluation_run():
            await evaluate(**call(fake_eval, 1))
            return await asyncio.to_thread(lambda: run_one(fake_eval)[2]["meta"]["error"])

    assert asyncio.run(main()) is None


# -- the mistakes ---------------------------------------------------------------------------------------------


def ten(function, server):
    async def main():
        return await asyncio.gather(*(function(**call(server, number)) for number in range(10)))

    return asyncio.run(main())


def test_right_client_runs_ten_side_by_side(fake_eval, httpconc):
    fake_eval.hold(until_in_flight=10, give_up=20)
    ten(evaluate, fake_eval)
    httpconc.assert_concurrency(fake_eval, at_least=10)


@pytest.mark.httpconc(leaks="allow")
def test_blocking_client_is_caught(fake_eval, httpconc):
    fake_eval.hold(until_in_flight=2, give_up=0.05)
    assert len(ten(blocking_evaluate, fake_eval)) == 10
    with pytest.raises(CheckFailed) as failure:
        httpconc.assert_concurrency(fake_eval, at_least=10)
    assert [finding.code for finding in failure.value.findings] == ["HC401", "HC402"]
    assert fake_eval.ledger.peak_in_flight == 1


def test_sessionless_client_is_caught(fake_eval, httpconc):
    async def main():
        for number in range(3):
            await sessionless_evaluate(**call(fake_eval, number))

    asyncio.run(main())
    with pytest.raises(CheckFailed) as failure:
        httpconc.assert_connections(fake_eval, at_most=1)
    assert [finding.code for finding in failure.value.findings] == ["HC103"]


def test_sessionless_client_keeps_to_no_limit(fake_eval, httpconc):
    fake_eval.hold(until_in_flight=60, give_up=20)

    async def main():
        await asyncio.gather(*(sessionless_evaluate(**call(fake_eval, number)) for number in range(60)))

    asyncio.run(main())
    with pytest.raises(CheckFailed) as failure:
        httpconc.assert_connections(fake_eval, at_most=50)
    assert "HC104" in [finding.code for finding in failure.value.findings]
