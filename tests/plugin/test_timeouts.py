"""Effective timeouts, read from the client's own sockets while it waits."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import subprocess
import sys
import urllib.request

import aiohttp
import httpx
import pytest
import requests
import urllib3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fake_servers import FakeDockerServer, FakeServer, ScenarioError
from fake_servers.faults import Dribble, Stall
from pytest_httpconc import CheckFailed
from pytest_httpconc.clients.docker import RemoteDockerEnvironment, request_timeout
from pytest_httpconc.clients.legacy.docker import ShortTimeoutEnvironment


def codes(failure):
    return [finding.code for finding in failure.value.findings]


def by_requests(server):
    with requests.Session() as session:
        session.get(server.url, timeout=(3.05, 1830))


def by_urllib3(server):
    with urllib3.PoolManager(timeout=urllib3.Timeout(connect=3.05, read=1830)) as pool:
        pool.request("GET", server.url)


def by_httpx(server):
    with httpx.Client(timeout=httpx.Timeout(1830, connect=3.05)) as client:
        client.get(server.url)


def by_socket(server):
    with socket.create_connection((server.address, server.port), timeout=3.05) as line:
        line.sendall(b"GET / HTTP/1.1\r\n\r\n")
        line.settimeout(1830)
        line.recv(65536)


@pytest.mark.parametrize("client", [by_requests, by_urllib3, by_httpx, by_socket])
def test_half_an_hour_is_asserted_without_waiting(fake_http, httpconc, client):
    client(fake_http)
    httpconc.assert_timeout(fake_http, on="GET /", connect=3.05, read=1830)
    with pytest.raises(CheckFailed) as failure:
        httpconc.assert_timeout(fake_http, connect=5, read=30)
    assert codes(failure) == ["HC302", "HC302"]
    assert "connect timeout is 3.05 s, declared are 5 s" in str(failure.value)
    assert "read timeout is 1830 s, declared are 30 s" in str(failure.value)


def test_every_request_on_a_connection_has_a_timeout_of_its_own(fake_http, httpconc):
    with requests.Session() as session:
        for number in range(1, 6):
            session.get(f"{fake_http.url}/{number}", timeout=number * 100)
    for number in range(1, 6):
        httpconc.assert_timeout(fake_http, on=f"GET /{number}", read=number * 100)
    with pytest.raises(CheckFailed) as failure:
        httpconc.assert_timeout(fake_http, on="GET /*", read=100)
    assert len(failure.value.findings[0].evidence) == 4


@pytest.mark.parametrize(
    "call",
    [
        lambda url: requests.get(url),
        lambda url: urllib.request.urlopen(url).close(),
        lambda url: httpx.get(url, timeout=None),
    ],
)
def test_no_timeout_is_found(fake_http, httpconc, call):
    @fake_http.route("GET /")
    async def root(request):
        from fake_servers import Response

        return Response.text("hello")

    call(fake_http.url)
    with pytest.raises(CheckFailed) as failure:
        httpconc.assert_timeout(fake_http, read=60, connect=60)
    assert codes(failure) == ["HC301", "HC301"]


def test_connection_without_a_library_has_one_too(fake_http, httpconc):
    line = http.client.HTTPConnection(fake_http.address, fake_http.port, timeout=77)
    line.request("GET", "/")
    line.getresponse().read()
    line.close()
    httpconc.assert_timeout(fake_http, connect=77, read=77)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(command=st.none() | st.integers(1, 100_000), configured=st.integers(1, 20_000), pull=st.integers(1, 2000))
def test_remote_docker_client_waits_as_long_as_its_table_says(httpconc, command, configured, pull):
    with FakeDockerServer() as server:
        with RemoteDockerEnvironment(
            server_url=server.url, image="python:3.12", timeout=configured, pull_timeout=pull
        ) as env:
            env.execute("true", timeout=command)
        httpconc.assert_timeout(server, on="POST /start", read=pull + 10, connect=pull + 10)
        httpconc.assert_timeout(server, on="POST /execute", read=request_timeout(command or configured))
        httpconc.assert_timeout(server, on="POST /execute", read=max(1800, (command or configured) + 30))
        httpconc.assert_timeout(server, on="POST /cleanup", read=10)


@pytest.mark.parametrize(("command", "seconds"), [(None, 1830), (600, 1800), (3600, 3630)])
def test_examples_of_the_table(fake_docker, httpconc, command, seconds):
    with RemoteDockerEnvironment(server_url=fake_docker.url, image="python:3.12") as env:
        env.execute("true", timeout=command)
    httpconc.assert_timeout(fake_docker, on="POST /execute", read=seconds)
    httpconc.assert_timeout(fake_docker, on="POST /start", read=410)


def test_client_with_thirty_seconds_for_everything_is_caught(fake_docker, httpconc):
    with ShortTimeoutEnvironment(server_url=fake_docker.url, image="python:3.12") as env:
        env.execute("true")
    with pytest.raises(CheckFailed) as failure:
        httpconc.assert_timeout(fake_docker, on="POST /execute", read=1830)
    assert codes(failure) == ["HC302"]


# -- total ----------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.looptime
async def test_total_timeout_of_an_async_client_is_exact_on_a_virtual_clock(httpconc):
    async with FakeServer() as server:
        server.inject(Stall())
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3600)) as session:
            with pytest.raises(asyncio.TimeoutError):
                await session.get(server.url)
        await server.ledger.until(lambda ledger: not ledger.in_flight)
        httpconc.assert_timeout(server, total=3600)
        with pytest.raises(CheckFailed) as failure:
            httpconc.assert_timeout(server, total=7200)
        assert codes(failure) == ["HC302"]
        assert "calls lasted 3600 s, not 7200 s" in str(failure.value)


@pytest.mark.asyncio
@pytest.mark.looptime
async def test_trickle_outlasts_a_timeout_for_each_part_but_not_a_total_one(httpconc):
    async with FakeServer() as server:
        server.inject(Dribble(size=1, interval=4.0))
        for timeout in (aiohttp.ClientTimeout(total=None, sock_read=5), aiohttp.ClientTimeout(total=5)):
            server.reset()
            server.inject(Dribble(size=1, interval=4.0))
            async with aiohttp.ClientSession(timeout=timeout) as session:
                try:
                    async with session.get(server.url) as response:
                        await response.read()
                except asyncio.TimeoutError:
                    await server.ledger.until(lambda ledger: not ledger.in_flight)
            if timeout.total is None:
                with pytest.raises(CheckFailed) as failure:
                    httpconc.assert_timeout(server, total=5)
                assert codes(failure) == ["HC303"]
            else:
                httpconc.assert_timeout(server, total=5)


# -- what can't be judged -------------------------------------------------------------------------------------


def test_check_that_asks_for_nothing_is_refused(fake_http, httpconc):
    requests.get(fake_http.url, timeout=5)
    with pytest.raises(ScenarioError, match="give connect=, read= or total="):
        httpconc.assert_timeout(fake_http)


def test_check_that_saw_no_request_is_refused(fake_http, httpconc):
    with pytest.raises(ScenarioError, match=r"no request to \* arrived"):
        httpconc.assert_timeout(fake_http, read=5)


def test_total_of_calls_that_never_waited_is_not_judged(fake_http, httpconc):
    requests.get(fake_http.url, timeout=5)
    with pytest.raises(ScenarioError, match="no call was made to wait so long"):
        httpconc.assert_timeout(fake_http, total=5)


def test_read_timeout_of_an_async_client_is_not_judged_by_its_socket(fake_http, httpconc):
    async def main():
        async with aiohttp.ClientSession() as session, session.get(fake_http.url):
            pass

    asyncio.run(main())
    with pytest.raises(ScenarioError, match="sockets don't block"):
        httpconc.assert_timeout(fake_http, read=5)


def by_requests_over_tls(server):
    with requests.Session() as session:
        session.get(server.url, timeout=(3.05, 1830), verify=server.ca_path)


def by_httpx_over_tls(server):
    context = ssl.create_default_context(cafile=server.ca_path)
    with httpx.Client(timeout=httpx.Timeout(1830, connect=3.05), verify=context) as client:
        client.get(server.url)


@pytest.mark.parametrize("client", [by_requests_over_tls, by_httpx_over_tls])
def test_timeouts_are_read_through_tls(httpconc, client):
    with FakeServer(tls=True) as server:
        client(server)
        client(server)
        httpconc.assert_timeout(server, on="GET /", connect=3.05, read=1830)
        with pytest.raises(CheckFailed) as failure:
            httpconc.assert_timeout(server, read=30)
    assert codes(failure) == ["HC302"]


def test_socket_that_was_not_seen_is_not_judged(fake_http, httpconc):
    source = f"import urllib.request as r; r.urlopen({fake_http.url!r} + '/health', timeout=5)"
    subprocess.run([sys.executable, "-c", source], capture_output=True, check=False)
    with pytest.raises(ScenarioError, match="no client's socket was seen"):
        httpconc.assert_timeout(fake_http, read=5)


@pytest.mark.parametrize("value", [0, -1, "5", True])
def test_timeout_that_is_none_is_refused(fake_http, httpconc, value):
    requests.get(fake_http.url, timeout=5)
    with pytest.raises(ScenarioError, match=r"read=.* is out of range"):
        httpconc.assert_timeout(fake_http, read=value)


def test_tests_that_do_not_ask_are_not_looked_at(run):
    source = """
import requests
from pytest_httpconc import probe

def test_without(fake_http):
    requests.get(fake_http.url, timeout=5)
    connection, = fake_http.ledger.connections
    exchange, = fake_http.ledger.exchanges
    assert probe.timeouts_of(fake_http, connection, exchange) is None

def test_with(fake_http, httpconc):
    requests.get(fake_http.url, timeout=5)
    connection, = fake_http.ledger.connections
    exchange, = fake_http.ledger.exchanges
    assert probe.timeouts_of(fake_http, connection, exchange) == probe.Timeouts(5, 5)
"""
    run(source).assert_outcomes(passed=2)


def test_more_requests_than_are_looked_at_blame_nobody(fake_http, httpconc):
    with requests.Session() as session:
        for _ in range(150):
            session.post(fake_http.url, timeout=(3, 30))
    httpconc.assert_timeout(fake_http, connect=3, read=30)


@pytest.mark.parametrize("attempt", range(5))
def test_call_that_was_left_a_moment_ago_is_judged(fake_http, httpconc, attempt):
    fake_http.inject(Stall())
    with requests.Session() as session, pytest.raises(requests.Timeout):
        session.get(fake_http.url, timeout=0.05)
    httpconc.assert_timeout(fake_http, total=0.05)


def test_three_times_a_short_deadline_is_another(fake_http, httpconc):
    fake_http.inject(Stall())
    with pytest.raises(requests.Timeout):
        requests.get(fake_http.url, timeout=0.6)
    with pytest.raises(CheckFailed) as failure:
        httpconc.assert_timeout(fake_http, total=0.2)
    assert codes(failure) == ["HC302"]


@pytest.mark.asyncio
@pytest.mark.looptime
async def test_deadline_that_began_in_the_pool_blames_nobody(httpconc):
    async with FakeServer() as server:
        server.delay(6)
        connector = aiohttp.TCPConnector(limit=1)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=10)) as session:

            async def call():
                async with session.get(server.url) as response:
                    return response.status

            _, second = await asyncio.gather(call(), call(), return_exceptions=True)
        assert isinstance(second, asyncio.TimeoutError)
        await server.ledger.until(lambda ledger: not ledger.in_flight)
        httpconc.assert_timeout(server, total=10)
