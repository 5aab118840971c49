"""Connections that carry no HTTP: bytes both ways, how it is told that they are none, and how they end."""

import contextlib
import socket
import ssl

import pytest

from fake_servers import ChaosProxy, FakeServer
from fake_servers.delivery import PlainOutflow
from fake_servers.proxy.connection import begins_http

FIRST_BYTES = {
    "TLS": b"\x16\x03\x01\x02\x00\x01",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "redis": b"*1\r\n$4\r\nPING\r\n",
    "SMTP": b"EHLO client\r\n",
    "postgres": b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
}


@pytest.mark.parametrize("first", FIRST_BYTES.values(), ids=FIRST_BYTES)
def test_what_does_not_begin_like_http_is_passed_on_as_it_is(proxied, first):
    proxy, client, upstream = proxied()
    client.send(first)
    assert upstream.hears(first) == first
    upstream.says(b"answer")
    assert client.exactly(6) == b"answer"
    client.send(b"more")
    upstream.hears(b"more")
    [connection] = proxy.ledger.connections
    assert (connection.exchanges, connection.bytes_in, connection.bytes_out) == (0, len(first) + 4, 6)


@pytest.mark.parametrize(
    ("first", "is_http"),
    [
        (b"G", None),
        (b"\r\nGET", None),
        (b"GET ", True),
        (b"\r\n\r\nDELETE /", True),
        (b"\r\n\r\n", None),
        (b"\r\n\r\n\r", False),
        (b"\r\n\r\n\r\nGET /", False),
        (b"GETS", False),
        (b"PRI * HTTP/2.0", False),
        (b"get /", False),
    ],
)
def test_method_and_space_are_http(first, is_http):
    assert begins_http(first) is is_http


def test_first_bytes_may_come_one_by_one(proxied):
    _, client, upstream = proxied()
    for byte in b"GETS":
        client.send(bytes([byte]))
    upstream.hears(b"GETS")


def test_http_whose_first_bytes_come_one_by_one_is_http(real, connect):
    with ChaosProxy(real) as proxy:
        client = connect(proxy)
        for byte in b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n":
            client.send(bytes([byte]))
        assert client.reply().body == b"hello"


def test_client_may_end_its_half_before_it_is_clear_what_it_speaks(proxied):
    proxy, client, upstream = proxied()
    client.send(b"GE")
    client.sock.shutdown(socket.SHUT_WR)
    assert (upstream.hears_end(), upstream.heard) == ("FIN", b"GE")
    upstream.says(b"no such thing")
    upstream.ends("FIN")
    assert client.until_close() == b"no such thing"
    proxy.ledger.wait_until(lambda ledger: ledger.connections[0].closed_by == "upstream FIN")


def test_upstream_may_speak_first(proxied):
    _, client, upstream = proxied()
    upstream.says(b"220 ready\r\n")
    assert client.until(b"\r\n") == b"220 ready\r\n"
    client.send(b"GET is no method here\r\n")
    upstream.hears(b"GET is no method here\r\n")


def test_last_words_of_an_http_server_are_not_taken_for_another_protocol(proxied):
    _, client, upstream = proxied()
    upstream.says(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n")
    upstream.ends("FIN")
    assert client.until_close() == b""


def test_no_http_is_looked_for_where_the_upstream_is_tcp(proxied):
    proxy, client, upstream = proxied("tcp")
    client.get("/")
    assert upstream.hears() == b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    assert not proxy.ledger.exchanges


@pytest.mark.parametrize("first", ["client", "upstream"])
def test_either_side_may_end_its_half_first(proxied, any_loop, first):
    proxy, client, upstream = proxied("tcp")
    if first == "client":
        client.send(b"question")
        client.sock.shutdown(socket.SHUT_WR)
        assert upstream.hears_end() == "FIN"
        upstream.says(b"answer")
        upstream.ends("FIN")
        assert client.until_close() == b"answer"
    else:
        upstream.says(b"answer")
        upstream.sock.shutdown(socket.SHUT_WR)
        assert client.until_close() == b"answer"
        client.send(b"question")
        client.sock.shutdown(socket.SHUT_WR)
        assert upstream.hears_end() == "FIN"
    assert upstream.heard == b"question"
    proxy.ledger.wait_until(lambda ledger: not ledger.held_connections, timeout=5)
    assert proxy.ledger.connections[0].closed_by == "upstream FIN"


@pytest.mark.parametrize("side", ["client", "upstream"])
def test_reset_is_passed_on(proxied, any_loop, side):
    proxy, client, upstream = proxied("tcp")
    client.send(b"x")
    upstream.hears(b"x")
    if side == "client":
        client.reset()
        assert upstream.hears_end() == "RST"
    else:
        upstream.ends("RST")
        assert client.until_reset() == b""
    proxy.ledger.wait_until(lambda ledger: not ledger.open_connections, timeout=5)
    assert proxy.ledger.connections[0].closed_by == f"{side} RST"


def send_on(client):
    for _ in range(200_000):
        client.send(b"metric\n")


def test_client_whose_upstream_is_gone_meets_rst_when_it_sends_on(proxied, any_loop):
    proxy, client, upstream = proxied("tcp")
    client.send(b"one")
    upstream.hears(b"one")
    upstream.ends("FIN")
    assert client.until_close() == b""
    with pytest.raises(ConnectionError):
        send_on(client)
    proxy.ledger.wait_until(lambda ledger: not ledger.held_connections)


def test_both_sides_are_let_go_where_the_client_leaves_by_rst_after_its_fin(proxied, any_loop):
    proxy, client, upstream = proxied("tcp")
    client.send(b"question")
    client.sock.shutdown(socket.SHUT_WR)
    assert upstream.hears_end() == "FIN"
    upstream.says(b"answer")
    client.sock.recv(1, socket.MSG_PEEK)  # closed with bytes unread, it ends by RST
    client.sock.close()
    upstream.ends("FIN")
    proxy.ledger.wait_until(lambda ledger: not ledger.held_connections)
    assert proxy.outgoing == frozenset()


def test_error_in_a_relay_is_kept_and_ends_the_connection(scripted, connect, monkeypatch):
    async def fail(outflow, block):
        raise ValueError("no room")

    monkeypatch.setattr(PlainOutflow, "send", fail)
    proxy = ChaosProxy(scripted.url.replace("http", "tcp")).start()
    with contextlib.ExitStack() as stack:
        stack.callback(proxy.stop)
        client = connect(proxy)
        scripted.accept().says(b"220 ready")
        assert client.until_close() == b""
        assert [str(error) for error in proxy.errors] == ["the proxy failed on connection 1: ValueError('no room')"]


@pytest.mark.parametrize("side", ["client", "upstream"])
def test_side_that_does_not_read_holds_the_other_up(proxied, side):
    _, client, upstream = proxied("tcp")
    source, target = (client.sock, upstream.sock) if side == "upstream" else (upstream.sock, client.sock)
    source.settimeout(0.2)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < 64 << 20:
            sent += source.send(b"x" * (1 << 20))
    assert sent < 64 << 20
    received = 0
    while received < sent:
        data = target.recv(1 << 20)
        assert data, f"it was closed after {received} of {sent} bytes"
        received += len(data)


def test_upstream_that_can_t_be_reached_closes_the_connection(connect):
    with FakeServer() as gone:
        pass
    with ChaosProxy(f"tcp://127.0.0.1:{gone.port}") as proxy:
        assert connect(proxy).until_close() == b""
    with ChaosProxy(gone.url) as proxy:
        client = connect(proxy)
        client.send(FIRST_BYTES["SMTP"])
        assert client.until_close() == b""


@pytest.mark.parametrize("scheme", ["tcp", "http"])
def test_greeting_that_comes_before_the_client_s_handshake_is_kept_until_after_it(proxied, scheme):
    proxy, client, upstream = proxied(scheme, tls=True)
    upstream.says(b"220 ready\r\n")
    upstream.ends("FIN")
    context = ssl.create_default_context(cafile=proxy.ca_path)
    client.sock = context.wrap_socket(client.sock, server_hostname="127.0.0.1")
    assert client.until_close() == b"220 ready\r\n"


def test_tls_of_the_client_s_own_reaches_the_upstream(connect, add_routes):
    with add_routes(FakeServer(tls=True)) as real, ChaosProxy(f"tcp://127.0.0.1:{real.port}") as proxy:
        context = ssl.create_default_context(cafile=real.ca_path)
        client = connect(proxy)
        client.sock = context.wrap_socket(client.sock, server_hostname="127.0.0.1")
        assert client.ask("/hello").body == b"hello"
        assert not proxy.ledger.exchanges
