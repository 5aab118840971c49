"""Clients that vanish at every stage, and what the ledger knows of it."""

from __future__ import annotations

import asyncio

import pytest

from fake_servers import Response, Stream

pytestmark = pytest.mark.usefixtures("any_loop")


@pytest.fixture(params=["client FIN", "client RST"])
def departure(request):
    """How the client leaves: what the ledger shall call it."""
    return request.param


def leave(client, departure: str) -> None:
    if departure == "client RST":
        client.reset()
    else:
        client.finish()


def only(over, server, departure: str):
    """The one exchange, whose client left in this way."""
    [exchange] = over(1, closed=1)
    [connection] = server.ledger.connections
    assert connection.closed_by == departure
    assert exchange.outcome == "aborted by client"
    assert server.ledger.in_flight == 0
    return exchange


def received(server, size: int) -> bool:
    """Wait until that many bytes have come, asking the server's own loop again and again."""
    while sum(c.bytes_in for c in server.ledger.connections) < size:
        server._host.call(lambda listener: None)
    return True


def test_idle_client_leaves_no_exchange_behind(raw, over, server, departure):
    raw.ask("/hello")
    leave(raw, departure)
    assert [e.outcome for e in over(1, closed=1)] == ["answered"]
    assert server.ledger.connections[0].closed_by == departure


def test_part_of_a_head(raw, over, server, departure):
    raw.send(b"GET /hel")
    assert received(server, 8)
    leave(raw, departure)
    exchange = only(over, server, departure)
    assert (exchange.progress, exchange.method, exchange.target) == ("part read", "GET", "/hel")


def test_part_of_a_header_field(raw, over, server, departure):
    raw.send(b"PUT /x HTTP/1.1\r\nHost: x\r\nAcc")
    assert received(server, 29)
    leave(raw, departure)
    exchange = only(over, server, departure)
    assert (exchange.progress, exchange.route, exchange.headers["host"]) == ("part read", "PUT /x", "x")


@pytest.mark.parametrize("encoding", [b"Content-Length: 10", b"Transfer-Encoding: chunked"])
def test_part_of_a_body(raw, over, server, departure, encoding):
    sent = (
        b"POST /echo HTTP/1.1\r\n" + encoding + b"\r\n\r\n" + (b"1234" if b"Length" in encoding else b"4\r\n1234\r\n")
    )
    raw.send(sent)
    assert received(server, len(sent))
    leave(raw, departure)
    exchange = only(over, server, departure)
    assert (exchange.progress, exchange.body, exchange.body_complete) == ("part read", b"1234", False)


def test_handler_is_cancelled_when_its_client_leaves(raw, over, server, departure, gate):
    raw.get("/gate")
    server.ledger.wait_until(lambda ledger: ledger.executions() == 1)
    leave(raw, departure)
    assert gate.cancelled.wait(10)
    exchange = only(over, server, departure)
    assert (exchange.progress, exchange.status, exchange.body_complete) == ("executed", None, True)


def test_handler_that_answers_all_the_same_changes_nothing(raw, over, server, departure, connect):
    @server.route("GET /stubborn")
    async def stubborn(request):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return Response.text("too late")

    raw.get("/stubborn")
    server.ledger.wait_until(lambda ledger: ledger.executions() == 1)
    leave(raw, departure)
    over(1, closed=1)
    assert connect().ask("/hello").status == 200
    over(2)
    stubborn_exchange = server.ledger.exchanges[0]
    assert (stubborn_exchange.progress, stubborn_exchange.outcome) == ("executed", "aborted by client")
    assert (server.ledger.in_flight, server.errors) == (0, ())


def test_delayed_answer_is_not_waited_for(raw, over, server, departure):
    server.delay(1000)
    raw.get("/hello")
    server.ledger.wait_until(lambda ledger: ledger.executions() == 1)
    leave(raw, departure)
    assert only(over, server, departure).progress == "executed"


def test_answer_that_streams(raw, over, server, departure):
    async def parts():
        yield b"one"
        await asyncio.Event().wait()

    server.route("GET /stuck")(lambda request: Stream(parts()))
    raw.get("/stuck")
    raw.until(b"one\r\n")
    leave(raw, departure)
    exchange = only(over, server, departure)
    assert (exchange.progress, exchange.status, exchange.finished_at) == ("answered in part", 200, None)


def test_every_pipelined_request_is_over_with_its_client(raw, over, server, departure, gate):
    raw.send(b"GET /gate HTTP/1.1\r\n\r\nGET /hello HTTP/1.1\r\n\r\nPOST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\n12")
    server.ledger.wait_until(lambda ledger: ledger.count() == 3 and ledger.executions() == 1)
    leave(raw, departure)
    exchanges = over(3, closed=1)
    assert [e.outcome for e in exchanges] == ["aborted by client"] * 3
    assert [e.progress for e in exchanges] == ["executed", "all read", "part read"]
    assert server.ledger.executions() == 1


def test_half_closed_client_counts_as_gone(raw, over, server, gate):
    raw.get("/gate")
    server.ledger.wait_until(lambda ledger: ledger.executions() == 1)
    raw.sock.shutdown(1)
    assert raw.until_close() == b""
    assert only(over, server, "client FIN").progress == "executed"
