"""Disconnect, Reset and Stall at every moment: what a raw client sees, and what the ledger says."""

from __future__ import annotations

import pytest

from fake_servers import Moment
from fake_servers.faults import Disconnect, Reset, Stall

pytestmark = pytest.mark.usefixtures("any_loop")

# moment: (how far the request came, how often it was executed)
BEFORE_THE_RESPONSE = {
    Moment.REQUEST_HEAD: ("part read", 0),
    Moment.REQUEST: ("all read", 0),
    Moment.EXECUTED: ("executed", 1),
}
ENDS = pytest.mark.parametrize("kind", [Disconnect, Reset])
HELLO_LENGTH = len(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\r\nhello")
CUTS = {
    "nothing": 0,
    "in the status line": 5,
    "between the lines": 17,
    "in the headers": 30,
    "before the last byte": -1,
    "in the body": -4,
}


def until_end(client, kind) -> bytes:
    """What comes before the end, which must be of the right kind."""
    return client.until_reset() if kind is Reset else client.until_close()


def only_connection(server):
    [connection] = server.ledger.connections
    return connection


@ENDS
def test_connection_ended_on_accept_carries_no_exchange(server, connect, kind, over):
    server.inject(kind(at=Moment.ACCEPT), times=1)
    assert until_end(connect(), kind) == b""
    over(0, closed=1)
    assert only_connection(server).closed_by == "fault"
    assert server.ledger.count() == 0
    assert connect().ask("/hello").status == 200


@ENDS
@pytest.mark.parametrize("moment", BEFORE_THE_RESPONSE)
def test_end_before_the_response(server, raw, kind, moment, over):
    progress, executions = BEFORE_THE_RESPONSE[moment]
    server.inject(kind(at=moment))
    raw.post("/echo", b"body")
    assert until_end(raw, kind) == b""
    [exchange] = over(1, closed=1)
    assert (exchange.outcome, exchange.progress, exchange.status) == ("ended by fault", progress, None)
    assert exchange.fault == kind(at=moment)
    assert exchange.body == b"body"
    assert only_connection(server).closed_by == "fault"
    assert (server.ledger.executions(), server.ledger.in_flight) == (executions, 0)


@pytest.mark.parametrize("at_once", [True, False])
def test_disconnect_at_the_head_still_learns_which_request_it_was(server, raw, at_once, over):
    server.inject(Disconnect(at=Moment.REQUEST_HEAD))
    raw.send(b"POST /echo HTTP/1.1\r\nContent-Length: 4\r\n\r\n", b"body" if at_once else b"")
    assert raw.until_close() == b""
    if not at_once:
        assert over()[0].body_complete is False
        raw.send(b"body")
    raw.finish()
    server.ledger.wait_until(lambda ledger: ledger.exchanges[0].ended_at and ledger.exchanges[0].body_complete)
    [exchange] = server.ledger.exchanges
    assert (exchange.body, exchange.progress, exchange.executed_at) == (b"body", "part read", None)


def test_body_of_a_client_that_leaves_on_the_instant_is_read_all_the_same(server, connect):
    server.inject(Disconnect(at=Moment.REQUEST_HEAD))
    for _ in range(50):
        client = connect()
        client.send(b"POST /echo HTTP/1.1\r\nContent-Length: 4\r\n\r\n")
        assert client.until_close() == b""
        client.send(b"body")
        client.finish()
    server.ledger.wait_until(lambda ledger: all(exchange.body_complete for exchange in ledger.exchanges))
    assert server.ledger.count() == 50


@ENDS
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("path", ["/hello", "/stream", "/sized-stream"])
def test_response_is_cut_after_exactly_so_many_bytes(server, raw, connect, kind, cut, path, over):
    whole = connect().ask(path).raw
    size = CUTS[cut] if CUTS[cut] >= 0 else len(whole) + CUTS[cut]
    server.inject(kind(after_bytes=size))
    raw.get(path)
    assert until_end(raw, kind) == whole[:size]
    _, exchange = over(2, closed=1)
    assert exchange.outcome == "ended by fault"
    assert (exchange.progress, exchange.status) == (("answered in part", 200) if size else ("executed", None))
    assert {c.closed_by for c in server.ledger.connections if not c.is_open} == {"fault"}


@ENDS
@pytest.mark.parametrize("beyond", [0, 1, 10_000])
@pytest.mark.parametrize("path", ["/hello", "/stream"])
def test_cut_at_or_beyond_the_end_leaves_the_response_whole(server, raw, connect, kind, beyond, path, over):
    whole = connect().ask(path).raw
    server.inject(kind(after_bytes=len(whole) + beyond))
    raw.get(path)
    assert until_end(raw, kind) == whole
    _, exchange = over(2, closed=1)
    assert (exchange.outcome, exchange.progress) == ("answered", "answered")


@ENDS
def test_end_of_an_idle_connection_comes_after_the_response(server, raw, kind, over):
    server.inject(kind(at=Moment.IDLE))
    raw.get("/hello")
    assert until_end(raw, kind).endswith(b"hello")
    [exchange] = over(1, closed=1)
    assert exchange.outcome == "answered"
    assert only_connection(server).closed_by == "fault"


@ENDS
def test_end_of_an_idle_connection_takes_pipelined_requests_with_it(server, raw, kind, over):
    server.inject(kind(at=Moment.IDLE), times=1)
    raw.send(b"GET /hello HTTP/1.1\r\n\r\nGET /hello HTTP/1.1\r\n\r\nGET /hel")
    assert until_end(raw, kind).endswith(b"hello")
    assert [(e.outcome, e.progress) for e in over(3)] == [
        ("answered", "answered"),
        ("ended by fault", "all read"),
        ("ended by fault", "part read"),
    ]
    raw.finish()
    server.stop()
    assert server.ledger.count() == 3


@ENDS
def test_next_request_meets_the_end_with_its_first_byte(server, raw, kind, over):
    server.inject(kind(at=Moment.NEXT_REQUEST))
    assert raw.ask("/hello").body == b"hello"
    over()
    assert raw.hears_nothing()
    assert server.ledger.open_connections == 1
    raw.get("/hello")
    assert until_end(raw, kind) == b""
    over(1, closed=1)
    assert (only_connection(server).closed_by, server.ledger.executions()) == ("fault", 1)


@ENDS
def test_next_request_that_came_already_meets_the_end_as_well(server, raw, kind, over):
    server.inject(kind(at=Moment.NEXT_REQUEST))
    raw.send(b"GET /hello HTTP/1.1\r\n\r\n" * 2)
    assert until_end(raw, kind).count(b"hello") == 1
    assert server.ledger.executions() == 1


def test_client_sees_fin_and_no_reset_even_if_it_goes_on_sending(server, raw, over):
    server.inject(Disconnect(at=Moment.REQUEST))
    raw.get("/hello")
    over()
    raw.send(b"x" * 100_000)
    assert raw.until_close() == b""


@pytest.mark.parametrize("moment", BEFORE_THE_RESPONSE)
def test_endless_stall_before_the_response(server, raw, moment, over):
    progress, executions = BEFORE_THE_RESPONSE[moment]
    server.inject(Stall(at=moment))
    raw.post("/echo", b"body", "Expect: 100-continue" if moment is Moment.REQUEST_HEAD else "A: b")
    server.ledger.wait_until(lambda ledger: ledger.exchanges and ledger.exchanges[0].progress == progress)
    assert raw.hears_nothing()
    assert server.ledger.open_connections == 1
    raw.finish()
    [exchange] = over(1, closed=1)
    assert (exchange.outcome, exchange.progress) == ("aborted by client", progress)
    assert only_connection(server).closed_by == "client FIN"
    assert (server.ledger.executions(), server.ledger.in_flight) == (executions, 0)


def test_endless_stall_on_accept_is_ended_by_the_client(server, connect, over):
    server.inject(Stall(at=Moment.ACCEPT), times=1)
    client = connect()
    client.get("/hello")
    assert connect().ask("/hello").status == 200
    assert client.hears_nothing()
    client.reset()
    over(1, closed=1)
    assert [(c.closed_by, c.exchanges) for c in server.ledger.connections] == [("client RST", 0), (None, 1)]


@pytest.mark.parametrize("path", ["/hello", "/stream"])
def test_endless_stall_within_the_response(server, raw, path, over):
    server.inject(Stall(after_bytes=20))
    raw.get(path)
    assert raw.exactly(20).startswith(b"HTTP/1.1 200 OK\r\n")
    assert raw.hears_nothing()
    raw.reset()
    [exchange] = over(1, closed=1)
    assert (exchange.outcome, exchange.progress) == ("aborted by client", "answered in part")
    assert only_connection(server).closed_by == "client RST"


@pytest.mark.parametrize("moment", [Moment.IDLE, Moment.NEXT_REQUEST])
def test_endless_stall_between_requests_answers_the_first_alone(server, raw, connect, moment, over):
    server.inject(Stall(at=moment), times=1)
    assert raw.ask("/hello").body == b"hello"
    raw.get("/hello")
    assert connect().ask("/hello").body == b"hello"
    assert raw.hears_nothing()
    raw.finish()
    over(2, closed=1)
    assert server.ledger.executions() == 2


@pytest.mark.parametrize("moment", [m for m in Moment if m is not Moment.RESPONSE])
@pytest.mark.parametrize("pipelined", [False, True])
def test_service_goes_on_after_a_stall(server, connect, moment, pipelined, over):
    server.inject(Stall(at=moment, seconds=0.02), times=1)
    client = connect()
    if pipelined:
        client.post("/echo", b"first")
        client.post("/echo", b"second")
        assert [client.reply().body for _ in range(2)] == [b"first", b"second"]
    else:
        for body in (b"first", b"second"):
            client.post("/echo", body)
            assert client.reply().body == body
    assert [(e.body, e.outcome) for e in over(2)] == [(b"first", "answered"), (b"second", "answered")]
    assert server.ledger.executions() == 2


@pytest.mark.parametrize("after_bytes", [0, 1, 30, HELLO_LENGTH - 1, HELLO_LENGTH, HELLO_LENGTH + 5])
def test_response_is_whole_after_a_stall_in_it(server, raw, after_bytes):
    server.inject(Stall(after_bytes=after_bytes, seconds=0.02))
    assert [raw.ask("/hello").body for _ in range(2)] == [b"hello", b"hello"]


def test_body_that_comes_during_a_stall_at_the_head_is_invited_and_taken_after_it(server, raw, over):
    server.inject(Stall(at=Moment.REQUEST_HEAD, seconds=0.02), times=1)
    raw.send(b"POST /echo HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    assert raw.reply().status == 100
    raw.send(b"body")
    assert raw.reply().body == b"body"


def test_body_too_large_during_a_stall_at_the_head_is_refused_after_it(server, raw, over):
    server.inject(Stall(at=Moment.REQUEST_HEAD, seconds=0.02))
    raw.send(b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
    assert raw.reply().status == 400
    assert raw.until_close() == b""
    assert over(1)[0].executed_at is None


def test_fault_planned_for_the_next_request_is_forgotten_by_a_reset(server, raw, over):
    server.inject(Disconnect(at=Moment.NEXT_REQUEST))
    raw.ask("/hello")
    over()
    server.reset()
    assert raw.ask("/hello").body == b"hello"
