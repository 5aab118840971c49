"""A server made again from its recording answers the same bytes and breaks off at the same places."""

import asyncio
import json
import re
import socket
from dataclasses import replace

import pytest

from fake_servers import (
    FakeDockerServer,
    FakeEvalServer,
    FakeLLMServer,
    FakeServer,
    Injection,
    Moment,
    Response,
    Scenario,
    ScenarioError,
    Stream,
    latency,
)
from fake_servers.faults import Disconnect, DuplicateEvent, Malformed, Refuse, Reset, Status, WrongLength
from fake_servers.makings import Told
from pytest_httpconc.recordings.forms import RecordedServer
from pytest_httpconc.recordings.making import make
from pytest_httpconc.recordings.writing import record_server


async def _parts():
    for number in range(3):
        yield b"data: %d\n\n" % number
        await asyncio.sleep(0.001)


def add_routes(server):
    @server.route("POST /orders")
    async def create(request):
        await asyncio.sleep(0.001)
        return Response.json({"id": server.ledger.count("POST /orders")}, status=201, headers={"X-Shelf": "7"})

    @server.route("GET /events")
    async def events(request):
        return Stream(_parts(), content_type="text/event-stream")

    @server.route("GET /jobs/*")
    async def job(request):
        return Response(b"\xff\x00", headers={"X-Job": request.path})

    @server.route("DELETE /jobs/*")
    async def drop(request):
        return Response(status=204)

    return server


CALLS = [("/orders", "POST"), ("/events", "GET"), ("/jobs/1", "GET"), ("/jobs/2", "GET"), ("/jobs/1", "DELETE")]
FAULTS = [
    None,
    Disconnect(),
    Disconnect(at=Moment.REQUEST_HEAD),
    Disconnect(after_events=1),
    Reset(after_bytes=30),
    Status(503, headers={"Retry-After": "1"}),
    Malformed("header"),
    WrongLength(3),
    DuplicateEvent(2),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_the_same_bytes_are_served_again(ask, again, fault):
    injections = [] if fault is None else [Injection(on="*", fault=fault, probability=0.6)]
    calls = [*CALLS, *CALLS]
    with add_routes(FakeServer(scenario=Scenario(injections, seed=4))) as server:
        first = [ask(server.port, path, b"tea", method=method) for path, method in calls]
    with again(server) as second:
        assert [ask(second.port, path, b"tea", method=method) for path, method in calls] == first
        assert [e.fault for e in second.ledger.exchanges] == [e.fault for e in server.ledger.exchanges]


def test_further_requests_get_the_last_answer_and_unknown_ones_are_told(ask, again):
    with add_routes(FakeServer()) as server:
        first = [ask(server.port, "/orders", method="POST") for _ in range(2)]
    with again(server) as second:
        assert [ask(second.port, "/orders", method="POST") for _ in range(3)] == [*first, first[-1]]
        assert b"the recording has no answer to GET /jobs/9" in ask(second.port, "/jobs/9")
        assert b"no route for GET /nowhere; there are: " in ask(second.port, "/nowhere")


def test_handler_that_failed_fails_again_and_one_that_never_answered_never_does(ask, again):
    with FakeServer() as server:
        server.route("GET /broken")(lambda request: 1 // 0)

        @server.route("GET /silent")
        async def silent(request):
            await asyncio.Future()

        ask(server.port, "/broken")
        with pytest.raises(TimeoutError):
            ask_briefly(server.port, "/silent")
        server.ledger.wait_until(lambda ledger: ledger.exchanges[-1].ended_at, timeout=10)
        server._service.errors.clear()
    with again(server) as second:
        assert ask(second.port, "/broken").startswith(b"HTTP/1.1 500")
        with pytest.raises(TimeoutError):
            ask_briefly(second.port, "/silent")


def ask_briefly(port, path):
    with socket.create_connection(("127.0.0.1", port), 0.05) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        sock.recv(1)


def test_planned_latency_and_holds_are_met_again(ask, again):
    with add_routes(FakeServer()) as server:
        server.delay(latency.uniform(0.001, 0.002), on="GET /jobs/*")
        server.hold(until_in_flight=1, give_up=0.5, on="POST /orders")
        for _ in range(3):
            ask(server.port, "/jobs/1")
    with again(server) as second:
        for _ in range(3):
            ask(second.port, "/jobs/1")
        assert [e.latency for e in second.ledger.exchanges] == [e.latency for e in server.ledger.exchanges]
        assert [repr(hold) for hold in second.holds] == ["<Rendezvous 'POST /orders': 0 of 1>"]


def chat(ask, server, text):
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
    return ask(server.port, "/v1/chat/completions", body, method="POST", headers="Content-Type: application/json\r\n")


def test_model_server_is_made_with_the_same_arguments_and_scripts(ask, again):
    options = {"ttft": latency.uniform(0, 0.001), "itl": 0.0, "models": {"m", "n"}, "api_keys": ["s3cret"]}
    with FakeLLMServer(**options, seed=8) as server:
        server.script("ping", text="pong")
        server.script(re.compile("^weather"), tool_calls=[("get_weather", {"city": "Paris"})])
        server.generate(5)
    with again(server) as second:
        assert second.scenario.seed == 8
        assert b'"pong"' in chat(ask, second, "ping")
        assert b"get_weather" in chat(ask, second, "weather in Paris")
        assert b'"completion_tokens": 5' in chat(ask, second, "anything else")
        assert second.makings.arguments["models"] == ["m", "n"]


def test_docker_and_evaluation_servers_are_made_with_the_same_arguments(ask, again):
    with FakeDockerServer(images=["alpine:3"], layers=1, machine_env={"HOME": "/root", "API_KEY": "s3cret"}) as docker:
        docker.script("make", output="made", returncode=2)
        first = ask(docker.port, "/images/json")
    made = again(docker)
    assert made.makings.arguments["machine_env"] == {"HOME": "/root", "API_KEY": "***"}
    with made as second:
        assert json.loads(first.partition(b"\r\n\r\n")[2])[0]["RepoTags"] == ["alpine:3"]
        assert b"alpine:3" in ask(second.port, "/images/json")
    order = json.dumps({"instance_id": "task", "container_id": "c"}).encode()
    with FakeEvalServer(gpus=2, duration=latency.fixed(0.001)) as evals:
        evals.script("task", reward=0.25, duration=latency.fixed(0.002), times=1)
        first = ask(evals.port, "/evaluate", order, method="POST")
    with again(evals) as second:
        assert ask(second.port, "/evaluate", order, method="POST") == first


def test_listeners_faults_act_again_when_as_many_were_accepted(ask, again):
    with add_routes(FakeServer()) as server:
        ask(server.port, "/jobs/1")
        server.inject(Refuse(0.001))
        server.ledger.wait_until(lambda ledger: server.listener_acted, timeout=10)
    with again(server) as second:
        assert second.listener_acted == ()
        ask(second.port, "/jobs/1")
        second.ledger.wait_until(lambda ledger: second.listener_acted == ((1, Refuse(0.001)),), timeout=10)


class Shop(FakeServer):
    """A service of the user's own."""

    def __init__(self, *, shelves=1, **options):
        self.shelves = shelves
        super().__init__(**options)

    def _set_up(self):
        self.route("GET /shelves")(lambda request: Response.json({"shelves": self.shelves}))


def test_service_of_the_users_own_is_served_by_its_recorded_answers(ask, again):
    with Shop(shelves=3, time_scale=0.5) as server:
        first = ask(server.port, "/shelves")
    made = again(server)
    assert type(made) is FakeServer
    with made as second:
        assert ask(second.port, "/shelves") == first


class Own:
    def sample(self, random):
        return 0.001


def test_what_has_no_form_in_a_file_is_noted_and_what_it_did_is_met(ask, recorded):
    with add_routes(FakeServer()) as server:
        server.delay(Own(), on="GET /jobs/*")
        ask(server.port, "/jobs/1")
    (kept,) = recorded(server).servers
    assert kept.scenario.injections == ()
    assert "has no form in a file" in kept.notes[0]
    with make(kept) as second:
        ask(second.port, "/jobs/1")
        assert second.ledger.exchanges[0].latency == 0.001


def test_credentials_are_masked_and_the_rest_is_kept(ask, recorded):
    with add_routes(FakeServer()) as server:
        ask(server.port, "/jobs/1", headers="authorization: Bearer s3cret\r\nX-API-Key: s3cret\r\nX-Trace: 7\r\n")
    headers = recorded(server).servers[0].exchanges[0].headers
    assert (headers["Authorization"], headers["X-Api-Key"], headers["X-Trace"]) == ("***", "***", "7")


def test_credentials_in_answers_are_masked_at_their_length(ask, recorded):
    given = {"Set-Cookie": "session=s3cret", "X-Access-Token": "s3cret", "X-RateLimit-Remaining-Tokens": "9"}
    with FakeServer() as server:
        server.route("POST /login")(lambda request: Response(b"in", headers=given))
        ask(server.port, "/login", method="POST", headers="Idempotency-Key: 7\r\n")
    (exchange,) = recorded(server).servers[0].exchanges
    assert "s3cret" not in repr(exchange)
    assert dict(exchange.answer.headers) == {
        "Set-Cookie": "*" * 14,
        "X-Access-Token": "*" * 6,
        "X-RateLimit-Remaining-Tokens": "9",
    }
    assert exchange.headers["Idempotency-Key"] == "7"


def test_a_recording_has_its_limits(ask, recorded, monkeypatch):
    monkeypatch.setattr("pytest_httpconc.recordings.writing.MOST_RECORDS", 2)
    monkeypatch.setattr("pytest_httpconc.recordings.writing.MOST_BODIES", 4)
    with add_routes(FakeServer()) as server:
        for _ in range(3):
            ask(server.port, "/orders", b"tea", method="POST")
    (kept,) = recorded(server).servers
    assert [exchange.body for exchange in kept.exchanges] == [b"tea", b""]
    assert len(kept.connections) == 2
    assert len(kept.notes) == 3


@pytest.mark.parametrize(
    ("recorded_server", "problem"),
    [
        (RecordedServer(kind="FakeServe"), "server 'FakeServe' is not known; .*did you mean 'FakeServer'"),
        (RecordedServer(kind="FakeServer", arguments={"speed": 1}), "arguments of FakeServer: .*speed"),
        (RecordedServer(kind="FakeEvalServer", arguments={"duration": -1}), "seconds=-1 is not a duration"),
    ],
)
def test_recording_of_something_unknown_is_told(recorded_server, problem):
    with pytest.raises(ScenarioError, match=problem):
        make(recorded_server)


def test_recording_can_tell_a_server_nothing_but_what_was_kept():
    with FakeServer() as server:
        kept = record_server(server, server.ledger)
    with pytest.raises(ScenarioError, match="FakeServer can't be told 'stop'"):
        make(replace(kept, told=(Told("stop", {}),)))
