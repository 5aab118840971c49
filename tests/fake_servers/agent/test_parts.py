"""The pool, the limiter, the registry and the settings by themselves, as a service of one's own uses them."""

from __future__ import annotations

import asyncio
import gc
import logging

import looptime
import pytest

from fake_servers import ScenarioError
from fake_servers.agent import (
    AgentSettings,
    ConcurrencyLimiter,
    FakeAgentServer,
    NoSlot,
    PipelinePool,
    SessionRegistry,
    ToolManager,
    ToolResult,
)
from fake_servers.agent.sessions import Status


def run(coroutine):
    loop = looptime.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


def test_limiter_and_pool_say_in_the_log_what_they_do(caplog):
    async def main():
        limiter, pool = ConcurrencyLimiter(max_concurrent=10), PipelinePool(object, pool_size=2)
        async with limiter.slot(), pool.instance(task="X"), pool.instance(task="Y"):
            pass

    with caplog.at_level(logging.INFO, "fake_servers.agent"):
        run(main())
    assert caplog.messages == [
        "Concurrency: 1/10 active requests",
        "Acquired pipeline instance 1 for task X",
        "Acquired pipeline instance 2 for task Y",
        "Released pipeline instance 2 for task Y",
        "Released pipeline instance 1 for task X",
        "Concurrency: 0/10 active requests",
    ]


def test_each_request_has_an_instance_to_itself():
    async def main():
        pool = PipelinePool(object, pool_size=3)
        async with pool.instance() as one, pool.instance() as two, pool.instance() as three:
            assert (pool.size, pool.active, pool.waiting) == (3, 3, 0)
            assert len({id(one), id(two), id(three)}) == 3
        assert repr(pool) == "<PipelinePool: 0 of 3 in use, 0 waiting>"

    run(main())


@pytest.mark.parametrize(
    "make", [lambda: ConcurrencyLimiter(max_concurrent=1), lambda: PipelinePool(object, pool_size=1)]
)
def test_wait_ends_at_its_limit_exactly(make):
    async def main():
        part, clock = make(), asyncio.get_running_loop().time
        await part.acquire()
        with pytest.raises(NoSlot):
            await part.acquire(wait_limit=300)
        assert (clock(), part.active, part.waiting) == (300, 1, 0)

    run(main())


@pytest.mark.parametrize("after_steps", range(6))
def test_cancelled_wait_loses_neither_slot_nor_instance(after_steps):
    async def work(limiter, pool):
        async with limiter.slot(), pool.instance():
            await asyncio.sleep(5)

    async def main():
        limiter, pool = ConcurrencyLimiter(max_concurrent=1), PipelinePool(object, pool_size=1)
        waiting = [asyncio.ensure_future(work(limiter, pool)) for _ in range(3)]
        for _ in range(after_steps):
            await asyncio.sleep(0)
        waiting[0].cancel()
        waiting[1].cancel()
        await asyncio.wait(waiting)
        await waiting[2]
        assert (limiter.active, limiter.waiting, pool.active, pool.waiting) == (0, 0, 0, 0)

    run(main())


def test_error_in_the_block_releases():
    async def main():
        limiter, pool = ConcurrencyLimiter(), PipelinePool(object)
        with pytest.raises(ZeroDivisionError):
            async with limiter, pool.instance():
                raise ZeroDivisionError
        assert (limiter.active, pool.active) == (0, 0)

    run(main())


def test_parts_serve_in_one_loop_after_another():
    limiter, pool = ConcurrencyLimiter(max_concurrent=1), PipelinePool(object, pool_size=1)

    async def leave_it_taken():
        await limiter.acquire()
        await pool.acquire()
        waiting = asyncio.ensure_future(limiter.acquire())
        await asyncio.sleep(0)
        return waiting

    async def use():
        async with limiter.slot(wait_limit=0), pool.instance(wait_limit=0):
            return limiter.active, pool.active

    abandoned = run(leave_it_taken())
    assert run(use()) == (1, 1)
    assert run(use()) == (1, 1)
    abandoned.get_loop().is_closed()
    abandoned._log_destroy_pending = False  # its loop is over: nobody can await it
    del abandoned
    gc.collect()
    assert (limiter.active, pool.active) == (0, 0)


def test_parts_in_use_in_one_loop_refuse_another():
    limiter = ConcurrencyLimiter()
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(limiter.acquire())
        with pytest.raises(RuntimeError, match="in use in another event loop"):
            asyncio.run(limiter.acquire())
        limiter.release()
    finally:
        loop.close()


def test_release_without_acquire_is_refused():
    async def main():
        limiter, pool = ConcurrencyLimiter(), PipelinePool(object)
        with pytest.raises(ScenarioError, match="without acquire"):
            limiter.release()
        pipeline = await pool.acquire()
        pool.release(pipeline)
        for wrong in (pipeline, object()):
            with pytest.raises(ScenarioError, match="no instance of this pool that is in use"):
                pool.release(wrong)

    run(main())


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "2", None])
def test_size_that_is_none_is_refused(size):
    with pytest.raises(ScenarioError, match=r"pool_size=.* is no count; allowed are whole numbers from 1 up"):
        PipelinePool(object, pool_size=size)
    with pytest.raises(ScenarioError, match=r"max_concurrent=.* is no count"):
        ConcurrencyLimiter(max_concurrent=size)


@pytest.mark.parametrize("limit", [-1, float("inf"), True, "300"])
def test_wait_limit_that_is_none_is_refused(limit):
    for part in (ConcurrencyLimiter(), PipelinePool(object)):
        with pytest.raises(ScenarioError, match="wait_limit="):
            run(part.acquire(wait_limit=limit))


def test_factory_that_makes_no_instances_of_their_own_is_refused():
    shared = object()
    with pytest.raises(ScenarioError, match="twice: requests would share it"):
        PipelinePool(lambda: shared)

    async def make():
        return object()

    with pytest.raises(ScenarioError, match="coroutine function"):
        PipelinePool(make)
    with pytest.raises(ScenarioError, match="can't be called"):
        PipelinePool("Pipeline")


def test_settings_come_from_the_environment():
    assert AgentSettings.from_environment({}) == AgentSettings(pool_size=5, max_concurrent=10)
    environment = {"PIPELINE_POOL_SIZE": "2", "MAX_CONCURRENT_REQUESTS": "3"}
    assert AgentSettings.from_environment(environment) == AgentSettings.recommended("small")


def test_settings_are_recommended_for_a_load():
    pairs = {load: AgentSettings.recommended(load) for load in ("light", "medium", "heavy", "small")}
    sizes = {load: (settings.pool_size, settings.max_concurrent) for load, settings in pairs.items()}
    assert sizes == {"light": (3, 5), "medium": (5, 10), "heavy": (10, 20), "small": (2, 3)}
    with pytest.raises(ScenarioError, match="load='huge' is not known; allowed are light, medium, heavy, small"):
        AgentSettings.recommended("huge")


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"PIPELINE_POOL_SIZE": "0"}, "pool_size=0 is no count"),
        ({"PIPELINE_POOL_SIZE": "many"}, "PIPELINE_POOL_SIZE='many' is no count"),
        ({"MAX_CONCURRENT_REQUESTS": "-3"}, "MAX_CONCURRENT_REQUESTS='-3' is no count"),
        ({"MAX_CONCURRENT_REQUESTS": "3"}, r"max_concurrent=3 .* is less than pool_size=5"),
    ],
)
def test_settings_that_make_no_sense_are_refused(environment, says):
    with pytest.raises(ScenarioError, match=says):
        AgentSettings.from_environment(environment)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": "mutex"}, "model='mutex' is not known; allowed are shared, lock, semaphore, pool"),
        ({"pool_size": 0}, "pool_size=0 is no count"),
        ({"max_concurrent": 0}, "max_concurrent=0 is no count"),
        ({"model": "pool", "max_concurrent": 3, "pool_size": 5}, "max_concurrent=3 .* is less than pool_size=5"),
        ({"wait_limit": -1}, "wait_limit=-1 is out of range"),
        ({"duration": -1}, "-1"),
        ({"tools": {"search": -1}}, "-1"),
        ({"tool_limit": 0}, "tool limit=0 is out of range"),
    ],
)
def test_server_that_makes_no_sense_is_refused(options, says):
    with pytest.raises(ScenarioError, match=says):
        FakeAgentServer(**options)


def test_semaphore_takes_the_sizes_of_the_design():
    FakeAgentServer(model="semaphore", max_concurrent=3, pool_size=5, duration=40.0, wait_limit=300.0)
    FakeAgentServer(model="pool", max_concurrent=3)
    FakeAgentServer(model="pool", pool_size=20)


def test_registry_keeps_sessions_in_order_and_forgets_the_oldest():
    now = iter(range(100))
    registry = SessionRegistry(clock=lambda: float(next(now)), keep=2)
    first, second, third, fourth = [registry.begin(f"question {number}") for number in range(4)]
    registry.process(second.id)
    for session in (third, first, fourth):
        registry.end(session.id, Status.COMPLETED)
    registry.end(first.id, Status.DISCONNECTED)  # it is over
    registry.process(first.id)
    listed = registry.listed()
    assert listed["total"] == 3
    assert [s["status"] for s in listed["active_sessions"].values()] == ["completed", "processing", "completed"]
    assert listed["active_sessions"][first.id] == {
        "question": "question 0",
        "start_time": 0.0,
        "status": "completed",
        "end_time": 5.0,
    }
    assert registry.active == 1


def test_tool_that_fails_stops_no_other():
    async def fail():
        raise ValueError("no such file")

    async def end_in_time():
        await asyncio.sleep(2)
        return "found"

    async def take_its_own_timeout():
        raise asyncio.TimeoutError("its own")

    async def main():
        return await ToolManager(limit=10).run({"read": fail, "search": end_in_time, "ask": take_its_own_timeout})

    assert run(main()) == [
        ToolResult(name="read", error="ValueError: no such file"),
        ToolResult(name="search", output="found"),
        ToolResult(name="ask", error="TimeoutError: its own"),
    ]
