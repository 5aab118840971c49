"""A slot is given back on every way out of a request, also where a stream never began."""

import json
import time

import pytest

from fake_servers import FakeLLMServer, Moment
from fake_servers.faults import (
    Disconnect,
    DuplicateEvent,
    Heartbeats,
    Malformed,
    MalformedEvent,
    MissingEvent,
    Reset,
    Stall,
    Status,
    WrongLength,
)

PATH = "/v1/chat/completions"


@pytest.fixture
def server():
    with FakeLLMServer(max_num_seqs=1) as server:
        yield server


@pytest.fixture
def settled(server):
    """Wait until no request runs or waits."""

    def wait():
        server.ledger.wait_until(lambda ledger: ledger.count() and not ledger.in_flight)
        deadline = time.monotonic() + 5
        while (server.running, server.queued) != (0, 0):  # the exchange may be over a moment sooner than its task
            assert time.monotonic() < deadline, "a slot is still taken"

    return wait


ENDING = [
    *(
        fault(at=moment)
        for fault in (Disconnect, Reset)
        for moment in (Moment.REQUEST_HEAD, Moment.REQUEST, Moment.EXECUTED, Moment.RESPONSE, Moment.IDLE)
    ),
    Disconnect(after_events=0),
    Disconnect(after_events=3),
    Disconnect(after_events=-1),
    Reset(after_bytes=400),
    Status(429),
    Malformed("chunk"),
    WrongLength(5),
]


@pytest.mark.parametrize("fault", ENDING, ids=str)
@pytest.mark.parametrize("stream", [True, False])
def test_fault_that_ends_a_request_leaves_no_slot_taken(server, connect, chat_body, settled, fault, stream):
    server.inject(fault, times=1)
    client = connect()
    client.post(PATH, chat_body(stream=stream))
    settled()
    other = connect()
    other.post(PATH, chat_body())
    assert other.reply().status == 200


@pytest.mark.parametrize("fault", [Stall(at=Moment.EXECUTED), Stall(after_events=2), Heartbeats()], ids=str)
def test_client_that_leaves_a_stalled_stream_leaves_no_slot_taken(server, connect, chat_body, settled, fault):
    server.inject(fault, times=1)
    client = connect()
    client.post(PATH, chat_body(stream=True))
    server.ledger.wait_until(lambda ledger: ledger.executions() == 1)
    client.finish()
    settled()


@pytest.mark.parametrize("fault", [DuplicateEvent(2), MalformedEvent(2), MissingEvent()], ids=str)
def test_fault_in_the_events_leaves_no_slot_taken(server, connect, chat_body, settled, fault):
    server.inject(fault, times=1)
    client = connect()
    client.post(PATH, chat_body(stream=True))
    assert client.reply().status == 200
    settled()


def test_client_that_leaves_during_a_latency_before_the_stream_leaves_no_slot_taken(
    server, connect, chat_body, settled
):
    server.delay(3600, on=f"POST {PATH}", times=1)
    client = connect()
    client.post(PATH, chat_body(stream=True))
    server.ledger.wait_until(lambda ledger: ledger.executions() == 1)
    assert server.running == 1
    client.finish()
    settled()


def test_client_that_leaves_a_long_answer_leaves_no_slot_taken(connect, chat_body):
    with FakeLLMServer(ttft=3600, max_num_seqs=1) as server:
        for stream in (True, False):
            client = connect(server)
            client.post(PATH, chat_body(stream=stream))
            server.ledger.wait_until(lambda ledger: ledger.in_flight == 1 and ledger.executions())
            client.finish()
            server.ledger.wait_until(lambda ledger: not ledger.in_flight)
            for _ in range(10):  # rounds of the server's loop
                server._host.call(lambda listener: None)
            assert server.running == 0
            server.reset()


def test_queue_is_told_by_health(connect, chat_body):
    with FakeLLMServer(ttft=3600, max_num_seqs=2) as server:
        for number in range(3):
            connect(server).post(PATH, chat_body())
            server.ledger.wait_until(lambda ledger, number=number: ledger.in_flight == number + 1)
        health = json.loads(connect(server).ask("/health").body)
        assert health == {"status": "healthy", "running": 2, "queued": 1, "slots": 2}
        assert server.ledger.executions(f"POST {PATH}") == 2


def test_reset_frees_what_ran_and_what_waited(connect, chat_body):
    with FakeLLMServer(ttft=3600, max_num_seqs=1) as server:
        for stream in (True, False):
            connect(server).post(PATH, chat_body(stream=stream))
        server.ledger.wait_until(lambda ledger: ledger.in_flight == 2)
        server.reset()
        assert (server.running, server.queued) == (0, 0)
        connect(server).post(PATH, chat_body())
        server.ledger.wait_until(lambda ledger: ledger.executions() == 1)


def test_server_that_was_stopped_in_the_middle_serves_again(connect, chat_body):
    server = FakeLLMServer(ttft=3600, max_num_seqs=1).start()
    connect(server).post(PATH, chat_body(stream=True))
    server.ledger.wait_until(lambda ledger: ledger.executions() == 1)
    server.stop()
    with server:
        client = connect(server)
        client.post(PATH, chat_body())
        server.ledger.wait_until(lambda ledger: ledger.executions() == 2)
