"""Responses cut after every byte: real clients, and small ones each with one bug."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
from contextlib import closing, contextmanager, suppress

import aiohttp
import httpx
import pytest
import requests
import urllib3

from fake_servers import FakeServer, Response, ScenarioError
from fake_servers.faults import Status
from fake_servers.http import Stream
from pytest_httpconc import CheckFailed


@pytest.fixture
def server(fake_http):
    @fake_http.route("POST /orders")
    def create(request):
        return Response.json({"id": 1, "echo": request.body.decode()})

    return fake_http


@pytest.fixture
def url(server):
    return f"{server.url}/orders"


def codes(failure):
    return sorted(finding.code for finding in failure.value.findings)


def checked(headers, answer):
    """What a careful client does with an answer by http.client, which ends the headers where they are cut."""
    if headers.get("Content-Type") != "application/json":
        raise ValueError("cut or spoiled headers")
    return answer


def by_requests(url):
    def call(session):
        response = session.post(url, data=b"1", timeout=5)
        return checked(response.headers, response.json())

    return call, requests.Session


def by_urllib3(url):
    def call(pool):
        response = pool.request("POST", url, body=b"1", retries=False)
        return checked(response.headers, response.json())

    return call, urllib3.PoolManager


def by_httpx(url):
    return (lambda client: client.post(url, content=b"1").json()), lambda: httpx.Client(verify=False)


def by_async_httpx(url):
    async def call(client):
        return (await client.post(url, content=b"1")).json()

    return call, lambda: httpx.AsyncClient(verify=False)


def by_aiohttp(url):
    async def call(session):
        async with session.post(url, data=b"1") as response:
            return await response.json()

    return call, aiohttp.ClientSession


@pytest.mark.parametrize("client", [by_requests, by_urllib3, by_httpx, by_async_httpx, by_aiohttp])
def test_careful_client_passes(server, httpconc, url, client):
    result = httpconc.sweep_truncations(server, *client(url))
    assert result.steps == 2 * result.size + 6
    assert not result.sampled
    assert not result.findings


def test_requests_takes_headers_that_are_cut_for_an_empty_answer(server, httpconc, url):
    with pytest.raises(CheckFailed) as failure:
        httpconc.sweep_truncations(server, lambda s: s.post(url, data=b"1", timeout=5).text, requests.Session)
    assert codes(failure) == ["HC601", "HC602"]
    assert "in the headers: the call returned ''" in str(failure.value)


def test_truncations_behind_tls_are_visited_like_others(httpconc):
    with FakeServer(tls=True) as server:
        server.route("POST /")(lambda request: Response.json({"id": 1}))
        trusted = ssl.create_default_context(cafile=server.ca_path)
        call = lambda client: client.post(server.url, content=b"1").json()  # noqa: E731
        result = httpconc.sweep_truncations(server, call, lambda: httpx.Client(verify=trusted))
    assert result.steps == 2 * result.size + 6


def test_session_of_the_callers_own_may_keep_its_connection(server, httpconc, url):
    with requests.Session() as session:
        call, _ = by_requests(url)
        assert httpconc.sweep_truncations(server, lambda: call(session)).steps > 100


def test_sweep_leaves_scenario_and_checks_as_they_were(server, httpconc, url):
    server.inject(Status(503), on="POST /other")
    before = server.scenario
    httpconc.sweep_truncations(server, *by_aiohttp(url))
    assert server.scenario == before
    httpconc.assert_at_most_once(server)
    httpconc.assert_no_leaks(server)
    with requests.Session() as session:
        session.post(f"{server.url}/other", timeout=5)


def test_every_byte_of_a_response_is_visited_with_fin_and_with_rst(fake_http, httpconc):
    fake_http.route("GET /")(lambda request: Response.json({"pad": "x" * 117}))

    def call(session):
        response = session.get(fake_http.url, timeout=5)
        return checked(response.headers, response.json())

    result = httpconc.sweep_truncations(fake_http, call, requests.Session)
    assert result.size == 200
    assert result.steps >= 2 * 200


# -- small clients, each with one bug --------------------------------------------------------------------------


class Line:
    """A client with one connection at a time, by http.client."""

    def __init__(self, server):
        self.server = server
        self.connection = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.hang_up()

    def hang_up(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def exchange(self, body=b"1"):
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.server.address, self.server.port, timeout=5)
        self.connection.request("POST", "/orders", body)
        response = self.connection.getresponse()
        return checked(response.headers, json.loads(response.read()))

    def post(self, body=b"1"):
        try:
            return self.exchange(body)
        except BaseException:
            self.hang_up()
            raise


def swept(httpconc, server, post, **options):
    """What a sweep finds in a client like `Line` with another way to post."""
    kind = type("Broken", (Line,), {"post": post})
    with pytest.raises(CheckFailed) as failure:
        httpconc.sweep_truncations(server, lambda line: line.post(), lambda: kind(server), **options)
    return failure


def test_the_client_without_a_bug_passes(server, httpconc):
    httpconc.sweep_truncations(server, lambda line: line.post(), lambda: Line(server))


def test_client_that_swallows_a_truncation_is_caught(server, httpconc):
    def post(self):
        try:
            return Line.post(self)
        except http.client.IncompleteRead as error:
            return error.partial

    failure = swept(httpconc, server, post)
    assert codes(failure) == ["HC601", "HC602"]
    first = next(f for f in failure.value.findings if f.code == "HC601")
    assert "FIN after" in first.summary
    assert any("in the body: the call returned" in line for line in first.evidence)


def test_failing_step_can_be_run_alone(server, httpconc):
    def post(self):
        try:
            return Line.post(self)
        except http.client.IncompleteRead as error:
            return error.partial

    (first, _) = swept(httpconc, server, post).value.findings
    number = int(first.summary.split(":")[0].removeprefix("step "))
    alone = swept(httpconc, server, post, only=number)
    assert codes(alone) == ["HC601"]
    assert alone.value.findings[0].summary == first.summary
    assert httpconc.sweep_truncations(server, lambda line: line.post(), lambda: Line(server), only=number).steps == 1


def test_client_that_sends_again_is_caught(server, httpconc):
    def post(self):
        try:
            return Line.post(self)
        except (http.client.HTTPException, OSError, ValueError):
            return Line.post(self)

    assert "HC201" in codes(swept(httpconc, server, post))


def test_client_that_keeps_its_socket_on_an_error_is_caught(server, httpconc):
    kept = []

    def post(self):
        try:
            return self.exchange()
        except (http.client.HTTPException, OSError, ValueError):
            kept.append(self.connection)
            self.connection = None
            raise

    failure = swept(httpconc, server, post)
    assert codes(failure) == ["HC102"]
    # http.client itself closes where nothing came at all.
    assert "step 3: FIN after 1 bytes, in the status line" in str(failure.value)
    assert "exchange, called from" in str(failure.value)  # the line that opened the socket
    for connection in kept:
        connection.close()


def test_client_that_does_not_work_after_an_error_is_caught(server, httpconc):
    def post(self):
        if self.connection == "broken":
            raise RuntimeError("given up")
        try:
            return Line.post(self)
        except Exception:
            self.connection = "broken"
            self.hang_up = lambda: None
            raise

    failure = swept(httpconc, server, post)
    assert codes(failure) == ["HC702"]
    assert "the next call, undisturbed, raised RuntimeError('given up')" in str(failure.value)


@pytest.mark.httpconc(grace=0.1)
def test_client_that_hangs_is_a_finding_and_no_hang(server, httpconc):
    here, there = socket.socketpair()

    def post(self):
        try:
            return Line.post(self)
        except Exception:
            here.recv(1)
            raise

    with closing(here), closing(there):
        failure = swept(httpconc, server, post)
        there.send(b"x")
    assert codes(failure) == ["HC702"]
    assert "step 1: FIN after 0 bytes, before the status line: the step did not end within" in str(failure.value)


def test_answer_of_another_call_is_caught(server, httpconc):
    class Shared(Line):
        last = None

        def post(self, body=b"1"):
            with suppress(http.client.HTTPException, OSError, ValueError):
                Shared.last = Line.post(self, body)
            return Shared.last

    with pytest.raises(CheckFailed) as failure:
        httpconc.sweep_truncations(server, lambda line, nonce: line.post(nonce.encode()), lambda: Shared(server))
    assert "HC501" in codes(failure)


# -- which truncations a client can tell -----------------------------------------------------------------------


def test_body_that_ends_with_the_connection_need_not_raise(fake_http, httpconc):
    async def parts():
        yield b"some text "
        yield b"and more"

    fake_http.route("GET /")(lambda request: Stream(parts()))

    def call():
        with closing(socket.create_connection((fake_http.address, fake_http.port))) as line:
            line.sendall(b"GET / HTTP/1.0\r\n\r\n")
            received = b""
            while block := line.recv(4096):
                received += block
        head, end, body = received.partition(b"\r\n\r\n")
        if not end or not head.startswith(b"HTTP/1.1 200 ") or b"colon" in head or b"chunked" in head:
            raise ValueError(head)
        if b"Length" in head:
            raise ValueError(head)
        return body

    httpconc.sweep_truncations(fake_http, call)


def test_chunked_body_is_complete_behind_its_last_chunk(fake_http, httpconc):
    async def parts():
        yield b"some text "
        yield b"and more"

    fake_http.route("GET /")(lambda request: Stream(parts()))

    def call(pool):
        response = pool.request("GET", fake_http.url, retries=False)
        if response.headers.get("Transfer-Encoding") != "chunked":
            raise ValueError("cut or spoiled headers")
        return response.data

    result = httpconc.sweep_truncations(fake_http, call, urllib3.PoolManager)
    assert result.steps == 2 * result.size + 6


def test_large_body_is_sampled_and_the_result_says_so(fake_http, httpconc):
    fake_http.route("GET /")(lambda request: Response.json({"pad": "x" * 100_000}))

    def call(session):
        response = session.get(fake_http.url, timeout=5)
        return checked(response.headers, response.json())

    result = httpconc.sweep_truncations(fake_http, call, requests.Session)
    assert result.sampled
    assert result.steps < 400
    assert "boundaries and seeded points of the body" in repr(result)


def test_few_points_of_the_head_and_the_body_may_do(server, httpconc, url):
    result = httpconc.sweep_truncations(server, *by_requests(url), at_most=7, malformed=False)
    assert result.steps == 2 * 7
    assert result.sampled
    assert "after 7 of its bytes, boundaries and seeded points" in repr(result)


@pytest.mark.parametrize("at_most", [0, True, 2.5])
def test_number_of_points_that_is_none_is_refused(server, httpconc, url, at_most):
    with pytest.raises(ScenarioError, match="at_most="):
        httpconc.sweep_truncations(server, *by_requests(url), at_most=at_most)


# -- bad input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("only", [0, -1, True, "37", 10_000])
def test_step_that_does_not_exist_is_refused(server, httpconc, url, only):
    with pytest.raises(ScenarioError, match="only="):
        httpconc.sweep_truncations(server, *by_requests(url), only=only)


def test_call_that_fails_undisturbed_is_refused(server, httpconc):
    with pytest.raises(ScenarioError, match="one that succeeds"):
        httpconc.sweep_truncations(server, lambda: 1 / 0)


def test_call_that_sends_nothing_is_refused(server, httpconc):
    with pytest.raises(ScenarioError, match="sent 0 requests"):
        httpconc.sweep_truncations(server, lambda: 1)


def test_call_that_sends_two_requests_is_refused(server, httpconc, url):
    call, client = by_requests(url)
    with pytest.raises(ScenarioError, match="sent 2 requests"):
        httpconc.sweep_truncations(server, lambda s: (call(s), call(s)), client)


def test_factory_of_no_context_manager_is_refused(server, httpconc):
    with pytest.raises(ScenarioError, match="context managers"):
        httpconc.sweep_truncations(server, print, object)
    with pytest.raises(ScenarioError, match="no factory"):
        httpconc.sweep_truncations(server, print, "client")


def test_answer_without_the_nonce_is_refused(server, httpconc, url):
    call, client = by_requests(url)
    with pytest.raises(ScenarioError, match="echo"):
        httpconc.sweep_truncations(server, lambda session, nonce: call(session), client)


def test_running_loop_is_refused_with_what_to_do(server, httpconc, url):
    async def main():
        httpconc.sweep_truncations(server, *by_aiohttp(url))

    with pytest.raises(ScenarioError, match=r"asyncio\.to_thread"):
        asyncio.run(main())


def test_server_in_the_same_loop_is_refused(httpconc):
    async def main():
        async with FakeServer() as server:
            httpconc.sweep_truncations(server, lambda: None)

    with pytest.raises(ScenarioError, match="in a thread"):
        asyncio.run(main())


def test_client_is_entered_anew_for_each_step(server, httpconc, url):
    entered = []

    @contextmanager
    def factory():
        with requests.Session() as session:
            entered.append(session)
            yield session

    httpconc.sweep_truncations(server, by_requests(url)[0], factory, only=3)
    assert len(entered) == 2
