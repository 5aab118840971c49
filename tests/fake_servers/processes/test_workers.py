"""Several processes on one port: one ledger, and a clear word about what can't be shared out."""

import socket

import pytest

from fake_servers import (
    FakeDockerServer,
    FakeEvalServer,
    FakeLLMServer,
    FakeServer,
    Response,
    ScenarioError,
    faults,
)

CONNECTIONS = 24
PATIENCE = 10


@pytest.fixture(scope="module")
def started():
    import os

    server = FakeServer(host="process", workers=2)
    server.route("GET /pid")(lambda request: Response.json(os.getpid()))
    with server:
        yield server


@pytest.fixture
def clients(server):
    opened = [socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) for _ in range(CONNECTIONS)]
    yield opened
    for client in opened:
        client.close()
    server.ledger.wait_until(lambda ledger: ledger.held_connections == 0)


def ask(client):
    client.sendall(b"GET /pid HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = b""
    while not answer.partition(b"\r\n\r\n")[2]:
        answer += client.recv(4096)
    return answer.rpartition(b"\r\n")[2]


def test_processes_share_a_port_and_one_ledger(server, clients):
    pids = [ask(client) for client in clients]
    assert len(set(pids)) == 2
    ledger = server.ledger
    assert (ledger.count(), ledger.executions("GET /pid"), ledger.open_connections) == (24, 24, 24)
    assert (ledger.total_connections, ledger.peak_connections, ledger.peak_in_flight, ledger.peak("GET /pid")) == (
        24,
        24,
        1,
        1,
    )
    assert [c.number for c in ledger.connections] == [e.number for e in ledger.exchanges] == list(range(1, 25))
    peers = {c.number: c.peer for c in ledger.connections}
    assert [peers[e.connection] for e in ledger.exchanges] == [client.getsockname() for client in clients]
    assert sorted(c.opened_at for c in ledger.connections) == [c.opened_at for c in ledger.connections]


def test_exchanges_that_overlap_in_two_processes_are_counted_together(server, clients):
    server.inject(faults.Stall(at=faults.Moment.EXECUTED))
    for client in clients:
        client.sendall(b"GET /pid HTTP/1.1\r\nHost: x\r\n\r\n")
    server.ledger.wait_until(lambda ledger: ledger.in_flight == CONNECTIONS, timeout=PATIENCE)
    assert (server.ledger.peak_in_flight, server.ledger.peak("GET /pid")) == (CONNECTIONS, CONNECTIONS)
    server.reset()
    assert server.ledger.peak_in_flight == 0


def test_every_process_is_told(server, clients):
    server.inject(faults.Status(503))
    for client in clients:
        client.sendall(b"GET /pid HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 503")
    assert server.unmatched == []
    with server.injected(faults.Status(500), on="GET /never"):
        assert len(server.unmatched) == 1


def test_tapped_bytes_are_found_by_the_number_of_their_connection(server, clients):
    with server.tapped() as sent:
        pid = ask(clients[-1])
    numbers = {c.peer: c.number for c in server.ledger.connections}
    assert {number: data.endswith(pid) for number, data in sent.items()} == {numbers[clients[-1].getsockname()]: True}


@pytest.mark.parametrize(
    ("tell", "message"),
    [
        (lambda server: server.hold(until_in_flight=2), "workers=1"),
        (lambda server: server.inject(faults.Reset(), times=1), "times=1 would be counted by each of 2"),
        (lambda server: server.inject(faults.Reset(), after=1), "no after, times or probability"),
        (lambda server: server.delay(1.0, probability=0.5), "no after, times or probability"),
        (lambda server: server.inject(faults.Refuse()), "no listener's fault"),
    ],
)
def test_what_can_not_be_counted_over_processes_is_refused(server, tell, message):
    with pytest.raises(ScenarioError, match=message):
        tell(server)
    assert (server.scenario.injections, server.holds) == ((), ())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FakeServer(workers=2), "write host='process', workers=2"),
        (lambda: FakeServer(host="process", workers=0), "workers=0 is no count"),
        (lambda: FakeServer(host="process", workers=True), "workers=True is no count"),
        (lambda: FakeDockerServer(host="process", workers=2), "a container is in one process"),
        (lambda: FakeEvalServer(gpus=1, host="process", workers=2), "1 GPUs of its own"),
        (lambda: FakeLLMServer(max_num_seqs=1, host="process", workers=2), "count its requests for itself"),
        (lambda: FakeLLMServer(slowdown=0.1, host="process", workers=2), "count its requests for itself"),
        (lambda: FakeLLMServer(host="process", workers=2).script(text="x", times=1), "times=1 would be counted"),
        (lambda: FakeEvalServer(host="process", workers=2).script("x", times=1), "times=1 would be counted"),
        (lambda: FakeServer(host="elsewhere"), "'thread', 'loop' and 'process'"),
    ],
)
def test_servers_that_need_one_process_say_so(make, message):
    with pytest.raises(ScenarioError, match=message):
        make()


def test_services_that_keep_nothing_can_be_shared_out():
    with FakeLLMServer(host="process", workers=2) as server:
        assert (server.running, server.queued) == (0, 0)
