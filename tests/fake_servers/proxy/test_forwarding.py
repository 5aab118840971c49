"""Requests through a proxy, as the upstream gets them, and answers as the client gets them."""

import pytest

from fake_servers import ChaosProxy, FakeServer, Moment, Response, Stream
from fake_servers.faults import Disconnect, Reset, Status

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_request_goes_on_as_it_came_but_for_what_concerns_the_connection(proxied):
    _, client, upstream = proxied()
    client.send(
        b"POST /a%20b?c=%2F&c=2 HTTP/1.1\r\nhOsT: proxy\r\nX-Twice: 1\r\nConnection: keep-alive, X-Mine\r\n"
        b"X-mine: 1\r\nTE: trailers\r\nKeep-Alive: timeout=9\r\nX-TWICE: 2\r\nContent-Length: 4\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )
    assert client.reply().status == 100
    client.send(b"body")
    own = upstream.sock.getsockname()[1]
    assert (
        upstream.hears(b"body")
        == (
            f"POST /a%20b?c=%2F&c=2 HTTP/1.1\r\nhOsT: 127.0.0.1:{own}\r\nX-Twice: 1\r\nX-TWICE: 2\r\n"
            "Content-Length: 4\r\n\r\nbody"
        ).encode()
    )
    upstream.says(OK)
    assert client.reply().body == b"ok"


def test_body_in_chunks_goes_on_in_chunks(proxied):
    _, client, upstream = proxied()
    client.send(
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\nX: 1\r\n\r\n"
    )
    assert upstream.hears(b"0\r\n\r\n").endswith(b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n")


def test_host_can_be_kept(proxied):
    _, client, upstream = proxied(keep_host=True)
    client.get("/")
    assert b"\r\nHost: x\r\n" in upstream.hears()


def test_client_that_speaks_http_10_is_asked_for_by_the_upstream_s_host(proxied):
    _, client, upstream = proxied(keep_host=True)
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    own = upstream.sock.getsockname()[1]
    assert upstream.hears() == f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{own}\r\nConnection: close\r\n\r\n".encode()
    upstream.says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    assert client.until_close().endswith(b"\r\nConnection: close\r\n\r\nok")
    assert upstream.hears_end() == "FIN"


def test_answer_comes_back_as_it_was_but_for_what_concerns_the_connection(proxied):
    _, client, upstream = proxied()
    client.get("/")
    upstream.hears()
    upstream.says(
        b"HTTP/1.1 103 Early Hints\r\nLink: </s>\r\n\r\n"
        b"HTTP/1.1 201 Made\r\nset-cookie: a=1\r\nSet-Cookie: b=\xe9\r\nConnection: X-Mine\r\nX-Mine: 1\r\n"
        b"Keep-Alive: timeout=5\r\nContent-Length: 4\r\nETag: x\r\n\r\nbody"
    )
    assert client.until(b"body") == (
        b"HTTP/1.1 201 Created\r\nset-cookie: a=1\r\nSet-Cookie: b=\xe9\r\nETag: x\r\nContent-Length: 4\r\n\r\nbody"
    )


@pytest.mark.parametrize(
    ("method", "answer", "received"),
    [
        ("GET", b"200 OK\r\nContent-Length: 0\r\n\r\n", b"200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("GET", b"204 No Content\r\nX: 1\r\n\r\n", b"204 No Content\r\nX: 1\r\n\r\n"),
        ("GET", b"304 Not Modified\r\nContent-Length: 9\r\n\r\n", b"304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
        ("HEAD", b"200 OK\r\nContent-Length: 9\r\n\r\n", b"200 OK\r\nContent-Length: 9\r\n\r\n"),
        (
            "GET",
            b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: 1\r\n\r\n",
            b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ),
    ],
    ids=["no body", "204", "304", "HEAD", "chunked"],
)
def test_framing_stays_and_the_connection_too(proxied, method, answer, received):
    _, client, upstream = proxied()
    for _ in range(2):
        client.get("/", method=method)
        upstream.hears()
        upstream.says(b"HTTP/1.1 ", answer)
        assert client.exactly(9 + len(received)) == b"HTTP/1.1 " + received


def test_body_that_ends_with_the_connection_does_so_for_the_client(proxied, connect):
    proxy, client, upstream = proxied()
    client.get("/")
    upstream.hears()
    upstream.says(b"HTTP/1.1 200 OK\r\n\r\none ")
    client.until(b"one ")
    upstream.says(b"two")
    upstream.ends("FIN")
    assert client.until_close().endswith(b"two\r\n0\r\n\r\n")
    [exchange] = proxy.ledger.exchanges
    assert (exchange.outcome, exchange.response_headers.get("Connection")) == ("answered", None)


def test_connection_that_the_upstream_is_to_close_is_closed_for_the_client(proxied):
    _, client, upstream = proxied()
    client.get("/")
    upstream.hears()
    upstream.says(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    assert client.until_close().endswith(b"Connection: close\r\n\r\nok")


def test_each_connection_has_one_to_the_upstream(server, real, connect):
    for _ in range(2):
        client = connect()
        assert [client.ask("/hello").body for _ in range(3)] == [b"hello"] * 3
    assert [c.exchanges for c in real.ledger.connections] == [3, 3]
    assert [e.sequence for e in server.ledger.exchanges] == [1, 2, 3, 1, 2, 3]


def test_pipelined_requests_are_asked_one_after_the_other(raw, real):
    raw.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
    assert [raw.reply().body for _ in range(3)] == [b"hello"] * 3
    assert real.ledger.peak_in_flight == 1


def test_stream_comes_part_by_part(server, real, raw, new_gate):
    gate = new_gate()

    async def parts():
        yield b"one"
        await gate(None)
        yield b"two"

    real.route("GET /slow")(lambda request: Stream(parts(), length=6))
    raw.get("/slow")
    assert raw.until(b"one").endswith(b"Content-Length: 6\r\n\r\none")
    gate.open()
    assert raw.exactly(3) == b"two"


def test_client_that_does_not_read_holds_the_upstream_up(server, real, connect, over):
    given = []

    async def parts():
        for number in range(64):
            given.append(number)
            yield b"x" * (1 << 20)

    real.route("GET /large")(lambda request: Stream(parts()))
    client = connect(receive_buffer=65_536)
    client.get("/large")
    client.exactly(20)
    seen = -1
    while seen != len(given):
        seen = len(given)
        assert [connect().ask("/hello").status for _ in range(20)] == [200] * 20
    assert len(given) < 40
    assert len(client.until_size(64 << 20)) >= 64 << 20
    assert over(1)[0].status == 200


def test_own_route_answers_in_the_upstream_s_place(server, real, raw):
    server.route("GET /*")(lambda request: Response.text("mine"))
    assert raw.ask("/hello").body == b"mine"
    assert raw.ask("/hello", method="HEAD").headers["content-length"] == "4"
    raw.post("/echo", b"upstream's")
    assert raw.reply().body == b"upstream's"
    assert (real.ledger.count(), server.ledger.executions()) == (1, 3)


@pytest.mark.parametrize(
    ("fault", "executed"),
    [
        (Disconnect(at=Moment.REQUEST_HEAD), 0),
        (Reset(at=Moment.REQUEST), 0),
        (Status(503), 0),
        (Disconnect(), 1),
        (Reset(after_bytes=17), 1),
    ],
    ids=str,
)
def test_fault_comes_before_or_after_the_upstream_has_executed(server, real, raw, over, fault, executed):
    server.inject(fault)
    raw.post("/echo", b"data")
    [exchange] = over()
    assert exchange.fault == fault
    assert (real.ledger.executions(), server.ledger.executions()) == (executed, executed)
    if not isinstance(fault, Status):
        real.ledger.wait_until(lambda ledger: not ledger.open_connections)


def test_answers_are_held_until_enough_are_in_flight(server, real, connect):
    rendezvous = server.hold(until_in_flight=3)
    clients = [connect() for _ in range(3)]
    for client in clients:
        client.get("/hello")
    assert [client.reply().body for client in clients] == [b"hello"] * 3
    assert rendezvous.reached
    assert real.ledger.executions() == 3


def test_path_that_holds_a_url_is_a_path(server, real, raw):
    real.route("GET /**")(lambda request: Response.text(request.target))
    target = "/fetch/https://elsewhere.example/x?to=https://elsewhere.example"
    assert raw.ask(target).body.decode() == target


def test_client_whose_http_proxy_it_is_is_served_for_its_upstream_alone(server, real, connect):
    reply = connect().ask(f"{real.url}/hello")
    assert (reply.status, reply.body) == (200, b"hello")
    assert connect().ask(f"{server.url}/hello").status == 200
    assert real.ledger.count("GET /hello") == 2
    elsewhere = connect().ask("http://elsewhere.example/hello")
    assert (elsewhere.status, b"not behind this proxy" in elsewhere.body) == (421, True)
    tunnel = connect()
    tunnel.send(b"CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: elsewhere.example:443\r\n\r\n")
    assert tunnel.reply().status == 501
    assert real.ledger.count() == 2


def test_upstream_that_can_t_be_reached_is_a_502_that_says_which_and_why(connect):
    with FakeServer() as gone:
        pass
    with ChaosProxy(gone.url) as proxy:
        reply = connect(proxy).ask("/hello")
        assert (reply.status, reply.headers["connection"]) == (502, "close")
        assert f"the upstream {gone.url} can't be reached: Connection refused" in reply.body.decode()
        assert proxy.ledger.executions() == 0
        assert not proxy.errors


def test_upstream_whose_name_is_none_is_a_502(connect):
    with ChaosProxy("http://a..b") as proxy:
        assert connect(proxy).ask("/hello").status == 502


def test_upstream_that_does_not_accept_is_given_up_after_the_timeout(scripted, connect):
    scripted.listening.listen(0)
    with ChaosProxy(scripted.url, connect_timeout=0.05) as proxy:
        first, second = connect(proxy), connect(proxy)
        second.get("/")
        first.get("/")
        assert "no connection to it in 0.05 s" in second.reply().body.decode()


def test_upstream_that_speaks_no_http_is_a_502(proxied):
    _, client, upstream = proxied()
    client.get("/")
    upstream.hears()
    upstream.says(b"220 ready\r\n\r\n")
    reply = client.reply()
    assert (reply.status, b"does not speak HTTP/1.1" in reply.body) == (502, True)
    assert upstream.hears_end() in {"FIN", "RST"}


def test_status_beyond_http_is_a_502(proxied):
    _, client, upstream = proxied()
    client.get("/")
    upstream.hears()
    upstream.says(b"HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n")
    assert b"its status is 999" in client.reply().body


def test_request_that_can_t_be_handed_on_is_a_400(raw, real):
    raw.send(b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n")
    reply = raw.reply()
    assert (reply.status, b"can't be handed on" in reply.body) == (400, True)
    assert not real.ledger.count()


def test_body_in_another_coding_than_chunks_is_a_501(raw, real):
    raw.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\n\x1f\x8bz\r\n0\r\n\r\n")
    reply = raw.reply()
    assert (reply.status, b"Transfer-Encoding: gzip, chunked is not served" in reply.body) == (501, True)
    assert not real.ledger.count()


def test_answer_that_was_not_taken_to_its_end_does_not_spoil_the_next(server, real, raw):
    real.route("GET /big")(lambda request: Response(b"x" * 300_000))
    assert raw.ask("/big", method="HEAD").headers["content-length"] == "300000"
    assert raw.ask("/hello").body == b"hello"
    assert raw.ask("/hello", method="HEAD").status == 200
    assert len(raw.ask("/big").body) == 300_000
    assert raw.ask("/hello").body == b"hello"


def test_reset_of_the_proxy_keeps_the_pairs(server, real, raw):
    assert raw.ask("/hello").status == 200
    server.reset()
    assert raw.ask("/hello").status == 200
    assert real.ledger.total_connections == 1
    assert server.ledger.count() == 1
