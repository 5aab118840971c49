"""The circuit breaker, state by state, on a virtual clock."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from fake_servers import FakeLLMServer
from fake_servers.faults import Status
from pytest_httpconc.clients.answers import APIError, AuthenticationError, RateLimitError
from pytest_httpconc.clients.chat import ChatClient
from pytest_httpconc.clients.resilience import CircuitBreaker, CircuitOpen, CircuitState, Overloaded

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN
HELLO = [{"role": "user", "content": "hello"}]


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return CircuitBreaker(threshold=3, pause=30, trials=2, clock=clock)


def fail(breaker, times=1, error=OSError):
    for _ in range(times):
        with pytest.raises(error), breaker.guard():
            raise error


def succeed(breaker):
    with breaker.guard():
        pass


def opened(breaker):
    fail(breaker, 3)
    assert breaker.state is OPEN
    return breaker


def half_opened(breaker, clock):
    opened(breaker)
    clock.now += 30
    assert breaker.state is HALF_OPEN
    return breaker


class TestClosed:
    def test_opens_at_the_threshold(self, breaker):
        fail(breaker, 2)
        assert (breaker.state, breaker.failures) == (CLOSED, 2)
        fail(breaker)
        assert breaker.state is OPEN

    def test_success_in_between_counts_failures_anew(self, breaker):
        fail(breaker, 2)
        succeed(breaker)
        fail(breaker, 2)
        assert breaker.state is CLOSED

    @pytest.mark.parametrize(
        "error",
        [
            AuthenticationError("who?", status=401),
            RateLimitError("slow down", status=429),
            APIError("HTTP 400", status=400),
            ValueError("wrong"),
        ],
    )
    def test_what_the_call_itself_does_wrong_is_no_failure(self, breaker, error):
        for _ in range(10):
            with pytest.raises(type(error)), breaker.guard():
                raise error
        assert (breaker.state, breaker.failures) == (CLOSED, 0)

    @pytest.mark.parametrize("error", [APIError("HTTP 500", status=500), APIError("it failed"), TimeoutError()])
    def test_what_the_service_does_wrong_is_one(self, breaker, error):
        with pytest.raises(type(error)), breaker.guard():
            raise error
        assert breaker.failures == 1

    def test_what_counts_can_be_set(self, clock):
        breaker = CircuitBreaker(threshold=1, is_failure=lambda error: isinstance(error, KeyError), clock=clock)
        fail(breaker, error=OSError)
        assert breaker.state is CLOSED
        fail(breaker, error=KeyError)
        assert breaker.state is OPEN

    def test_what_something_else_rejects_is_no_outcome(self, breaker):
        fail(breaker, 2)
        with pytest.raises(Overloaded), breaker.guard():
            raise Overloaded
        assert breaker.failures == 2


class TestOpen:
    def test_rejects_at_once_and_says_for_how_long(self, breaker, clock):
        opened(breaker)
        clock.now += 10
        with pytest.raises(CircuitOpen, match="the circuit is open for 20 s more") as raised, breaker.guard():
            pytest.fail("it was let through")
        assert raised.value.retry_in == 20

    def test_is_half_open_when_its_pause_is_over_and_not_before(self, breaker, clock):
        opened(breaker)
        clock.now += 29.999
        assert breaker.state is OPEN
        clock.now = 130.0
        assert breaker.state is HALF_OPEN

    def test_success_of_a_call_from_before_does_not_close_it(self, breaker, clock):
        with breaker.guard():
            opened(breaker)
        assert breaker.state is OPEN

    def test_failures_of_calls_from_before_do_not_make_its_pause_longer(self, breaker, clock):
        with suppress(OSError), breaker.guard():
            opened(breaker)
            clock.now += 20
            raise OSError
        clock.now += 10
        assert breaker.state is HALF_OPEN


class TestHalfOpen:
    def test_lets_a_few_through(self, breaker, clock):
        half_opened(breaker, clock)
        with breaker.guard(), breaker.guard():
            with pytest.raises(CircuitOpen, match="half open, and 2 calls are on trial") as raised, breaker.guard():
                pytest.fail("it was let through")
            assert raised.value.retry_in is None

    def test_success_closes_it(self, breaker, clock):
        succeed(half_opened(breaker, clock))
        assert (breaker.state, breaker.failures) == (CLOSED, 0)

    def test_failure_opens_it_for_another_pause(self, breaker, clock):
        fail(half_opened(breaker, clock))
        assert breaker.state is OPEN
        clock.now += 30
        assert breaker.state is HALF_OPEN

    def test_trial_that_is_cancelled_gives_its_place_back(self, breaker, clock):
        half_opened(breaker, clock)
        for _ in range(5):
            with pytest.raises(asyncio.CancelledError), breaker.guard():
                raise asyncio.CancelledError
        assert (breaker.state, breaker.on_trial) == (HALF_OPEN, 0)

    def test_trial_that_fails_after_another_closed_it_counts_no_more(self, breaker, clock):
        half_opened(breaker, clock)
        with suppress(OSError), breaker.guard():
            succeed(breaker)
            raise OSError
        assert (breaker.state, breaker.failures) == (CLOSED, 0)

    def test_trial_that_ends_in_a_later_half_open_gives_no_place_twice(self, breaker, clock):
        half_opened(breaker, clock)
        with breaker.guard():
            fail(breaker)
            clock.now += 30
            with breaker.guard():
                assert breaker.on_trial == 1
                with breaker.guard():
                    assert breaker.on_trial == 2
            assert breaker.state is CLOSED
        assert (breaker.state, breaker.on_trial) == (CLOSED, 0)


@pytest.mark.asyncio
@pytest.mark.looptime
async def test_service_that_is_down_is_left_alone_and_found_again():
    """As the ledger has it: 3 failures, nothing for 30 s, 1 trial, nothing for 30 s, and then every call."""
    breaker = CircuitBreaker(threshold=3, pause=30, trials=1)
    rejected_at = []
    loop = asyncio.get_running_loop()
    async with FakeLLMServer() as server, ChatClient(f"{server.url}/v1") as client:
        server.inject(Status(503), times=4)
        begun_at = loop.time()
        for _ in range(80):
            try:
                await breaker.call(client.complete, "m", HELLO)
            except CircuitOpen:
                rejected_at.append(loop.time() - begun_at)
            except APIError:
                pass
            await asyncio.sleep(1)
        assert [e.begun_at - begun_at for e in server.ledger.exchanges] == [0, 1, 2, 32, *range(62, 80)]
        assert rejected_at == [*range(3, 32), *range(33, 62)]


@pytest.mark.asyncio
@pytest.mark.looptime
async def test_only_the_trials_reach_a_service_however_many_call():
    breaker = CircuitBreaker(threshold=1, pause=30, trials=3)
    async with FakeLLMServer() as server, ChatClient(f"{server.url}/v1") as client:
        server.inject(Status(500), times=1)
        server.delay(5)
        with pytest.raises(APIError):
            await breaker.call(client.complete, "m", HELLO)
        await asyncio.sleep(30)
        calls = (breaker.call(client.complete, "m", HELLO) for _ in range(50))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(outcome, CircuitOpen) for outcome in outcomes) == 47
        assert server.ledger.count() == 1 + 3
        assert breaker.state is CLOSED


def test_threads_get_no_more_trials_than_there_are(clock):
    breaker = CircuitBreaker(threshold=1, trials=3, clock=clock)
    fail(breaker)
    clock.now += 30
    guards = [breaker.guard() for _ in range(64)]

    def enter(guard):
        try:
            guard.__enter__()
        except CircuitOpen:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        entered = [guard for guard, let in zip(guards, pool.map(enter, guards), strict=True) if let]
    assert len(entered) == breaker.on_trial == 3
    for guard in entered:
        guard.__exit__(None, None, None)
    assert breaker.state is CLOSED


def test_without_a_loop_the_clock_is_monotonic():
    breaker = CircuitBreaker(threshold=1, pause=3600)
    fail(breaker)
    with pytest.raises(CircuitOpen) as raised, breaker.guard():
        pytest.fail("it was let through")
    assert 3500 < raised.value.retry_in <= 3600


def test_repr_shows_the_state(breaker):
    fail(breaker)
    assert repr(breaker) == "<CircuitBreaker: closed, 1 failures, 0 on trial>"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threshold": 0}, "threshold=0 is out of range; allowed are whole numbers from 1 up, as in 5"),
        ({"threshold": True}, "threshold=True is out of range"),
        ({"threshold": None}, "threshold=None is out of range"),
        ({"trials": 1.5}, "trials=1.5 is out of range"),
        ({"pause": 0}, "pause=0 is out of range; allowed are numbers above 0, as in 30"),
        ({"pause": float("nan")}, "pause=nan is out of range"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        CircuitBreaker(**arguments)


def test_predicate_that_raises_gives_the_place_on_trial_back(clock):
    def unsure(error):
        raise LookupError("no such kind")

    breaker = CircuitBreaker(threshold=1, pause=1.0, trials=1, is_failure=unsure, clock=clock)
    for _ in range(3):
        with pytest.raises(LookupError), breaker.guard():
            raise APIError("down")
    assert breaker.on_trial == 0
