"""Benchmarks on real sockets, judged by counts."""

import asyncio
import threading
import time
from contextlib import asynccontextmanager, closing
from contextvars import ContextVar
from dataclasses import replace

import aiohttp
import pytest
import requests

from fake_servers import FakeServer, Injection, Response, Scenario, ScenarioError, latency
from fake_servers.faults import Status
from pytest_httpconc import HttpconcBenchmark, Side
from pytest_httpconc.bench.orders import Depth
from pytest_httpconc.bench.runner import Rules
from pytest_httpconc.bench.target import make_server

PROVING = Depth(rules=Rules(least=3, most=3), usual=3)


@pytest.fixture
def bench():
    harness = HttpconcBenchmark("test")
    yield harness
    harness.close()


@pytest.fixture
def proving():
    """A harness as thorough as the gate, with few rounds."""
    harness = HttpconcBenchmark("test", depth=PROVING)
    yield harness
    harness.close()


def get_anew(url):
    requests.get(url, timeout=10)


def get(session, url):
    session.get(url, timeout=10)


async def fetch(session, url):
    async with session.get(url) as response:
        await response.read()


async def fetch_anew(url):
    async with aiohttp.ClientSession() as session:
        await fetch(session, url)


async def fetch_blocking(url):
    get_anew(url)


current = ContextVar("current")


@asynccontextmanager
async def in_context():
    async with aiohttp.ClientSession() as session:
        token = current.set(session)
        yield
        current.reset(token)


async def fetch_by_context(client, url):
    await fetch(current.get(), url)


def test_calls_see_the_context_of_their_client(bench):
    result = bench.run(Side(fetch_by_context, in_context), calls=4, concurrency=2)
    assert result.candidate.connections <= 2


def test_pool_beside_a_session_for_each_call(bench):
    result = bench.compare(Side(get, requests.Session), get_anew, calls=12, concurrency=3, latency=0.01)
    assert result.candidate.connections <= 3
    assert result.candidate.requests_per_connection >= 4
    assert (result.baseline.connections, result.baseline.connections_opened) == (12, 12)
    assert result.candidate.executions == result.baseline.executions == 12
    assert result.baseline.requests_per_connection == 1
    assert result.candidate.cpu > 0
    assert result.candidate.peak_memory > 0
    assert result.candidate.p50 <= result.candidate.p90 <= result.candidate.p99 <= result.candidate.longest


def test_async_beside_blocking_in_a_loop(proving):
    result = proving.compare(Side(fetch, aiohttp.ClientSession), fetch_blocking, calls=6, concurrency=3, latency=0.02)
    assert (result.candidate.peak_in_flight, result.baseline.peak_in_flight) == (3, 1)
    assert result.ratios.keys() == {"relative_cpu", "waking", "speedup", "efficiency", "cpu", "p50", "p90", "p99"}


def test_one_side_async_and_one_of_threads(bench):
    result = bench.compare(fetch_anew, get_anew, calls=4, concurrency=2, latency=0.0)
    assert result.candidate.executions == result.baseline.executions == 4


def test_one_call_at_a_time_is_made_by_the_callers_own_thread(bench):
    threads = []
    bench.run(lambda url: threads.append(threading.get_ident()), calls=3, concurrency=1)
    assert set(threads) == {threading.get_ident()}


def test_lock_around_the_call_is_seen_without_a_clock(proving):
    lock = threading.Lock()

    def get_locked(session, url):
        with lock:
            get(session, url)

    assert proving.run(Side(get_locked, requests.Session), calls=4, concurrency=4).candidate.peak_in_flight == 1


def test_limit_of_a_pool_is_the_peak(proving):
    limited = Side(fetch, lambda: aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=2)))
    figures = proving.run(limited, calls=8, concurrency=4, latency=0.0).candidate
    assert (figures.peak_in_flight, figures.peak_in_flight.least, figures.peak_is_certain) == (2, 2, True)
    assert figures.connections == 2


def test_requests_that_are_sent_again_are_counted(bench):
    flaky = Scenario(injections=(Injection(fault=Status(503), times=2),))

    def insist(session, url):
        while session.get(url, timeout=10).status_code == 503:
            pass

    figures = bench.run(Side(insist, requests.Session), calls=5, concurrency=1, latency=0.0, scenario=flaky).candidate
    assert (figures.requests, figures.resends, figures.executions) == (7, 2, 5)


def test_calls_that_follow_failed_ones_are_no_resends(bench):
    flaky = Scenario(injections=(Injection(fault=Status(503), times=2),))
    assert bench.run(get_anew, calls=5, concurrency=1, latency=0.0, scenario=flaky).candidate.resends == 0


def test_own_server_is_read_and_stays_as_it_is(bench):
    with FakeServer() as server:

        @server.route("GET /")
        def answer(request):
            return Response.json({"mine": True})

        with requests.Session() as session:
            result = bench.run(lambda: session.get(server.url, timeout=10), server=server, calls=4, concurrency=1)
            assert session.get(server.url, timeout=10).json() == {"mine": True}
        assert result.candidate.executions == 4
        assert server.ledger.count() == 6  # the warm-up's and the last one are among them


def test_call_without_arguments_may_know_the_harness_own_server(bench):
    url = bench.server.url
    assert bench.run(lambda: get_anew(f"{url}/any/path"), calls=2, concurrency=1).candidate.executions == 2


def test_call_that_fails_fails_the_benchmark(bench):
    ends = []

    async def fail(session, url):
        try:
            await fetch(session, url)
        finally:
            ends.append(url)
        raise LookupError("not today")

    with pytest.raises(LookupError, match="not today"):
        bench.run(Side(fail, aiohttp.ClientSession), calls=4, concurrency=2)
    assert ends


def test_thread_that_fails_fails_the_benchmark(bench):
    def fail(url):
        raise LookupError("not today")

    with pytest.raises(LookupError, match="not today"):
        bench.run(fail, calls=4, concurrency=2)


def test_client_lives_as_long_as_its_side(proving):
    made = []

    class Client:
        def __enter__(self):
            made.append("entered")
            return self

        def __exit__(self, *_):
            made.append("left")

    proving.run(Side(lambda client: None, Client), calls=2, concurrency=2, latency=0.0)
    assert made == ["entered", "left"]


def test_loop_lives_as_long_as_its_side(proving):
    loops = set()

    async def note(url):
        loops.add(asyncio.get_running_loop())

    proving.run(note, calls=2, concurrency=2, latency=0.0)
    assert len(loops) == 1


def test_cpu_of_the_server_is_not_the_clients(bench):
    with FakeServer() as server:

        @server.route("GET /")
        def work(request):
            end = time.thread_time() + 0.05
            while time.thread_time() < end:
                pass
            return Response.json({})

        result = bench.run(get_anew, server=server, calls=4, concurrency=1)
    assert 0 < result.candidate.cpu < 0.05


@pytest.mark.parametrize(
    ("given", "passes"),
    [({}, 2), ({"scenario": Scenario()}, 0), ({"server": "own"}, 0), ({"server": "own", "latency": 0.0}, 2)],
)
def test_cpu_is_measured_in_passes_where_answers_may_come_at_once(given, passes):
    calls = []
    harness = HttpconcBenchmark("test", depth=replace(PROVING, cpu_passes=2, reference=False))
    with closing(harness), make_server() as server:
        options = {**given, "server": server} if "server" in given else {"latency": 0.001, **given}
        measured = harness.run(lambda url: calls.append(get_anew(url)), calls=4, concurrency=1, **options)
    warm_up, census, rounds = 4, 0 if "server" in given else 4, 3 * 4
    trials = len(calls) - (warm_up + census + rounds * (1 + passes))
    assert trials in (range(1, 21) if passes else [0])
    assert measured.exact_cpu == (passes > 0)


def test_latency_may_be_a_distribution(proving):
    figures = proving.run(get_anew, calls=4, concurrency=1, latency=latency.uniform(0.0, 0.001)).candidate
    assert figures.rounds == 3


def test_rounds_in_the_running_loop():
    async def compare():
        harness = HttpconcBenchmark("test", depth=PROVING)
        try:
            return await harness.compare_in_loop(
                Side(fetch, aiohttp.ClientSession), fetch_anew, calls=6, concurrency=3, latency=0.001
            )
        finally:
            harness.close()

    result = asyncio.run(compare())
    assert (result.candidate.connections_opened, result.baseline.connections_opened) == (0, 6)
    assert result.candidate.peak_in_flight == 3
    assert result.relative_cpu is None


def test_running_loop_is_told_from_none(bench):
    async def compare():
        bench.compare(fetch_anew, get_anew)

    with pytest.raises(ScenarioError, match="compare_in_loop"):
        asyncio.run(compare())


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"calls": 0}, "calls=0 is no count"),
        ({"concurrency": 1.5}, "concurrency=1.5 is no count"),
        ({"latency": -1}, "latency|seconds"),
        ({"speed": 1}, "does not know speed"),
    ],
)
def test_wrong_option_says_what_is_allowed(bench, options, problem):
    with pytest.raises(ScenarioError, match=problem):
        bench.run(get_anew, **options)


def test_call_that_takes_more_than_there_is_is_refused(bench):
    with pytest.raises(ScenarioError, match="takes 3 arguments"):
        bench.run(lambda client, url, more: None)


def test_function_that_returns_a_coroutine_is_refused(bench):
    with pytest.raises(ScenarioError, match="async def"):
        bench.run(lambda url: fetch_anew(url), calls=1, concurrency=1)


def test_blocking_call_is_refused_in_a_loop():
    with pytest.raises(ScenarioError, match="async def"):
        asyncio.run(HttpconcBenchmark("test").run_in_loop(get_anew, server=FakeServer()))


def test_second_benchmark_of_a_test_needs_a_name(bench):
    bench.run(get_anew, calls=1, concurrency=1, latency=0.0)
    with pytest.raises(ScenarioError, match="name="):
        bench.run(get_anew, calls=1, concurrency=1, latency=0.0)
    bench.run(get_anew, calls=1, concurrency=1, latency=0.0, name="again")


@pytest.mark.parametrize("give_up", [pytest.fail.Exception("boom"), asyncio.CancelledError("boom")])
def test_what_is_no_exception_ends_an_async_side_and_does_not_hang_it(bench, give_up):
    async def call(url):
        raise give_up

    with pytest.raises(type(give_up)):
        bench.compare(call, call, calls=2, concurrency=2, latency=0.0)


@pytest.mark.parametrize("wrong", [{"server": "http://x"}, {"scenario": "storm"}])
def test_server_and_scenario_of_another_kind_are_refused(bench, wrong):
    with pytest.raises(ScenarioError, match="give one, as in"):
        bench.run(get_anew, **wrong)
