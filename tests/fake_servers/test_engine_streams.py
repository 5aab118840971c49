"""Responses that are produced while they are sent."""

from __future__ import annotations

import asyncio
import threading

import pytest

from fake_servers import FakeServer, Moment, Response, Stream
from fake_servers.faults import Disconnect, DuplicateEvent, Malformed, Reset, Stall
from fake_servers.ledger import Outcome

pytestmark = pytest.mark.usefixtures("any_loop")

MEGABYTE = b"x" * 1024 * 1024


class Source:
    """An endless body that counts what it gave and tells when it was closed."""

    def __init__(self, part: bytes, *, limit: int = 10**6) -> None:
        self.part = part
        self.given = 0
        self.limit = limit
        self.closed = threading.Event()

    async def parts(self):
        try:
            while self.given < self.limit:
                self.given += 1
                yield self.part
        finally:
            self.closed.set()


def test_stream_is_sent_in_chunks(raw):
    reply = raw.ask("/stream")
    assert (reply.headers["transfer-encoding"], reply.body) == ("chunked", b"one two three")
    assert reply.raw.endswith(b"\r\n\r\n4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n")
    assert raw.ask("/hello").body == b"hello"


def test_stream_of_known_length_is_sent_as_it_is(raw):
    reply = raw.ask("/sized-stream")
    assert (reply.headers["content-length"], reply.body) == ("13", b"one two three")
    assert raw.ask("/hello").body == b"hello"


def test_stream_to_http_10_ends_with_the_connection(raw, over):
    reply = raw.ask("/stream", "Connection: keep-alive", version="1.0")
    assert (reply.headers["connection"], reply.body) == ("close", b"one two three")
    assert "transfer-encoding" not in reply.headers
    assert over(1, closed=1)[0].outcome == "answered"


def test_requests_behind_a_stream_that_closes_the_connection_are_over_with_it(raw, over):
    raw.send(b"GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2)
    assert raw.until_close().count(b"HTTP/1.1 200") == 1
    first, second = over(2)
    assert (first.outcome, second.outcome, second.progress) == ("answered", "server stopped", "all read")


def test_sized_stream_keeps_an_http_10_connection(raw):
    for _ in range(2):
        reply = raw.ask("/sized-stream", "Connection: keep-alive", version="1.0")
        assert (reply.headers["connection"], reply.body) == ("keep-alive", b"one two three")


def test_head_of_a_stream_does_not_run_it(raw, server):
    source = Source(b"x")
    server.route("GET /endless")(lambda request: Stream(source.parts()))
    reply = raw.ask("/endless", method="HEAD")
    assert (reply.headers["transfer-encoding"], reply.body, source.given) == ("chunked", b"", 0)
    assert raw.ask("/hello").body == b"hello"


def test_first_byte_is_recorded_while_the_stream_goes_on(raw, server, over, new_gate):
    gate = new_gate()

    async def parts():
        yield b"begun"
        await gate(None)
        yield b" and done"

    server.route("GET /slow")(lambda request: Stream(parts()))
    raw.get("/slow")
    server.ledger.wait_until(lambda ledger: ledger.exchanges and ledger.exchanges[0].first_byte_at is not None)
    [exchange] = server.ledger.exchanges
    assert (exchange.progress, exchange.status, exchange.outcome) == ("answered in part", 200, "in progress")
    gate.open()
    assert raw.reply().body == b"begun and done"
    assert over()[0].progress == "answered"


@pytest.mark.parametrize("length", [12, 14])
def test_stream_that_has_another_length_than_declared_is_an_error_of_the_handler(length, add_routes, connect):
    async def parts():
        yield b"one two three"

    server = add_routes(FakeServer()).start()
    server.route("GET /wrong")(lambda request: Stream(parts(), length=length))
    connect(server).get("/wrong")
    server.ledger.wait_until(lambda ledger: ledger.count() and not ledger.open_connections)
    server.stop()
    [exchange] = server.ledger.exchanges
    assert (exchange.outcome, exchange.progress) == ("handler failed", "answered in part")
    [error] = server.errors
    assert f"length is {length} bytes, and its chunks have 13" in str(error)


def test_stream_that_raises_midway_breaks_off(add_routes, connect):
    async def parts():
        yield b"one"
        raise KeyError("two")

    server = add_routes(FakeServer()).start()
    server.route("GET /wrong")(lambda request: Stream(parts()))
    client = connect(server)
    client.get("/wrong")
    with pytest.raises((EOFError, ConnectionResetError)):
        client.reply()
    server.stop()
    assert [type(error.__cause__) for error in server.errors] == [KeyError]


def test_stream_stops_producing_for_a_client_that_does_not_read(connect, server):
    source = Source(MEGABYTE)
    server.route("GET /endless")(lambda request: Stream(source.parts()))
    client = connect(receive_buffer=65_536)
    client.get("/endless")
    assert client.exactly(20)
    seen = -1
    while seen != source.given:
        seen = source.given
        other = connect()
        assert [other.ask("/hello").status for _ in range(50)] == [200] * 50
    assert source.given < 32
    client.reset()
    assert source.closed.wait(10)


def test_stream_goes_on_when_a_slow_client_reads_again(connect, server, over):
    source = Source(MEGABYTE, limit=24)
    server.route("GET /long")(lambda request: Stream(source.parts()))
    client = connect(receive_buffer=65_536)
    client.get("/long")
    client.exactly(1)
    assert len(client.until_size(24 * len(MEGABYTE))) >= 24 * len(MEGABYTE)
    assert over()[0].outcome == "answered"
    assert source.closed.is_set()


def test_large_response_to_a_client_that_does_not_read_holds_up_nobody(connect, server, over):
    server.route("GET /large")(lambda request: Response(MEGABYTE * 16))
    client = connect(receive_buffer=65_536)
    client.get("/large")
    server.ledger.wait_until(lambda ledger: ledger.executions() == 1)
    assert connect().ask("/hello").status == 200
    over(1)
    assert server.ledger.in_flight == 1
    client.reset()
    large, _ = over(2)
    assert (large.outcome, large.progress) == ("aborted by client", "answered in part")


def test_source_is_closed_when_the_client_leaves(raw, server, over):
    closed = threading.Event()

    async def parts():
        try:
            yield b"one"
            await asyncio.Event().wait()
        finally:
            closed.set()

    server.route("GET /stuck")(lambda request: Stream(parts()))
    raw.get("/stuck")
    raw.exactly(20)
    raw.finish()
    assert closed.wait(10)
    assert over()[0].outcome == "aborted by client"


class Closable:
    """A source that is no generator, so that closing it counts although nothing was ever taken from it."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.given = threading.Event()

    def __aiter__(self):
        return self

    async def __anext__(self):
        raise StopAsyncIteration

    async def aclose(self):
        self.closed.set()


@pytest.fixture
def unused(server):
    source = Closable()

    @server.route("GET /unused")
    async def unused(request):
        await asyncio.sleep(0)
        source.given.set()
        return Stream(source)

    return source


@pytest.mark.parametrize(
    "fault",
    [Disconnect(at=Moment.EXECUTED), Reset(at=Moment.EXECUTED), Disconnect(after_bytes=0), Malformed("garbage")],
    ids=str,
)
def test_source_is_closed_when_a_fault_comes_before_its_first_part(raw, server, unused, fault):
    server.inject(fault)
    raw.get("/unused")
    assert unused.closed.wait(10)


@pytest.mark.parametrize("fault", [None, DuplicateEvent()], ids=str)
def test_source_is_closed_when_only_the_head_is_asked_for(raw, server, unused, fault):
    if fault is not None:
        server.inject(fault)
    raw.ask("/unused", method="HEAD")
    assert unused.closed.wait(10)


def test_source_is_closed_when_the_client_leaves_before_its_first_part(connect, server, unused):
    server.delay(3600, times=1)
    server.inject(Stall(at=Moment.EXECUTED), after=1)
    for _ in range(2):
        client = connect()
        client.get("/unused")
        assert unused.given.wait(10)  # before that, there is nothing to close
        client.finish()
        assert unused.closed.wait(10)
        unused.closed.clear()
        unused.given.clear()


def test_source_is_closed_when_the_connection_ends_before_its_task_took_a_step(server, raw, unused):
    @server.route("GET /at-once")
    def at_once(request):
        (connection,) = server._service.connections
        asyncio.get_running_loop().call_soon(connection.abort, Outcome.SERVER_STOPPED)
        return Stream(unused)

    raw.get("/at-once")
    assert unused.closed.wait(10)
