"""The checks as methods of ``httpconc``: what they refuse, what they raise, what they let pass."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import aiohttp
import httpx
import pytest
import requests

from fake_servers import FakeServer, Response, ScenarioError
from fake_servers.faults import Disconnect, Status
from pytest_httpconc import CheckFailed

NO_NUMBER = [0, -1, True, "2", None, float("nan"), float("inf")]


@pytest.fixture
def server(fake_http):
    @fake_http.route("POST /orders")
    def order(request):
        return Response.json({"id": 1})

    @fake_http.route("POST /jobs/*")
    def job(request):
        return Response.json({})

    @fake_http.route("* /any")
    def anything(request):
        return Response.json({})

    return fake_http


@pytest.fixture
def session():
    with requests.Session() as session:
        yield session


def codes(assertion, *arguments, **options):
    with pytest.raises(CheckFailed) as failure:
        assertion(*arguments, **options)
    return [finding.code for finding in failure.value.findings]


class TestArguments:
    @pytest.mark.parametrize("value", NO_NUMBER)
    @pytest.mark.parametrize(
        ("check", "name"),
        [
            ("assert_connections", "at_most"),
            ("assert_concurrency", "at_least"),
            ("assert_speedup", "at_least"),
            ("assert_backs_off", "at_least"),
        ],
    )
    def test_figure_that_is_no_number_above_0_is_refused(self, httpconc, server, check, name, value):
        with pytest.raises(ScenarioError, match=f"{name}=.* is out of range; allowed are numbers above 0"):
            getattr(httpconc, check)(server, **{name: value})

    @pytest.mark.parametrize("grace", [0, -1, True, "1", float("nan"), float("inf")])
    def test_grace_that_is_no_number_above_0_is_refused(self, httpconc, server, grace):
        with pytest.raises(ScenarioError, match=r"grace=.* is out of range"):
            httpconc.assert_no_leaks(server, grace=grace)

    def test_leaks_of_no_server_are_refused(self, httpconc):
        with pytest.raises(ScenarioError, match="looked at no server; name those to look at"):
            httpconc.assert_no_leaks()

    @pytest.mark.parametrize("on", ["", "orders", "post /orders", "POST orders", "POST", "POST /a*", 7, None])
    def test_text_that_is_no_pattern_is_refused(self, httpconc, server, on):
        for check, figures in CHECKS_WITH_ON:
            with pytest.raises(ScenarioError, match=r"is not a pattern|stands for one whole segment"):
                getattr(httpconc, check)(server, on=on, **figures)


CHECKS_WITH_ON = [
    ("assert_at_most_once", {}),
    ("assert_backs_off", {}),
    ("assert_concurrency", {"at_least": 1}),
    ("assert_speedup", {"at_least": 1}),
]


class TestPatternsThatMeanNothing:
    def test_pattern_of_no_route_is_refused_where_nothing_arrived_at_all(self, httpconc, server):
        for check, figures in CHECKS_WITH_ON:
            with pytest.raises(ScenarioError, match="there were none, and the routes are "):
                getattr(httpconc, check)(server, on="POST /order", **figures)

    @pytest.mark.parametrize("on", ["POST /order", "PUT /orders", "GET /orders/**", "POST /orders/*", "POST /jobs/1/2"])
    def test_pattern_of_no_request_and_no_route_is_refused(self, httpconc, server, session, on):
        session.post(server.url + "/orders")
        for check, figures in CHECKS_WITH_ON:
            with pytest.raises(ScenarioError, match="means no request that arrived and no route; there were POST /"):
                getattr(httpconc, check)(server, on=on, **figures)

    @pytest.mark.parametrize(
        "on", ["POST /orders", "POST /*", "* /orders", "POST *", "POST /**", "POST /jobs/*", "POST /jobs/7", "PUT /any"]
    )
    def test_pattern_of_a_route_to_which_nothing_was_sent_is_meant(self, httpconc, server, session, on):
        session.get(server.url + "/any")
        httpconc.assert_at_most_once(server, on=on)

    def test_pattern_of_a_request_without_a_route_is_meant(self, httpconc, server, session):
        session.post(server.url + "/elsewhere")
        httpconc.assert_at_most_once(server, on="POST /elsewhere")


class TestLeaks:
    def test_connection_that_is_open_is_one(self, httpconc, server, session):
        session.post(server.url + "/orders")
        assert codes(httpconc.assert_no_leaks, server, grace=0.01) == ["HC101"]

    def test_those_of_all_servers_are_told_at_once(self, httpconc, server, fake_docker, session):
        session.post(server.url + "/orders")
        session.get(fake_docker.url + "/health")
        with pytest.raises(CheckFailed) as failure:
            httpconc.assert_no_leaks(server, fake_docker, grace=0.01)
        assert [finding.server for finding in failure.value.findings] == [
            f"FakeServer {server.url}",
            f"FakeDockerServer {fake_docker.url}",
        ]

    def test_connection_that_closes_within_the_grace_is_none(self, httpconc, server):
        with ThreadPoolExecutor() as pool, requests.Session() as session:
            session.post(server.url + "/orders")
            pool.submit(session.close)
            httpconc.assert_no_leaks(server, grace=10)

    def test_stopped_servers_are_looked_at_too(self, httpconc, session):
        with FakeServer() as stopped:
            session.get(stopped.url)
        assert codes(httpconc.assert_no_leaks, stopped, grace=0.01) == ["HC101"]
        session.close()
        httpconc.assert_no_leaks(stopped)


class TestAtMostOnce:
    def send_twice(self, server, session, fault):
        server.inject(fault, on="POST /orders", times=1)
        for _ in range(2):
            with suppress(requests.ConnectionError):
                session.post(server.url + "/orders", json={"item": 1})

    def test_request_sent_again_after_it_was_executed_is_told(self, httpconc, server, session):
        self.send_twice(server, session, Disconnect())
        assert codes(httpconc.assert_at_most_once, server) == ["HC201"]

    def test_one_of_many_equal_calls_that_is_sent_again_is_told(self, httpconc, server, session):
        def call(_):
            try:
                return session.post(server.url + "/orders").status_code
            except requests.ConnectionError:
                return session.post(server.url + "/orders").status_code

        server.hold(until_in_flight=4, give_up=20)
        server.inject(Disconnect(), times=1)
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(call, range(4))) == [200] * 4
        assert server.ledger.executions("POST /orders") == 5
        assert codes(httpconc.assert_at_most_once, server) == ["HC201"]

    def test_request_retried_on_a_status_is_told_unless_that_is_meant(self, httpconc, server, session):
        self.send_twice(server, session, Status(503))
        assert codes(httpconc.assert_at_most_once, server, on="POST /orders") == ["HC202"]
        httpconc.assert_at_most_once(server, on="POST /orders", retry_statuses={503})

    def test_other_routes_are_not_judged(self, httpconc, server, session):
        self.send_twice(server, session, Disconnect())
        httpconc.assert_at_most_once(server, on="POST /jobs/*")

    @pytest.mark.httpconc(ignore=["HC201"])
    def test_code_that_the_marker_ignores_is_passed_over(self, httpconc, server, session):
        self.send_twice(server, session, Disconnect())
        httpconc.assert_at_most_once(server)


class TestBackingOff:
    def test_retry_before_the_time_that_a_server_asked_for_is_told(self, httpconc, server, session):
        server.inject(Status(429, headers={"Retry-After": "30"}), on="POST /orders", times=1)
        for _ in range(2):
            session.post(server.url + "/orders")
        assert codes(httpconc.assert_backs_off, server, on="POST /orders") == ["HC203"]
        httpconc.assert_backs_off(server, on="POST /jobs/*")

    def test_what_a_handler_asks_for_counts_too(self, httpconc, server, session):
        @server.route("POST /busy")
        def busy(request):
            return Response(status=503, headers={"retry-after": "30"})

        for _ in range(2):
            session.post(server.url + "/busy")
        with pytest.raises(CheckFailed, match="503 and Retry-After: 30"):
            httpconc.assert_backs_off(server)

    def test_pause_after_which_a_retry_is_none_too_soon(self, httpconc, server, session):
        server.inject(Status(503), on="POST /orders", times=1)
        for _ in range(2):
            session.post(server.url + "/orders")
        assert codes(httpconc.assert_backs_off, server, at_least=60) == ["HC203"]
        assert codes(httpconc.assert_backs_off, server, at_least=60, at_most_together=1) == ["HC203"]
        httpconc.assert_backs_off(server, at_least=1e-9)

    @pytest.mark.parametrize("count", [0, -1, True, "2"])
    def test_number_that_may_come_together_is_above_0(self, httpconc, server, count):
        with pytest.raises(ScenarioError, match=r"at_most_together=.* is out of range"):
            httpconc.assert_backs_off(server, at_most_together=count)


class TestConcurrency:
    def send(self, server, session, calls, workers):
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda _: session.post(server.url + "/orders"), range(calls)))

    def test_calls_that_meet_at_a_rendezvous_were_concurrent(self, httpconc, server, session):
        rendezvous = server.hold(until_in_flight=4, give_up=20)
        self.send(server, session, calls=4, workers=4)
        assert rendezvous.reached
        httpconc.assert_concurrency(server, at_least=4, on="POST /orders")

    def test_serial_calls_are_told_that_one_came(self, httpconc, server, session):
        server.hold(until_in_flight=10, give_up=0.01)
        self.send(server, session, calls=10, workers=1)
        with pytest.raises(CheckFailed, match=r"gave up after 0\.01 s with 1 of 10") as failure:
            httpconc.assert_concurrency(server, at_least=10)
        assert [finding.code for finding in failure.value.findings] == ["HC401"]

    def test_calls_through_a_small_pool_are_capped(self, httpconc, server, session):
        server.hold(until_in_flight=2, give_up=20)
        self.send(server, session, calls=4, workers=2)
        assert codes(httpconc.assert_concurrency, server, at_least=4) == ["HC403"]

    def test_serial_calls_have_no_speedup(self, httpconc, server, session):
        server.delay(0.01)
        self.send(server, session, calls=3, workers=1)
        assert codes(httpconc.assert_speedup, server, at_least=1.5) == ["HC404"]
        httpconc.assert_speedup(server, at_least=0.01)


class TestConnections:
    def test_one_session_keeps_to_one_connection(self, httpconc, server, session):
        for _ in range(5):
            session.post(server.url + "/orders")
        httpconc.assert_connections(server, at_most=1)

    def test_call_without_a_session_is_told(self, httpconc, server):
        for _ in range(2):
            requests.post(server.url + "/orders")
        assert codes(httpconc.assert_connections, server, at_most=1) == ["HC103"]

    def test_two_at_a_time_are_more_than_one(self, httpconc, server, session):
        session.post(server.url + "/orders")
        with requests.Session() as other:
            other.post(server.url + "/orders")
        assert codes(httpconc.assert_connections, server, at_most=1) == ["HC104", "HC103"]


async def call_with_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.post(url) as response:
        return await response.json()


async def call_with_httpx(url):
    async with httpx.AsyncClient() as client:
        return (await client.post(url)).json()


@pytest.mark.parametrize("call", [call_with_aiohttp, call_with_httpx])
def test_leaks_of_a_server_in_the_running_loop_are_judged_once_it_has_seen_the_end(httpconc, call):
    async def test():
        async with FakeServer() as server:
            await call(server.url + "/orders")
            await server.ledger.until(lambda ledger: not ledger.open_connections)
            httpconc.assert_no_leaks(server)

    asyncio.run(test())


def test_waiting_for_a_leak_in_the_running_loop_is_refused(httpconc):
    async def test():
        async with FakeServer() as server, aiohttp.ClientSession() as session:
            await session.get(server.url)
            with pytest.raises(ScenarioError, match="would block the loop that this server runs in"):
                httpconc.assert_no_leaks(server)

    asyncio.run(test())


@pytest.mark.parametrize(
    "check",
    [
        lambda httpconc, url: httpconc.assert_no_leaks(url),
        lambda httpconc, url: httpconc.assert_connections(url, at_most=1),
        lambda httpconc, url: httpconc.assert_at_most_once(url),
        lambda httpconc, url: httpconc.assert_backs_off(url),
        lambda httpconc, url: httpconc.assert_concurrency(url, at_least=1),
        lambda httpconc, url: httpconc.assert_speedup(url, at_least=1),
        lambda httpconc, url: httpconc.assert_timeout(url, read=1),
    ],
)
def test_url_in_place_of_the_server_is_refused(fake_http, httpconc, check):
    with pytest.raises(ScenarioError, match="is no fake server; give the server itself"):
        check(httpconc, fake_http.url)


@pytest.mark.parametrize("statuses", [503, "503", ["503"]])
def test_retry_statuses_that_are_none_are_refused(fake_http, httpconc, statuses):
    with pytest.raises(ScenarioError, match="is no collection of statuses"):
        httpconc.assert_at_most_once(fake_http, retry_statuses=statuses)
