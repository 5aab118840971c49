"""A server in a process of its own is used like any other: what it is told, asked, and what its ledger holds."""

import asyncio
import os
import threading

import pytest
import requests

from fake_servers import (
    FakeAgentServer,
    FakeDockerServer,
    FakeEvalServer,
    FakeLLMServer,
    FakeServer,
    FakeServerError,
    Response,
)
from fake_servers.faults import Disconnect, Reset, Status, WrongCertificate

STATE = {"greeting": "hello"}


def get(server, path="/pid"):
    with requests.Session() as session:
        return session.get(server.url + path, verify=server.ca_path if server.url.startswith("https") else None)


@pytest.fixture(scope="module")
def started():
    server = FakeServer(host="process")

    @server.route("GET /pid")
    async def pid(request):
        return Response.json(os.getpid())

    with server:
        yield server


def test_handlers_run_in_another_process(server):
    assert get(server).json() != os.getpid()


def test_handlers_have_a_copy_of_what_they_close_over(server):
    seen = []

    @server.route("GET /closure")
    def closure(request):
        seen.append(request.path)
        return Response.json([STATE["greeting"], seen, server.ledger.count(), server.url])

    assert get(server, "/closure").json() == ["hello", ["/closure"], 1, server.url]
    assert seen == []
    assert "GET /closure" in server.routes


def test_ledger_tells_of_connections_and_exchanges_as_they_are(server):
    get(server)
    assert server.ledger.wait_until(lambda ledger: ledger.open_connections == 0 and ledger.count() == 1)
    (connection,), (exchange,) = server.ledger.connections, server.ledger.exchanges
    assert (connection.number, connection.exchanges, connection.closed_by) == (1, 1, "client FIN")
    assert (exchange.route, exchange.status, exchange.outcome, exchange.connection) == ("GET /pid", 200, "answered", 1)
    assert connection.opened_at <= exchange.begun_at <= exchange.finished_at <= connection.closed_at
    assert (server.ledger.executions("GET /pid"), server.ledger.peak_in_flight, server.ledger.peak("GET /pid")) == (
        1,
        1,
        1,
    )
    assert (server.ledger.total_connections, server.ledger.peak_connections, server.ledger.held_connections) == (
        1,
        1,
        0,
    )
    assert server.ledger.speedup() == pytest.approx(1)


def test_exchange_that_was_seen_in_progress_is_seen_to_end(server):
    rendezvous = server.hold(until_in_flight=2, give_up=60, on="GET /pid")
    first = threading.Thread(target=get, args=(server,))
    first.start()
    server.ledger.wait_until(lambda ledger: ledger.in_flight == 1)
    assert [e.outcome for e in server.ledger.exchanges] == ["in progress"]
    assert (rendezvous.reached, rendezvous.most_together) == (False, 1)
    get(server)
    first.join()
    assert [e.outcome for e in server.ledger.exchanges] == ["answered"] * 2
    assert (rendezvous.reached, rendezvous.gave_up, server.holds) == (True, False, (rendezvous,))
    assert server.ledger.peak_in_flight == 2


def test_wait_until_says_what_the_ledger_holds_when_time_is_up(server):
    with pytest.raises(TimeoutError, match="0 connections"):
        server.ledger.wait_until(lambda ledger: ledger.count() == 1, timeout=0.01)


@pytest.mark.asyncio
async def test_a_loop_goes_on_while_it_waits_for_the_ledger(server):
    waiting = asyncio.ensure_future(server.ledger.until(lambda ledger: ledger.count() == 1))
    await asyncio.to_thread(get, server)
    assert await waiting


def test_faults_are_injected_taken_back_and_forgotten(server):
    with server.injected(Status(503), on="GET /pid"):
        assert get(server).status_code == 503
    assert get(server).status_code == 200
    server.inject(Disconnect(), on="GET /pid", times=1)
    with pytest.raises(requests.ConnectionError):
        get(server)
    assert get(server).status_code == 200
    server.inject(Reset(), on="GET /never")
    assert [injection.on for injection in server.unmatched] == ["GET /never"]
    assert [e.fault for e in server.ledger.exchanges] == [Status(503), None, Disconnect(), None]
    server.reset()
    assert (server.unmatched, server.scenario.injections, server.ledger.exchanges) == ([], (), ())


def test_delays_add_up_where_it_runs(server):
    server.delay(0.05)
    get(server)
    assert server.ledger.service_time() >= 0.05


def test_idle_connection_outlives_a_reset_and_is_counted_anew(server):
    with requests.Session() as session:
        session.get(server.url + "/pid")
        before = server.ledger.connections[0]
        server.reset()
        assert server.ledger.exchanges == ()
        session.get(server.url + "/pid")
        (after,) = server.ledger.connections
    assert (after.number, after.peer, after.opened_at, after.exchanges) == (1, before.peer, before.opened_at, 1)


def test_what_is_sent_can_be_tapped(server):
    with server.tapped() as sent:
        answer = get(server)
        assert sent[1].endswith(answer.content)
    assert (list(sent), len(sent), sent[2]) == ([1], 1, b"")


def test_body_that_arrives_after_the_end_is_recorded(server):
    server.inject(Reset(), on="POST /pid")
    with requests.Session() as session, pytest.raises(requests.ConnectionError):
        session.post(server.url + "/pid", data=b"x" * 1000)
    (exchange,) = server.ledger.exchanges
    assert (exchange.body_size, exchange.outcome) == (1000, "ended by fault")


def test_error_of_a_handler_is_raised_when_the_with_block_ends():
    server = FakeServer(host="process")

    @server.route("GET /pid")
    def fails(request):
        raise LookupError("nothing there")

    with pytest.raises(FakeServerError, match="GET /pid failed: LookupError") as raised, server:
        get(server)
    assert server.errors == (raised.value,)
    assert "in fails" in str(raised.value.__cause__)
    assert "LookupError: nothing there" in str(raised.value.__cause__)


def test_what_was_set_before_the_start_holds_and_a_restart_goes_on_with_port_and_ledger():
    server = FakeServer(host="process")
    server.inject(Status(418), on="GET /tea")
    server.hold(until_in_flight=1)
    for count in (1, 2):
        with server:
            url = server.url
            assert get(server, "/tea").status_code == 418
            assert server.ledger.count() == count
    assert (server.url, [e.number for e in server.ledger.exchanges]) == (url, [1, 2])
    assert [c.number for c in server.ledger.connections] == [1, 2]
    assert (server.ledger.open_connections, server.is_running) == (0, False)
    assert server.ledger.peak_connections == 1


@pytest.mark.asyncio
async def test_model_server_speaks_tls_with_a_certificate_of_this_processs_authority():
    async with FakeLLMServer(ttft=0.01, host="process", tls=True) as server:
        server.script(text="hello", times=1)
        server.generate(3)
        order = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}

        def complete():
            url = f"{server.url}/v1/chat/completions"
            return requests.post(url, json=order, verify=server.ca_path).json()["choices"][0]["message"]["content"]

        assert await asyncio.to_thread(complete) == "hello"
        assert len((await asyncio.to_thread(complete)).split()) == 3
        assert (server.running, server.queued) == (0, 0)
        server.inject(WrongCertificate("expired"))
        with pytest.raises(requests.exceptions.SSLError):
            await asyncio.to_thread(complete)


def test_containers_and_their_files_can_be_looked_at_while_it_runs_and_afterwards(tmp_path):
    with FakeDockerServer(host="process", unix_socket=tmp_path / "docker.sock") as server:
        server.script("make", output="made", returncode=2)
        order = requests.post(f"{server.url}/start", json={"config": {"image": "python"}}).json()
        for command in ("make", "echo data > /f"):
            answer = requests.post(f"{server.url}/execute", json={**order, "command": command}).json()
            assert answer["returncode"] == (2 if command == "make" else 0)
        (container,) = server.containers
        assert (container.id, container.is_running) == (order["container_id"], True)
        assert container.shell.filesystem.read_text("/f") == "data\n"
        assert (tmp_path / "docker.sock").is_socket()
    assert [c.name for c in server.containers] == [container.name]
    assert not (tmp_path / "docker.sock").exists()


def test_evaluation_server_keeps_its_queue_there():
    with FakeEvalServer(gpus=1, duration=0.01, host="process") as server:
        server.script("a", reward=0.5)
        order = {"instance_id": "a", "container_id": "c"}
        assert requests.post(f"{server.url}/evaluate", json=order).json()["reward"] == 0.5


def test_agents_are_asked_from_here():
    with FakeAgentServer(model="pool", host="process") as server:
        answer = requests.post(server.url + "/chat/stream", json={"question": "Who?"}, timeout=10)
        assert "Who?" in answer.text
        server.ledger.wait_until(lambda ledger: server.active_sessions == server.active_requests == 0)
        (session,) = server.sessions
    assert (session.question, str(session.status)) == ("Who?", "completed")


def test_what_was_planned_and_answered_is_on_this_sides_record(server):
    server.delay(0.002, on="GET /pid")
    server.inject(Status(503, headers={"Retry-After": "1"}), on="GET /health", times=1)
    pid = get(server).json()
    get(server, "/health")
    one, other = server.ledger.exchanges
    assert (one.latency, one.answer.status, one.answer.parts[0][1]) == (0.002, 200, str(pid).encode())
    assert (other.response_headers["Retry-After"], other.fault.status) == ("1", 503)
