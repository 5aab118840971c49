"""What a connection refuses: requests that are too large, malformed, or for nobody."""

from __future__ import annotations

import json

import pytest

from fake_servers import FakeServer
from fake_servers.service import Limits

pytestmark = pytest.mark.usefixtures("any_loop")

SMALL = Limits(head=200, body=100)


@pytest.fixture
def server(add_routes):
    with add_routes(FakeServer(limits=SMALL)) as server:
        yield server


def status_and_end(raw) -> tuple[int, bytes]:
    return raw.reply().status, raw.until_close()


def test_body_of_the_limit_is_taken(raw):
    raw.post("/echo", b"x" * 100)
    assert raw.reply().body == b"x" * 100


def test_declared_body_over_the_limit_is_413_before_it_is_sent(raw, over):
    raw.send(b"POST /echo HTTP/1.1\r\nContent-Length: 101\r\n\r\n")
    assert status_and_end(raw) == (413, b"")
    [exchange] = over()
    assert (exchange.status, exchange.executed_at, exchange.received_at) == (413, None, None)


def test_expectation_of_a_body_over_the_limit_is_not_encouraged(raw):
    raw.send(b"POST /echo HTTP/1.1\r\nContent-Length: 101\r\nExpect: 100-continue\r\n\r\n")
    assert status_and_end(raw) == (413, b"")


def test_chunked_body_over_the_limit_is_413(raw):
    raw.send(b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"40\r\n" + b"x" * 64 + b"\r\n" * 1)
    raw.send(b"40\r\n" + b"x" * 64 + b"\r\n")
    assert status_and_end(raw) == (413, b"")


def test_rest_of_a_refused_body_is_taken_so_that_the_answer_is_read(raw, server):
    raw.send(b"POST /echo HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n", b"x" * 3_000_000)
    assert status_and_end(raw) == (413, b"")


@pytest.mark.parametrize("pieces", [1, 3, 400])
def test_head_over_the_limit_is_431_however_it_is_split(raw, pieces, over):
    head = b"GET /hello HTTP/1.1\r\nX: " + b"y" * 400 + b"\r\n\r\n"
    size = len(head) // pieces
    try:
        for start in range(0, len(head), size):
            raw.send(head[start : start + size])
    except ConnectionError:
        pass
    assert status_and_end(raw) == (431, b"")
    assert over()[0].executed_at is None


def test_line_that_never_ends_is_431(raw):
    raw.send(b"GET /")
    raw.send(b"x" * 10_000)
    raw.send(b"x" * 10_000)
    assert status_and_end(raw) == (431, b"")


def test_requests_before_an_unfinished_head_do_not_count_towards_its_size(raw):
    raw.send(b"GET /hello HTTP/1.1\r\n\r\n" * 50, b"GET /nothing HTTP/1.1\r\nA: b")
    assert {raw.reply().status for _ in range(50)} == {200}
    raw.send(b"\r\n\r\n")
    assert raw.reply().status == 204


@pytest.mark.parametrize(
    "junk",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nContent-Length: abc\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    ],
    ids=lambda junk: junk[:45].decode("latin-1").encode("unicode_escape").decode(),
)
def test_malformed_request_is_400_and_the_connection_is_closed(raw, junk, server, over):
    raw.send(junk)
    status, rest = status_and_end(raw)
    assert (status in {400, 431}, rest) == (True, b"")
    assert over(1, closed=1)[0].executed_at is None
    assert server.errors == ()


def test_answers_due_are_sent_before_a_refusal(raw, server, gate, over):
    raw.send(b"GET /gate HTTP/1.1\r\n\r\nGET /hello HTTP/1.1\r\n\r\nnonsense\r\n\r\n")
    server.ledger.wait_until(lambda ledger: ledger.count() == 3)
    assert raw.hears_nothing()
    gate.open()
    assert [raw.reply().status for _ in range(3)] == [200, 200, 400]
    assert raw.until_close() == b""
    assert [e.outcome for e in over(3)] == ["answered"] * 3


def test_client_that_leaves_before_its_refusal_is_recorded(raw, server, gate, over):
    raw.send(b"GET /gate HTTP/1.1\r\n\r\nnonsense\r\n\r\n")
    server.ledger.wait_until(lambda ledger: ledger.count() == 2)
    raw.reset()
    assert [e.outcome for e in over(2)] == ["aborted by client"] * 2


def test_unknown_path_is_404_and_says_which_routes_there_are(raw, over):
    reply = raw.ask("/helo")
    detail = json.loads(reply.body)["detail"]
    assert reply.status == 404
    assert detail.startswith("no route for GET /helo; there are: ")
    assert "GET /hello, GET /nothing" in detail
    assert raw.ask("/hello").status == 200
    assert over(2)[0].executed_at is None


def test_unknown_method_is_405_and_says_which_there_are(raw):
    reply = raw.ask("/echo", method="PUT")
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert json.loads(reply.body)["detail"] == "/echo takes POST and not PUT"
    assert raw.ask("/echo", method="HEAD").status == 405


def test_server_without_routes_says_so(connect):
    with FakeServer() as server:
        assert json.loads(connect(server).ask("/").body)["detail"] == "no route for GET /; there are: none"
