"""The four models on a virtual clock: what is waited for is exact, and what is mixed is mixed."""

from __future__ import annotations

import asyncio

import pytest

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

SIZES = {
    "shared": {},
    "lock": {},
    "semaphore": {"max_concurrent": 3},
    "pool": {"max_concurrent": 5, "pool_size": 3},
}
QUESTIONS = ["one", "two", "three"]


@pytest.mark.parametrize(("model", "speedup"), [("shared", 3), ("lock", 1), ("semaphore", 3), ("pool", 3)])
@pytest.mark.parametrize("protocol", ["/chat/stream", "/v1/chat/completions"])
async def test_three_requests_of_40_s(asking, model, speedup, protocol):
    async with asking(model=model, duration=40.0, **SIZES[model]) as (server, asker):
        ask = asker.chat if protocol == "/chat/stream" else asker.complete
        await asyncio.gather(*map(ask, QUESTIONS))
        assert asker.now == 120 / speedup
        assert server.ledger.speedup(f"POST {protocol}") == speedup
        assert server.ledger.service_time() == 120
        assert server.ledger.executions(f"POST {protocol}") == 3


@pytest.mark.parametrize("model", ["lock", "semaphore", "pool"])
async def test_answers_of_models_that_isolate_are_their_own(asking, answer_of, model):
    async with asking(model=model, duration=40.0, **SIZES[model]) as (_, asker):
        sessions = await asyncio.gather(*map(asker.chat, QUESTIONS))
        completions = await asyncio.gather(*map(asker.complete, QUESTIONS))
    assert [answer_of(events) for events in sessions] == QUESTIONS
    assert [body["choices"][0]["message"]["content"] for _, _, body in completions] == QUESTIONS


async def test_shared_agent_answers_with_what_it_was_asked_last(asking, answer_of):
    async with asking(model="shared", duration=40.0) as (_, asker):
        sessions = await asyncio.gather(*(asker.chat(question, style=question) for question in QUESTIONS))
        completions = await asyncio.gather(*map(asker.complete, QUESTIONS))
    assert {answer_of(events) for events in sessions} == {"three"}
    answers = [event.data for events in sessions for event in events if event.type == "answer"]
    assert {answer["config"]["style"] for answer in answers} == {"three"}
    assert {body["choices"][0]["message"]["content"] for _, _, body in completions} == {"three"}


@pytest.mark.parametrize("model", ["lock", "semaphore", "pool"])
async def test_wait_for_a_slot_ends_after_300_s_with_an_error_event(asking, model):
    sizes = {"lock": {}, "semaphore": {"max_concurrent": 1}, "pool": {"max_concurrent": 9, "pool_size": 1}}[model]
    async with asking(model=model, duration=1000.0, **sizes) as (server, asker):
        first, second = await asyncio.gather(asker.chat("one"), asker.chat("two"))
        assert [event.type for event in second] == ["session_start", "error"]
        assert [event.at for event in second] == [0, 300]
        assert "no slot was free within 300 s" in second[-1].data["error"]
        assert [event.at for event in first] == [0, 0, 1000, 1000]
        assert [(e.executed_at is None, e.waited) for e in server.ledger.exchanges] == [(False, 0), (True, 300)]
        assert server.ledger.speedup() == 1
        sessions = (await asker.get("/sessions"))["active_sessions"].values()
        assert [(s["question"], s["status"]) for s in sessions] == [("one", "completed"), ("two", "error")]
        assert [s["end_time"] - s["start_time"] for s in sessions] == [1000, 300]


async def test_wait_for_a_slot_ends_after_300_s_with_a_503(asking):
    async with asking(model="semaphore", max_concurrent=1, duration=1000.0) as (_, asker):
        first, second = await asyncio.gather(asker.complete("one"), asker.complete("two", stream=True))
        assert (first[0], first[1]) == (1000, 200)
        assert (second[0], second[1]) == (300, 503)
        assert second[2]["error"]["type"] == "server_error"
        assert "no slot was free within 300 s" in second[2]["error"]["message"]


async def test_wait_in_front_of_the_pool_counts_towards_the_limit(asking):
    sizes = {"max_concurrent": 2, "pool_size": 1}
    async with asking(model="pool", duration=200.0, wait_limit=300.0, **sizes) as (_, asker):
        sessions = await asyncio.gather(*(asker.chat(str(number)) for number in range(4)))
        # The third is let in at 200 and has its instance at 400, which is too late; the fourth is let in at 300.
        assert [events[-1].type for events in sessions] == ["completed", "completed", "error", "error"]
        assert [events[-1].at for events in sessions] == [200, 400, 300, 300]


async def test_who_came_first_is_served_first_and_waiting_is_no_service_time(asking):
    async with asking(model="semaphore", max_concurrent=2, duration=30.0) as (server, asker):
        sessions = await asyncio.gather(*(asker.chat(str(number)) for number in range(6)))
        assert [events[-1].at for events in sessions] == [30, 30, 60, 60, 90, 90]
        assert [e.waited for e in server.ledger.exchanges] == [0, 0, 30, 30, 60, 60]
        assert server.ledger.speedup() == 2


async def test_tools_of_one_request_run_together(asking):
    async with asking(duration=10.0, tools={"search": 30.0, "read": 20.0, "sum": 5.0}) as (_, asker):
        events = await asker.chat("one")
        found = [(event.data["name"], event.at, event.data["error"]) for event in events if event.type == "tool_result"]
        assert found == [("search", 30, None), ("read", 30, None), ("sum", 30, None)]
        assert events[-1].at == 40


async def test_tool_is_given_1800_s(asking):
    async with asking(tools={"slow": 3600.0, "quick": 1.0}) as (_, asker):
        events = await asker.chat("one")
        results = [event.data for event in events if event.type == "tool_result"]
        assert [(result["name"], result["error"]) for result in results] == [
            ("slow", "timed out after 1800 s"),
            ("quick", None),
        ]
        assert events[-1].at == 1800


async def test_time_scale_holds_for_work_and_waits(asking):
    async with asking(model="lock", duration=40.0, wait_limit=30.0, time_scale=0.5) as (_, asker):
        first, second = await asyncio.gather(asker.chat("one"), asker.chat("two"))
        assert (first[-1].at, second[-1].at) == (20, 15)


async def test_client_that_leaves_lets_the_next_one_in(asking):
    async with asking(model="semaphore", max_concurrent=1, duration=1000.0) as (server, asker):
        leaving = asyncio.ensure_future(asker.chat("one"))
        waiting = asyncio.ensure_future(asker.chat("two"))
        giving_up = asyncio.ensure_future(asker.chat("three"))
        await asyncio.sleep(50)
        assert (await asker.get("/health"))["active_sessions"] == 3
        giving_up.cancel()
        leaving.cancel()
        assert [event.at for event in await waiting] == [0, 50, 1050, 1050]
        await asyncio.wait([leaving, giving_up])
        await server.ledger.until(lambda ledger: not ledger.in_flight)
        sessions = (await asker.get("/sessions"))["active_sessions"].values()
        assert [s["status"] for s in sessions] == ["disconnected", "completed", "disconnected"]
        assert server.active_requests == 0
