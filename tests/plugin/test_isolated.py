"""`assert_isolated`: on servers, URLs and applications, in sync tests and in async ones."""

import asyncio

import pytest
import requests
from aiohttp import web

from fake_servers import FakeAgentServer, FakeLLMServer, Response, ScenarioError
from fake_servers.faults import Status
from pytest_httpconc import CheckFailed

ISOLATED = {"lock": {}, "semaphore": {"max_concurrent": 3}, "pool": {"max_concurrent": 5, "pool_size": 3}}


@pytest.mark.parametrize("model", ISOLATED)
def test_models_that_isolate_are_cleared(httpconc, model):
    with FakeAgentServer(model=model, **ISOLATED[model]) as server:
        httpconc.assert_isolated(server)
        assert server.ledger.count("POST /chat/stream") == 10
        assert server.holds == ()


def test_shared_agent_is_caught_with_the_mixed_answers_side_by_side(httpconc):
    with FakeAgentServer(model="shared") as server, pytest.raises(CheckFailed, match="HC501") as failed:
        httpconc.assert_isolated(server, sessions=3)
    (finding,) = failed.value.findings
    assert finding.summary == "2 of 3 sessions got what is not theirs"
    assert len(finding.exchanges) == 3
    lines = str(failed.value).splitlines()
    assert any(line.split() == ["session", "asked", "with", "was", "answered", "with"] for line in lines)
    assert sum("in event 2 (thinking)" in line for line in lines) == 2


def test_fixture_is_isolated(fake_agent, httpconc):
    httpconc.assert_isolated(fake_agent)


def test_url_is_asked(fake_agent, httpconc):
    httpconc.assert_isolated(fake_agent.url + "/", sessions=4)
    assert fake_agent.ledger.count("POST /chat/stream") == 4


def test_server_of_completions_alone_is_asked_for_completions(fake_llm, httpconc):
    httpconc.assert_isolated(fake_llm, sessions=4)
    assert fake_llm.ledger.count("POST /v1/chat/completions") == 4


@pytest.mark.asyncio
@pytest.mark.httpconc(virtual_time=True)
@pytest.mark.parametrize("model", ISOLATED)
async def test_virtual_clock_is_followed(httpconc, model):
    async with FakeAgentServer(model=model, duration=40.0, **ISOLATED[model]) as server:
        await httpconc.assert_isolated(server, sessions=3)
        assert server.ledger.speedup("POST /chat/stream") == (1 if model == "lock" else 3)


@pytest.mark.asyncio
@pytest.mark.httpconc(virtual_time=True)
async def test_shared_agent_is_caught_by_awaiting(httpconc):
    async with FakeAgentServer(model="shared", duration=40.0) as server:
        with pytest.raises(CheckFailed, match="HC501"):
            await httpconc.assert_isolated(server, sessions=3)


def test_check_that_was_not_awaited_fails_its_test(run):
    result = run(
        """
        import pytest

        @pytest.mark.asyncio
        async def test_it(fake_agent, httpconc):
            httpconc.assert_isolated(fake_agent)
        """,
        plugins=["asyncio"],
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*assert_isolated() was not awaited, and has checked nothing; write 'await' before it"]
    )


async def _echo(request):
    text = (await request.json())["messages"][-1]["content"]
    return web.json_response({"choices": [{"message": {"content": f"You asked: {text}"}}]})


def test_aiohttp_application_is_served(httpconc):
    app = web.Application()
    app.router.add_post("/v1/chat/completions", _echo)
    httpconc.assert_isolated(app)


def asgi_app(*, shared):
    """Answers with what it was asked when all have asked, from a place of each request's own or a shared one."""
    state = {"asked": 0, "body": b"", "all": None}

    async def serve(receive, send):
        state["all"] = state["all"] or asyncio.Event()
        body = (await receive())["body"]
        state["asked"] += 1
        state["body"] = body
        if state["asked"] == 4:
            state["all"].set()
        await state["all"].wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": state["body"] if shared else body})

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await serve(receive, send)
            return
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})

    return app


def ask(url, question):
    return requests.post(f"{url}/ask", data=question, timeout=10).text


def test_asgi_application_is_served_and_a_blocking_ask_has_threads(httpconc):
    httpconc.assert_isolated(asgi_app(shared=False), sessions=4, ask=ask)
    with pytest.raises(CheckFailed, match="3 of 4 sessions got what is not theirs"):
        httpconc.assert_isolated(asgi_app(shared=True), sessions=4, ask=ask)


def test_asgi_application_that_does_not_start_is_said(httpconc):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no"})

    with pytest.raises(ScenarioError, match="uvicorn could not start"):
        httpconc.assert_isolated(app)


def test_session_that_fails_proves_nothing(fake_agent, httpconc):
    fake_agent.inject(Status(500), times=1)
    with pytest.raises(ScenarioError, match="1 of 10 sessions failed, and nothing is proved; session"):
        httpconc.assert_isolated(fake_agent)


def test_answers_that_do_not_say_what_was_asked_prove_nothing(fake_http, httpconc):
    fake_http.route("POST /ask")(lambda request: Response.text("42"))
    with pytest.raises(ScenarioError, match="no answer has the word of its question"):
        httpconc.assert_isolated(fake_http, ask=ask)


def test_sessions_that_never_end_are_given_up(httpconc):
    with FakeLLMServer(ttft=3600) as server, pytest.raises(ScenarioError, match=r"took over 0\.1 s; give them longer"):
        httpconc.assert_isolated(server, timeout=0.1)


def test_blocking_call_that_does_not_end_in_time_is_given_up(fake_http, httpconc):
    fake_http.hold(until_in_flight=3, give_up=60)
    with pytest.raises(ScenarioError, match=r"took over 0\.1 s"):
        httpconc.assert_isolated(fake_http, sessions=2, ask=ask, timeout=0.1)
    fake_http.reset()


@pytest.mark.asyncio
@pytest.mark.httpconc(virtual_time=True)
async def test_blocking_ask_on_a_virtual_clock_is_refused(fake_agent, httpconc):
    with pytest.raises(ScenarioError, match="can't follow a virtual clock"):
        await httpconc.assert_isolated(fake_agent, ask=ask)


@pytest.mark.parametrize(
    ("target", "options", "says"),
    [
        ("127.0.0.1:8000", {}, "is no URL"),
        (42, {}, "can't be asked"),
        (FakeAgentServer(), {}, "is not running"),
        ("http://127.0.0.1:1", {"sessions": 1}, "sessions=1 is out of range"),
        ("http://127.0.0.1:1", {"ask": "curl"}, "ask='curl' can't be called"),
        ("http://127.0.0.1:1", {"timeout": 0}, "timeout=0 is out of range"),
    ],
)
def test_what_makes_no_sense_is_refused(httpconc, target, options, says):
    with pytest.raises(ScenarioError, match=says):
        httpconc.assert_isolated(target, **options)
