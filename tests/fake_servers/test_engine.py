"""One connection, seen by a client that speaks bytes."""

from __future__ import annotations

import pytest

from fake_servers import FakeServer

pytestmark = pytest.mark.usefixtures("any_loop")


def test_connection_is_kept_between_requests(raw, over, server):
    assert [raw.ask("/hello").body for _ in range(3)] == [b"hello"] * 3
    assert [(e.connection, e.sequence) for e in over(3)] == [(1, 1), (1, 2), (1, 3)]
    assert server.ledger.open_connections == 1


def test_connection_close_is_answered_and_honoured(raw, server):
    raw.get("/hello", "Connection: close")
    assert b"Connection: close\r\n" in raw.until_close()
    server.ledger.wait_until(lambda ledger: not ledger.open_connections)
    assert server.ledger.connections[0].closed_by == "server"


def test_http_10_closes_after_its_response(raw):
    raw.get("/hello", version="1.0")
    head, _, body = raw.until_close().partition(b"\r\n\r\n")
    assert (b"Connection: close" in head, body) == (True, b"hello")


def test_http_10_is_kept_where_the_client_asks_for_it(raw):
    replies = [raw.ask("/hello", "Connection: keep-alive", version="1.0") for _ in range(2)]
    assert [(reply.headers["connection"], reply.body) for reply in replies] == [("keep-alive", b"hello")] * 2


def test_pipelined_requests_are_answered_in_order(raw):
    for number in range(5):
        raw.post("/echo", b"%d" % number)
    assert [raw.reply().body for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]


def test_slow_first_handler_holds_back_the_answers_behind_it(raw, server, gate, over):
    raw.send(b"GET /gate HTTP/1.1\r\n\r\nGET /hello HTTP/1.1\r\n\r\nGET /nothing HTTP/1.1\r\n\r\n")
    server.ledger.wait_until(lambda ledger: ledger.in_flight == 3)
    assert server.ledger.executions() == 1
    assert raw.hears_nothing()
    gate.open()
    assert [raw.reply().status for _ in range(3)] == [200, 200, 204]
    assert [e.route for e in over(3)] == ["GET /gate", "GET /hello", "GET /nothing"]


def test_more_requests_than_are_queued_are_all_answered(raw, server, gate):
    raw.get("/gate")
    for number in range(1000):
        raw.post("/echo", b"%d" % number)
    server.ledger.wait_until(lambda ledger: ledger.in_flight > 128)
    gate.open()
    assert raw.reply().body == b"at last"
    assert [raw.reply().body for _ in range(1000)] == [b"%d" % number for number in range(1000)]


def test_chunked_request_is_put_together(raw, over):
    raw.send(
        b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n5;x=y\r\npedia\r\n0\r\nT: v\r\n\r\n"
    )
    assert raw.reply().body == b"Wikipedia"
    [exchange] = over()
    assert (exchange.body, exchange.body_size, exchange.body_complete) == (b"Wikipedia", 9, True)


def test_continue_is_sent_before_the_body_is_read(raw):
    raw.send(b"POST /echo HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-Continue\r\n\r\n")
    assert raw.reply().status == 100
    raw.send(b"body")
    assert raw.reply().body == b"body"


def test_continue_is_not_sent_before_the_answers_due_first(raw, server, gate):
    raw.send(b"GET /gate HTTP/1.1\r\n\r\nPOST /echo HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    server.ledger.wait_until(lambda ledger: ledger.count() == 2)
    assert raw.hears_nothing()
    gate.open()
    assert [raw.reply().status for _ in range(2)] == [200, 100]
    raw.send(b"body")
    assert raw.reply().body == b"body"


def test_http_10_is_never_told_to_continue(raw):
    raw.send(b"POST /echo HTTP/1.0\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody")
    assert raw.reply().status == 200


def test_head_falls_back_to_get_and_keeps_its_length(raw):
    reply = raw.ask("/hello", method="HEAD")
    assert (reply.status, reply.headers["content-length"], reply.body) == (200, "5", b"")
    assert raw.ask("/hello").body == b"hello"


def test_204_has_neither_body_nor_length(raw):
    reply = raw.ask("/nothing")
    assert (reply.status, "content-length" in reply.headers, reply.body) == (204, False, b"")
    assert raw.ask("/hello").body == b"hello"


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 5_000_000])
def test_bodies_of_any_size_come_back(raw, over, size):
    body = bytes(range(256)) * (size // 256 + 1)
    raw.post("/echo", body[:size])
    assert raw.reply().body == body[:size]
    [exchange] = over()
    assert (exchange.body_size, exchange.body) == (size, body[: min(size, 65_536)])


def test_upgrade_is_ignored(raw, over):
    replies = [raw.ask("/hello", "Connection: Upgrade", "Upgrade: websocket") for _ in range(2)]
    assert [(reply.status, reply.body) for reply in replies] == [(200, b"hello")] * 2
    assert [(e.sequence, e.headers["Upgrade"]) for e in over(2)] == [(1, "websocket"), (2, "websocket")]


def test_thousands_of_pipelined_upgrades_are_all_answered(raw, over):
    raw.send(b"GET /nothing HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n" * 3000)
    assert {raw.reply().status for _ in range(3000)} == {204}
    assert len(over(3000)) == 3000


def test_absolute_form_is_routed_and_counted_by_its_path(raw, over, server):
    assert raw.ask("http://example.org/hello?x=1").body == b"hello"
    [exchange] = over()
    assert (exchange.target, exchange.path) == ("http://example.org/hello?x=1", "/hello")
    assert (server.ledger.count("GET /hello"), len(server.ledger.matching("GET /hello"))) == (1, 1)


@pytest.mark.parametrize("target", ["http://[::1", "//[x", "http://[", "*", "http://", "/%ff?%zz#x", "/\xff"])
def test_odd_targets_break_nothing(raw, server, target):
    raw.send(f"GET {target} HTTP/1.1\r\n\r\n".encode("latin-1"))
    assert raw.reply().status in {400, 404}
    assert server.errors == ()


def test_nothing_is_read_after_a_request_that_asks_to_close(raw, server, gate, over):
    raw.get("/gate", "Connection: close")
    raw.get("/hello")
    server.ledger.wait_until(lambda ledger: ledger.executions() == 1)
    gate.open()
    assert raw.until_close().endswith(b"at last")
    assert [(e.path, e.outcome) for e in over(1, closed=1)] == [("/gate", "answered")]


def test_bytes_are_counted_on_both_sides(raw, server, over):
    raw.get("/hello", "Connection: close")
    answer = raw.until_close()
    over(1, closed=1)
    [connection] = server.ledger.connections
    assert (connection.bytes_in, connection.bytes_out) == (51, len(answer))
    assert connection.peer == raw.sock.getsockname()


def test_server_is_unharmed_by_a_client_that_sends_nothing(raw, connect, over, server):
    raw.finish()
    assert connect().ask("/hello").status == 200
    over(1, closed=1)
    assert server.ledger.connections[0].exchanges == 0


def test_connection_that_promised_to_close_is_not_read_from(connect):
    with FakeServer() as server:
        client = connect(server)
        client.send(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n" * 2)
        assert client.until_close().count(b"HTTP/1.1 404") == 1
        assert server.ledger.count() == 1
