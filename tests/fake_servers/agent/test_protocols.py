"""What the agent server says to its clients, and to those that ask what makes no sense."""

from __future__ import annotations

import json
import sys

import openai
import pytest
import requests

from fake_servers import FakeAgentServer
from fake_servers.service import Limits

CHAT = "/chat/stream"
COMPLETIONS = "/v1/chat/completions"


@pytest.fixture
def server():
    with FakeAgentServer(limits=Limits(body=10_000)) as server:
        yield server


@pytest.fixture
def post(server):
    with requests.Session() as session:
        yield lambda path, **options: session.post(server.url + path, **options)


@pytest.fixture
def get(server):
    with requests.Session() as session:
        yield lambda path: session.get(server.url + path)


def events_of(response):
    return [json.loads(line.removeprefix("data: ")) for line in response.text.splitlines() if line]


def test_session_is_a_stream_of_events_that_carry_its_id(post):
    response = post(CHAT, json={"question": "What is new?", "style": "brief", "depth": {"most": 3}})
    assert response.headers["Content-Type"].startswith("text/event-stream")
    events = events_of(response)
    assert [event["type"] for event in events] == ["session_start", "thinking", "answer", "completed"]
    assert len({event["session_id"] for event in events}) == 1
    assert events[2]["content"] == "What is new?"
    assert events[2]["config"] == {"style": "brief"}


def test_ids_of_sessions_differ_and_are_the_same_in_every_run():
    runs = []
    for _ in range(2):
        with FakeAgentServer(seed=7) as server:
            ids = [events_of(requests.post(server.url + CHAT, json={"question": "x"}))[0] for _ in range(3)]
            runs.append([event["session_id"] for event in ids])
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 3


def test_openai_sdk_is_answered_plain_and_streamed(server):
    question = [{"role": "user", "content": "What is new?"}]
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
        whole = client.chat.completions.create(model="agent", messages=question)
        parts = client.chat.completions.create(model="agent", messages=question, stream=True)
        assert "".join(part.choices[0].delta.content or "" for part in parts) == "What is new?"
    assert whole.choices[0].message.content == "What is new?"


def test_health_has_the_fields_of_both_protocols(get):
    assert get("/health").json() == {
        "status": "healthy",
        "active_requests": 0,
        "pool_size": 5,
        "agent_config_initialized": True,
        "active_sessions": 0,
        "lock_acquired": False,
    }


def test_health_and_metrics_tell_what_runs(connect):
    body = json.dumps({"question": "x"}).encode()
    for model, locked, usage in (("lock", True, "0.0"), ("pool", False, "0.5")):
        with FakeAgentServer(model=model, pool_size=2, max_concurrent=2, duration=3600.0) as server:
            connect(server).post(CHAT, body)
            server.ledger.wait_until(lambda ledger: ledger.executions() == 1)
            health = json.loads(connect(server).ask("/health").body)
            counts = (health["active_requests"], health["active_sessions"], health["lock_acquired"])
            assert counts == (1, 1, locked)
            metrics = connect(server).ask("/metrics").body.decode().splitlines()
            assert {"requests_total 1.0", "active_requests 1.0", f"pool_usage {usage}"} <= set(metrics)


def test_metrics_belong_to_one_server(post, get):
    with FakeAgentServer() as other:
        requests.post(other.url + CHAT, json={"question": "x"})
    post(COMPLETIONS, json={"messages": [{"role": "user", "content": "x"}]})
    response = get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain")
    lines = response.text.splitlines()
    assert {"requests_total 1.0", "# TYPE requests_total counter", "# TYPE pool_usage gauge"} <= set(lines)


def test_metrics_without_prometheus_client_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with FakeAgentServer() as server:
        response = requests.get(f"{server.url}/metrics")
        assert response.status_code == 501
        assert "pip install 'pytest-httpconc[agent]'" in response.json()["detail"]
        assert requests.post(server.url + CHAT, json={"question": "x"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "could not parse the JSON body"),
        (b"[" * 5000, "could not parse the JSON body"),
        (b'{"question": "x", "depth": NaN}', "NaN is no JSON"),
        (b"[]", "valid object"),
        (b"{}", "Field required"),
        (b'{"question": 3}', "valid string"),
        (b'{"question": " "}', "the question is empty"),
    ],
)
def test_question_that_is_none_is_answered_422(server, post, body, says):
    response = post(CHAT, data=body)
    assert response.status_code == 422
    assert says in response.json()["detail"][0]["msg"]
    assert (server.ledger.executions(), server.active_sessions) == (0, 0)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "could not parse the JSON body"),
        (b"{}", "Missing required parameter: 'messages'"),
        (b'{"messages": [{"role": "user", "content": ""}]}', "the question is empty"),
    ],
)
def test_completion_of_no_question_is_answered_400(server, post, body, says):
    response = post(COMPLETIONS, data=body)
    assert response.status_code == 400
    assert says in response.json()["error"]["message"]
    assert server.ledger.executions() == 0


@pytest.mark.parametrize(("path", "key"), [(CHAT, "detail"), (COMPLETIONS, "error")])
def test_body_that_is_too_large_is_answered_413(post, path, key):
    response = post(path, data=b"x" * 20_000)
    assert response.status_code == 413
    assert "a body of over 10000 bytes is not taken" in str(response.json()[key])
