"""After every fault, and whoever leaves when: the pool is full again, and serves."""

from __future__ import annotations

import json
import time

import pytest

from fake_servers import FakeAgentServer, Moment, faults
from fake_servers.faults import (
    Disconnect,
    Dribble,
    DuplicateEvent,
    FullBacklog,
    HalfClose,
    Heartbeats,
    Malformed,
    MalformedEvent,
    MissingEvent,
    Redirect,
    Refuse,
    Reset,
    Stall,
    Status,
    Throttle,
    WrongCertificate,
    WrongLength,
)

CHAT = ("/chat/stream", json.dumps({"question": "one two"}).encode())
COMPLETION = ("/v1/chat/completions", b'{"messages": [{"role": "user", "content": "one two"}]}')
STREAMED = ("/v1/chat/completions", b'{"stream": true, "messages": [{"role": "user", "content": "one two"}]}')
REQUESTS = pytest.mark.parametrize(("path", "body"), [CHAT, COMPLETION, STREAMED], ids=["chat", "whole", "streamed"])
MODELS = ["shared", "lock", "semaphore", "pool"]
MOMENTS = (Moment.REQUEST_HEAD, Moment.REQUEST, Moment.EXECUTED, Moment.RESPONSE, Moment.IDLE, Moment.NEXT_REQUEST)
FAULTS = [
    *(fault(at=moment) for fault in (Disconnect, Reset) for moment in MOMENTS),
    *(Stall(at=moment, seconds=0.001) for moment in MOMENTS[:-1]),
    Disconnect(after_events=0),
    Disconnect(after_events=2),
    Disconnect(after_events=-1),
    Reset(after_bytes=200),
    Dribble(size=200, interval=0.0001),
    Throttle(rate=1e6),
    HalfClose(),
    Status(503),
    Redirect("/elsewhere"),
    *(Malformed(kind) for kind in ("status", "header", "chunk", "garbage")),
    WrongLength(5),
    WrongLength(-5),
    DuplicateEvent(2),
    MalformedEvent(2),
    MissingEvent(),
]
WITHOUT_END = [Stall(at=Moment.EXECUTED), Stall(after_events=1), Stall(at=Moment.RESPONSE), Heartbeats()]
BEFORE_ANY_REQUEST = (Refuse, FullBacklog, WrongCertificate)


def settled(server):
    """Wait until no request runs, and no session is open."""
    server.ledger.wait_until(lambda ledger: ledger.count() and not ledger.in_flight)
    deadline = time.monotonic() + 5
    while server.active_requests or server.active_sessions:  # the exchange may be over a moment sooner than its task
        assert time.monotonic() < deadline, "a slot is still taken"
        time.sleep(0.001)


def serves_as_many_as_ever(server, connect, count):
    """Have all slots taken at the same time, by requests that are held back."""
    server.reset()
    clients = [connect(server) for _ in range(count)]
    with server.held(until_in_flight=count, on="POST /chat/stream") as rendezvous:
        for client in clients:
            client.post(*CHAT)
        for client in clients:
            assert b'"completed"' in client.reply().body
    assert rendezvous.reached
    assert sorted({e.waited for e in server.ledger.exchanges}) == [0]
    settled(server)


@pytest.fixture(scope="module", params=MODELS)
def agents(request):
    """One server for all faults, which are injected for the length of a block; a slot that is lost stays lost."""
    sizes = {"max_concurrent": 2, "pool_size": 2} if request.param in {"semaphore", "pool"} else {}
    with FakeAgentServer(model=request.param, wait_limit=5.0, **sizes) as server:
        yield server


@REQUESTS
def test_fault_leaves_no_slot_taken(agents, connect, path, body):
    count = {"lock": 1}.get(agents._kind, 2)
    for fault in FAULTS:
        agents.reset()
        with agents.injected(fault):
            client = connect(agents)
            client.post(path, body)
            agents.ledger.wait_until(lambda ledger: ledger.count() and not ledger.in_flight)
            client.finish()
            settled(agents)
        serves_as_many_as_ever(agents, connect, count)


@REQUESTS
def test_client_that_leaves_what_never_ends_leaves_no_slot_taken(agents, connect, path, body):
    for fault in WITHOUT_END:
        agents.reset()
        with agents.injected(fault):
            client = connect(agents)
            client.post(path, body)
            agents.ledger.wait_until(lambda ledger: ledger.executions() == 1)
            client.reset()
            settled(agents)
        serves_as_many_as_ever(agents, connect, {"lock": 1}.get(agents._kind, 2))


def test_every_fault_is_tried():
    tried = {type(fault) for fault in (*FAULTS, *WITHOUT_END)} | set(BEFORE_ANY_REQUEST)
    kinds = {value for value in map(faults.__dict__.get, faults.__all__) if isinstance(value, type)}
    assert {kind for kind in kinds if issubclass(kind, faults.Fault) and kind is not faults.Fault} == tried


@REQUESTS
@pytest.mark.parametrize("model", MODELS[1:])
def test_client_that_leaves_while_its_agent_works_lets_the_next_one_in(connect, model, path, body):
    with FakeAgentServer(model=model, max_concurrent=1, pool_size=1, duration=3600.0) as server:
        first, second = connect(server), connect(server)
        first.post(path, body)
        server.ledger.wait_until(lambda ledger: ledger.executions() == 1)
        second.post(path, body)
        server.ledger.wait_until(lambda ledger: ledger.in_flight == 2)
        first.finish()
        server.ledger.wait_until(lambda ledger: ledger.executions() == 2)
        second.finish()
        settled(server)


@REQUESTS
def test_client_that_leaves_the_queue_is_passed_over(connect, path, body):
    with FakeAgentServer(max_concurrent=1, duration=3600.0) as server:
        clients = [connect(server) for _ in range(3)]
        for number, client in enumerate(clients, 1):
            client.post(path, body)
            server.ledger.wait_until(lambda ledger, number=number: ledger.in_flight == number)
        clients[1].finish()
        server.ledger.wait_until(lambda ledger: ledger.in_flight == 2)
        clients[0].finish()
        server.ledger.wait_until(lambda ledger: ledger.executions() == 2)
        assert [e.executed_at is not None for e in server.ledger.exchanges] == [True, False, True]


def test_reset_and_restart_free_what_ran_and_what_waited(connect):
    server = FakeAgentServer(model="pool", max_concurrent=2, pool_size=1, duration=3600.0).start()
    for again in (server.reset, lambda: (server.stop(), server.reset(), server.start())):
        for number in range(3):
            connect(server).post(*CHAT)
            server.ledger.wait_until(lambda ledger, number=number: ledger.in_flight == number + 1)
        again()
        assert (server.active_requests, server.active_sessions) == (0, 0)
    server.stop()
