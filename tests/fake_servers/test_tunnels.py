"""Tunnels: connections that carry bytes both ways once their head is sent, spoken to with raw sockets."""

import asyncio
import socket
import threading

import pytest

from fake_servers import FakeServer, Moment, Tunnel
from fake_servers.faults import Disconnect, Dribble, Malformed, Reset, Stall

UPGRADE = ("Connection: Upgrade", "Upgrade: tcp")
HEAD = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


async def _echo(reader):
    while data := await reader.read(65536):
        yield data.upper()
    yield b"<end>"


@pytest.fixture
def server(add_routes, any_loop):
    with add_routes(FakeServer()) as server:
        yield server


@pytest.fixture
def tunnel(server):
    """An upper-casing echo at ``POST /tunnel``."""

    @server.route("POST /tunnel")
    async def tunnel(request):
        return Tunnel(_echo, headers={"Connection": "Upgrade", "Upgrade": "tcp"})


def half_close(raw):
    raw.sock.shutdown(socket.SHUT_WR)


def test_bytes_go_both_ways(server, tunnel, raw, over):
    raw.post("/tunnel", b"", *UPGRADE)
    assert raw.exactly(len(HEAD)) == HEAD
    for word in (b"one", b"two"):
        raw.send(word)
        assert raw.exactly(3) == word.upper()
    half_close(raw)
    assert raw.until_close() == b"<end>"
    [exchange] = over(closed=1)
    assert (exchange.outcome, exchange.status) == ("answered", 101)


@pytest.mark.parametrize("body", [b"", b'{"Tty": false}'])
def test_bytes_right_behind_the_request_are_the_tunnels(server, tunnel, raw, over, body):
    server.delay(0.01)
    head = f"POST /tunnel HTTP/1.1\r\nContent-Length: {len(body)}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    raw.send(head.encode(), body, b"GET / HTTP/1.1\r\n\r\n")
    assert raw.exactly(len(HEAD) + 18) == HEAD + b"GET / HTTP/1.1\r\n\r\n"
    half_close(raw)
    assert raw.until_close() == b"<end>"
    [exchange] = over(closed=1)
    assert (exchange.body, exchange.body_complete) == (body, True)


def test_body_of_an_offer_may_come_in_parts(server, raw, over):
    @server.route("POST /double")
    async def double(request):
        return Tunnel(lambda reader: _once(request.body * 2))

    raw.send(b"POST /double HTTP/1.1\r\nContent-Length: 6\r\nConnection: upgrade\r\nUpgrade: tcp\r\n\r\n")
    for part in (b"ab", b"cd", b"ef"):
        server.ledger.wait_until(lambda ledger: ledger.count("POST /double") == 1, timeout=5)
        raw.send(part)
    assert raw.until_close().endswith(b"\r\n\r\nabcdefabcdef")
    over(closed=1)


async def _once(data):
    yield data


@pytest.mark.parametrize("delay", [0, 0.01])
def test_offer_that_is_not_taken_up_is_followed_by_http(server, raw, delay):
    if delay:
        server.delay(delay)
    offer = b"POST /echo HTTP/1.1\r\nContent-Length: 4\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nbody"
    raw.send(offer, offer, b"GET /hello HTTP/1.1\r\n\r\n")
    assert [raw.reply().body for _ in range(3)] == [b"body", b"body", b"hello"]


def test_http_behind_a_refused_offer_may_come_later(server, gate, raw):
    raw.get("/gate", *UPGRADE)
    server.ledger.wait_until(lambda ledger: ledger.in_flight == 1, timeout=5)
    raw.send(b"GET /hello HT")
    gate.open()
    assert raw.reply().body == b"at last"
    raw.send(b"TP/1.1\r\n\r\n")
    assert raw.reply().body == b"hello"


def test_offer_with_a_chunked_body_is_refused(raw):
    raw.send(b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n0\r\n\r\n")
    assert raw.reply().status == 411


def test_client_that_leaves_while_an_offer_waits_has_aborted_it(server, gate, raw, over):
    raw.get("/gate", *UPGRADE)
    server.ledger.wait_until(lambda ledger: ledger.in_flight == 1, timeout=5)
    raw.finish()
    assert over()[0].outcome == "aborted by client"


def test_server_ends_a_tunnel_with_fin(server, raw, over):
    @server.route("GET /brief")
    async def brief(request):
        return Tunnel(lambda reader: _once(b"brief"), status=200, content_type="application/x-raw")

    raw.get("/brief")
    assert raw.until_close() == b"HTTP/1.1 200 OK\r\nContent-Type: application/x-raw\r\n\r\nbrief"
    over(closed=1)
    [connection] = server.ledger.connections
    assert connection.closed_by == "server"


@pytest.mark.parametrize("leave", ["reset", "finish"])
def test_handler_is_cancelled_when_the_client_vanishes(server, raw, over, leave):
    ended = threading.Event()

    async def chatter(reader):
        try:
            while True:
                yield b"chatter"
                await asyncio.sleep(0.001)
        finally:
            ended.set()

    @server.route("GET /chatter")
    async def handler(request):
        return Tunnel(chatter)

    raw.get("/chatter", *UPGRADE)
    raw.exactly(50)
    getattr(raw, leave)()
    assert ended.wait(5)
    assert over(closed=1)[0].outcome == "aborted by client"


def test_flood_of_input_is_held_back_until_it_is_read(server, raw, over):
    sizes = []

    async def slow(reader):
        yield b"ready"
        while data := await reader.read(1 << 16):
            sizes.append(len(data))
        yield b"done"

    @server.route("GET /slow")
    async def handler(request):
        return Tunnel(slow)

    raw.get("/slow", *UPGRADE)
    raw.until(b"ready")
    raw.send(bytes(8 << 20))
    half_close(raw)
    assert raw.until_close() == b"done"
    assert sum(sizes) == 8 << 20
    over(closed=1)


def test_latency_comes_before_the_head(server, tunnel, raw, over):
    server.delay(0.05)
    raw.post("/tunnel", b"", *UPGRADE)
    raw.exactly(len(HEAD))
    half_close(raw)
    raw.until_close()
    [exchange] = over(closed=1)
    assert exchange.first_byte_at - exchange.executed_at >= 0.05


@pytest.mark.parametrize("fault", [Disconnect(after_bytes=len(HEAD) + 2), Reset(after_bytes=len(HEAD) + 2)])
def test_tunnel_is_cut_after_some_bytes(server, tunnel, raw, over, fault):
    server.inject(fault)
    raw.post("/tunnel", b"", *UPGRADE)
    raw.exactly(len(HEAD))
    raw.send(b"word")
    rest = raw.until_close() if isinstance(fault, Disconnect) else raw.until_reset()
    assert rest == b"WO"
    assert over(closed=1)[0].outcome == "ended by fault"


def test_tunnel_stalls_and_goes_on(server, tunnel, raw, over):
    server.inject(Stall(after_bytes=len(HEAD) + 2, seconds=0.05))
    raw.post("/tunnel", b"", *UPGRADE)
    raw.exactly(len(HEAD))
    raw.send(b"word")
    assert raw.exactly(4) == b"WORD"
    half_close(raw)
    assert raw.until_close() == b"<end>"
    over(closed=1)


@pytest.mark.parametrize("moment", [Moment.REQUEST, Moment.EXECUTED])
def test_tunnel_is_cut_before_its_head(server, tunnel, raw, over, moment):
    server.inject(Disconnect(at=moment))
    raw.post("/tunnel", b"", *UPGRADE)
    assert raw.until_close() == b""
    [exchange] = over()
    assert (exchange.executed_at is not None) == (moment is Moment.EXECUTED)


def test_tunnel_may_dribble(server, tunnel, raw, over):
    server.inject(Dribble(size=7, interval=0.001))
    raw.post("/tunnel", b"", *UPGRADE)
    raw.exactly(len(HEAD))
    raw.send(b"word by word")
    assert raw.exactly(12) == b"WORD BY WORD"
    half_close(raw)
    assert raw.until_close() == b"<end>"
    over(closed=1)


def test_malformed_tunnel_ends_at_once(server, tunnel, raw, over):
    server.inject(Malformed("status"))
    raw.post("/tunnel", b"", *UPGRADE)
    assert raw.until_close().startswith(b"HTTP/1.1 two-hundred")
    over()


def test_handler_that_fails_inside_is_on_the_record(raw, server, over):
    async def broken(reader):
        yield b"so far"
        raise KeyError("inside")

    @server.route("GET /broken")
    async def handler(request):
        return Tunnel(broken)

    raw.get("/broken", *UPGRADE)
    raw.until(b"so far")
    assert over(closed=1)[0].outcome == "handler failed"
    assert "inside" in str(server.errors[0])
    server.reset()


def test_server_that_stops_ends_its_tunnels(add_routes, connect):
    with add_routes(FakeServer()) as server:

        @server.route("GET /open")
        async def handler(request):
            return Tunnel(_echo)

        raw = connect(server)
        raw.get("/open", *UPGRADE)
        raw.send(b"up")
        raw.until(b"UP")
    assert server.ledger.exchanges[0].outcome == "server stopped"
    raw.sock.close()


def test_ordinary_answer_to_an_offer_keeps_the_connection(raw):
    assert raw.ask("/hello", *UPGRADE).body == b"hello"
    assert raw.ask("/hello").body == b"hello"


@pytest.mark.asyncio
@pytest.mark.looptime
async def test_tunnel_follows_the_loops_clock():
    server = FakeServer()

    async def hourly(reader):
        yield b"one"
        await asyncio.sleep(3600)
        yield b"two"

    @server.route("GET /hourly")
    async def handler(request):
        return Tunnel(hourly)

    async with server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /hourly HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        begun_at = asyncio.get_running_loop().time()
        assert (await reader.read()).endswith(b"\r\n\r\nonetwo")
        assert asyncio.get_running_loop().time() - begun_at == 3600
        writer.close()
        await writer.wait_closed()
