"""The faults that shape or replace one response."""

from __future__ import annotations

import json

import pytest

from fake_servers import Stream
from fake_servers.faults import Disconnect, Dribble, HalfClose, Malformed, Redirect, Status, Throttle, WrongLength

pytestmark = pytest.mark.usefixtures("any_loop")

PATHS = pytest.mark.parametrize("path", ["/hello", "/stream"])


@PATHS
@pytest.mark.parametrize("fault", [Dribble(size=7, interval=0.0005), Throttle(rate=100_000), Dribble(1000, 0.0001)])
def test_paced_response_is_whole_and_the_connection_is_kept(server, raw, connect, fault, path, over):
    whole = connect().ask(path).raw
    server.inject(fault, times=1)
    assert raw.ask(path).raw == whole
    assert raw.ask(path).raw == whole
    assert [(e.outcome, e.fault) for e in over(3)] == [("answered", None), ("answered", fault), ("answered", None)]


def test_client_may_leave_a_trickle(server, raw, over):
    server.inject(Dribble(interval=1000))
    raw.get("/hello")
    assert raw.exactly(1) == b"H"
    raw.finish()
    [exchange] = over(1, closed=1)
    assert (exchange.outcome, exchange.progress) == ("aborted by client", "answered in part")


@PATHS
def test_request_after_a_half_close_is_executed_and_never_answered(server, raw, path, over):
    server.inject(HalfClose(), times=1)
    assert raw.ask(path).body
    raw.post("/echo", b"again")
    raw.get("/stream")
    assert raw.until_close() == b""
    exchanges = over(3)
    assert [(e.outcome, e.progress) for e in exchanges] == [
        ("answered", "answered"),
        ("ended by fault", "executed"),
        ("ended by fault", "executed"),
    ]
    assert server.ledger.executions("POST /echo") == 1
    raw.finish()
    over(3, closed=1)
    assert server.ledger.connections[0].closed_by == "client FIN"


def test_faults_after_a_half_close_act_without_an_answer(server, raw, over):
    server.inject(HalfClose())
    server.inject(Disconnect(), after=2)
    raw.ask("/hello")
    raw.get("/hello")
    raw.get("/hello")
    assert raw.until_close() == b""
    assert [e.outcome for e in over(3)] == ["answered", "ended by fault", "ended by fault"]
    assert server.ledger.executions() == 3


def test_half_close_lets_a_delayed_request_run_to_its_end(server, raw, over):
    server.inject(HalfClose(), times=1)
    server.delay(0.01, after=1)
    raw.ask("/hello")
    raw.get("/hello")
    assert [e.progress for e in over(2)] == ["answered", "executed"]


@PATHS
def test_too_great_a_length_ends_with_fin(server, raw, connect, path, over):
    body = connect().ask(path).body
    server.inject(WrongLength(5))
    raw.get(path)
    head, _, rest = raw.until_close().partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body) + 5}".encode() in head
    assert rest == body
    over(2, closed=1)
    assert {c.closed_by for c in server.ledger.connections} == {None, "fault"}
    assert over(2)[1].outcome == "answered"


def test_requests_behind_a_wrong_length_are_over_with_the_connection(server, raw, over):
    server.inject(WrongLength(5), times=1)
    raw.send(b"GET /hello HTTP/1.1\r\n\r\n" * 2)
    assert raw.until_close().endswith(b"hello")
    assert [e.outcome for e in over(2)] == ["answered", "ended by fault"]
    assert server.ledger.in_flight == 0


@PATHS
@pytest.mark.parametrize(("delta", "missing"), [(-2, 2), (-100, None)])
def test_too_small_a_length_spoils_the_next_response(server, raw, connect, path, delta, missing):
    body = connect().ask(path).body
    server.inject(WrongLength(delta), times=1)
    reply = raw.ask(path)
    over = missing or len(body)
    assert reply.headers["content-length"] == str(len(body) - over)
    raw.get("/nothing")
    assert raw.until(b"\r\n\r\n").startswith(body[-over:] + b"HTTP/1.1 204 No Content")


@PATHS
def test_head_with_a_wrong_length_has_no_body(server, raw, path):
    server.inject(WrongLength(-1), times=1)
    assert raw.ask(path, method="HEAD").body == b""
    assert raw.ask("/hello").body == b"hello"


MALFORMED = {
    "status": b"HTTP/1.1 two-hundred\r\n",
    "header": b"HTTP/1.1 200 OK\r\nthis line has no colon\r\n",
    "chunk": b"HTTP/1.1 200 OK\r\n",
}


@PATHS
@pytest.mark.parametrize("part", MALFORMED)
def test_malformed_response_is_wrong_in_one_part_alone(server, raw, part, path, over):
    server.inject(Malformed(part))
    raw.get(path)
    answer = raw.until_close()
    assert answer.startswith(MALFORMED[part])
    assert (b"\r\n\r\nZZ\r\n" in answer) == (part == "chunk")
    [exchange] = over(1, closed=1)
    assert (exchange.outcome, exchange.status) == ("answered", 200)
    assert server.ledger.connections[0].closed_by == "fault"


def test_garbage_is_no_http_and_always_the_same(server, connect):
    server.inject(Malformed("garbage"))
    answers = []
    for _ in range(2):
        client = connect()
        client.get("/hello")
        answers.append(client.until_close())
    assert answers[0] == answers[1]
    assert len(answers[0]) > 200
    assert b"HTTP" not in answers[0]


def test_status_is_answered_without_executing(server, raw, over):
    server.inject(Status(503, headers={"Retry-After": "2"}), times=1)
    reply = raw.ask("/hello")
    assert (reply.status, reply.headers["retry-after"]) == (503, "2")
    assert json.loads(reply.body) == {"detail": "injected status 503"}
    assert raw.ask("/hello").status == 200
    refused, _ = over(2)
    assert (refused.outcome, refused.status, refused.executed_at) == ("answered", 503, None)
    assert server.ledger.executions() == 1


def test_status_has_the_body_and_type_it_is_given(server, raw):
    server.inject(Status(429, headers=[("Content-Type", "text/plain"), ("X", "1"), ("X", "2")], body=b"slow down"))
    reply = raw.ask("/hello")
    assert (reply.status, reply.body, reply.headers["content-type"]) == (429, b"slow down", "text/plain")
    assert reply.raw.count(b"X: ") == 2


@pytest.mark.parametrize("status", [301, 307, 308])
def test_redirect_is_answered_without_executing(server, raw, status, over):
    server.inject(Redirect("/elsewhere", status=status))
    reply = raw.ask("/hello")
    assert (reply.status, reply.headers["location"], reply.body) == (status, "/elsewhere", b"")
    assert over()[0].executed_at is None


def test_status_stands_in_for_routes_that_do_not_exist(server, raw):
    server.inject(Status(503), on="GET /none", times=1)
    assert [raw.ask("/none").status for _ in range(2)] == [503, 404]


def test_latency_holds_for_a_status_too(server, raw, over):
    server.inject(Status(503))
    server.delay(0.02)
    raw.ask("/hello")
    [exchange] = over()
    assert exchange.service_time >= 0.02


@pytest.mark.parametrize("fault", [*map(Malformed, MALFORMED), WrongLength(5)], ids=str)
def test_stream_of_known_length_is_broken_and_sent_to_its_end(server, raw, fault):
    async def parts():
        for _ in range(20):
            yield bytes(65536)

    server.route("GET /large")(lambda request: Stream(parts(), length=20 * 65536))
    server.inject(fault)
    raw.get("/large")
    assert raw.until_close().count(0) == 20 * 65536


@pytest.mark.parametrize("fault", [Malformed("header"), WrongLength(5)], ids=str)
def test_stream_that_does_not_end_can_be_broken_too(server, raw, fault):
    async def endless():
        while True:
            yield bytes(65536)

    server.route("GET /endless")(lambda request: Stream(endless()))
    server.inject(fault)
    raw.get("/endless")
    assert 2**20 < len(raw.until_close()) < 2**21
