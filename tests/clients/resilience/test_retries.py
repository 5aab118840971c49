"""The retry table, on a virtual clock: every pause is an equality."""

from __future__ import annotations

import asyncio
import itertools
import random
import sys

import pytest
import requests

from fake_servers import FakeLLMServer, Moment
from fake_servers.faults import Stall, Status
from pytest_httpconc.checks import find_hasty_retries
from pytest_httpconc.clients.answers import AnswerTimeout, APIError, AuthenticationError, RateLimitError
from pytest_httpconc.clients.chat import ChatClient
from pytest_httpconc.clients.resilience import TABLE, CircuitOpen, ErrorKind, Exponential, Fixed, Linear, RetryPolicy
from pytest_httpconc.clients.resilience.kinds import kind_of

HELLO = [{"role": "user", "content": "hello"}]
UNAVAILABLE = APIError("HTTP 503", status=503)


class Failing:
    """A call that fails with each of these errors in turn, and then answers; it keeps when it was made."""

    def __init__(self, *errors):
        self._errors = list(errors)
        self.made_at = []

    async def __call__(self, answer="answer"):
        self.made_at.append(asyncio.get_running_loop().time())
        if self._errors:
            raise self._errors.pop(0)
        return answer

    @property
    def pauses(self):
        return [later - earlier for earlier, later in itertools.pairwise(self.made_at)]


@pytest.mark.asyncio
@pytest.mark.looptime
class TestTable:
    @pytest.mark.parametrize(
        ("error", "pauses"),
        [
            (AnswerTimeout("late"), [2, 4]),
            (TimeoutError(), [2, 4]),
            (asyncio.TimeoutError(), [2, 4]),
            (requests.ReadTimeout(), [2, 4]),
            (UNAVAILABLE, [1, 1, 1, 1]),
            (APIError("HTTP 529", status=529), [1, 1, 1, 1]),
            (RateLimitError("slow down"), [1, 2, 3, 4, 5, 6, 7, 8, 9]),
            (AuthenticationError("who?"), []),
            (APIError("HTTP 500", status=500), []),
            (CircuitOpen("open"), []),
            (ValueError("wrong"), []),
        ],
        ids=lambda value: getattr(value, "args", value) and f"{type(value).__name__}{value!s:.9}",
    )
    async def test_call_that_never_succeeds_pauses_by_the_table_and_raises_its_own_error(self, error, pauses):
        call = Failing(*[error] * 20)
        with pytest.raises(type(error)) as raised:
            await RetryPolicy().call(call)
        assert raised.value is error
        assert call.pauses == pauses

    async def test_call_that_succeeds_at_last_gives_its_answer(self):
        call = Failing(AnswerTimeout("late"), AnswerTimeout("late"))
        assert await RetryPolicy().call(call, answer=5) == 5
        assert call.pauses == [2, 4]

    async def test_each_kind_of_error_counts_its_own_tries(self):
        call = Failing(AnswerTimeout(""), RateLimitError(""), AnswerTimeout(""), UNAVAILABLE, RateLimitError(""))
        assert await RetryPolicy().call(call) == "answer"
        assert call.pauses == [2, 1, 4, 1, 2]

    async def test_other_table_has_other_pauses(self):
        table = {**TABLE, ErrorKind.RATE_LIMIT: Exponential(tries=4, base=3)}
        call = Failing(*[RateLimitError("")] * 3)
        await RetryPolicy(table).call(call)
        assert call.pauses == [3, 9, 27]

    async def test_kind_that_has_no_rule_is_not_tried_again(self):
        call = Failing(UNAVAILABLE)
        with pytest.raises(APIError):
            await RetryPolicy({}).call(call)
        assert len(call.made_at) == 1

    async def test_users_own_errors_have_the_kind_that_they_are_given(self):
        policy = RetryPolicy(kind_of=lambda error: ErrorKind.NETWORK_TIMEOUT if isinstance(error, OSError) else None)
        call = Failing(ConnectionResetError())
        assert await policy.call(call) == "answer"
        assert call.pauses == [2]

    async def test_function_that_returns_a_coroutine_is_tried_again_too(self):
        call = Failing(UNAVAILABLE)
        assert await RetryPolicy().call(lambda: call(7)) == 7

    async def test_calls_at_a_time_do_not_disturb_each_other(self):
        policy = RetryPolicy()
        calls = [Failing(*[RateLimitError("")] * n) for n in range(10)]
        assert await asyncio.gather(*(policy.call(call, answer=n) for n, call in enumerate(calls))) == [*range(10)]
        assert [len(call.made_at) for call in calls] == [*range(1, 11)]

    @pytest.mark.parametrize("moment", [0, 1])
    async def test_call_that_is_cancelled_in_a_try_or_in_a_pause_ends_at_once(self, moment):
        async def call():
            await asyncio.sleep(0.5)
            raise RateLimitError("")

        task = asyncio.create_task(RetryPolicy().call(call))
        await asyncio.sleep(0.25 + moment)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1


@pytest.mark.asyncio
@pytest.mark.looptime
class TestRetryAfter:
    @pytest.mark.parametrize(("asked", "pause"), [(0, 1), (1, 1), (7, 7), (300, 300)])
    async def test_longer_one_is_kept_to(self, asked, pause):
        call = Failing(RateLimitError("", asked))
        await RetryPolicy().call(call)
        assert call.pauses == [pause]

    async def test_one_that_is_too_long_is_not_waited_for(self):
        call = Failing(RateLimitError("", 301))
        with pytest.raises(RateLimitError):
            await RetryPolicy().call(call)

    @pytest.mark.parametrize(("status", "pauses"), [(429, [4, 2, 3]), (503, [4, 1, 1])])
    async def test_server_sees_it_kept(self, status, pauses):
        async with FakeLLMServer() as server, ChatClient(f"{server.url}/v1") as client:
            server.inject(Status(status, headers={"Retry-After": "4"}), times=1)
            server.inject(Status(status), times=2)
            answer = await RetryPolicy().call(client.complete, "m", HELLO)
            assert answer.content == "hello"
            attempts = server.ledger.exchanges
            gaps = [b.begun_at - a.ended_at for a, b in itertools.pairwise(attempts)]
            assert gaps == pauses
            assert find_hasty_retries(server.ledger, at_least=1.0) == []

    async def test_rate_limit_of_a_server_is_outlasted(self):
        async with FakeLLMServer(requests_per_minute=6) as server, ChatClient(f"{server.url}/v1") as client:
            policy = RetryPolicy()
            calls = (policy.call(client.complete, "m", [{"role": "user", "content": f"{n}"}]) for n in range(9))
            answers = await asyncio.gather(*calls)
            assert [answer.content for answer in answers] == [f"{n}" for n in range(9)]
            assert find_hasty_retries(server.ledger) == []


@pytest.mark.asyncio
@pytest.mark.looptime
async def test_timeouts_of_a_silent_server_are_tried_three_times():
    loop = asyncio.get_running_loop()
    async with FakeLLMServer() as server, ChatClient(f"{server.url}/v1", timeout=30) as client:
        server.inject(Stall(at=Moment.REQUEST))
        begun_at = loop.time()
        with pytest.raises(AnswerTimeout):
            await RetryPolicy().call(client.complete, "m", HELLO)
        assert loop.time() - begun_at == 30 + 2 + 30 + 4 + 30
        await server.ledger.until(lambda ledger: not ledger.in_flight)
        assert server.ledger.count() == 3


class TestJitter:
    def test_adds_up_to_its_part_and_never_takes_away(self):
        policy = RetryPolicy(jitter=0.5, random=random.Random(7))
        pauses = [policy.pause_after(RateLimitError(""), 4) for _ in range(200)]
        assert min(pauses) >= 4
        assert max(pauses) <= 6
        assert len(set(pauses)) > 100

    @pytest.mark.asyncio
    @pytest.mark.looptime
    @pytest.mark.parametrize(("jitter", "storm"), [(0.0, True), (1.0, False)])
    async def test_spreads_clients_that_were_refused_together(self, jitter, storm):
        async with FakeLLMServer() as server, ChatClient(f"{server.url}/v1") as client:
            server.inject(Status(429, headers={"Retry-After": "60"}), times=40)
            policy = RetryPolicy(jitter=jitter, random=random.Random(7))
            calls = (policy.call(client.complete, "m", [{"role": "user", "content": f"{n}"}]) for n in range(40))
            await asyncio.gather(*calls)
            assert bool(find_hasty_retries(server.ledger, at_most_together=4)) is storm
            assert find_hasty_retries(server.ledger) == []


class TestBlocking:
    def test_pauses_by_the_table(self):
        slept, errors = [], [UNAVAILABLE, RateLimitError("", 3), AnswerTimeout("")]

        def call(answer):
            if errors:
                raise errors.pop()
            return answer

        assert RetryPolicy(sleep=slept.append).call_blocking(call, answer=1) == 1
        assert slept == [2, 3, 1]

    def test_raises_the_last_error(self):
        def call():
            raise AuthenticationError("who?")

        with pytest.raises(AuthenticationError, match="who"):
            RetryPolicy().call_blocking(call)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RetryPolicy(jitter=-0.1), "jitter=-0.1 is out of range; allowed are numbers from 0 up, as in 0.5"),
        (lambda: RetryPolicy(longest=float("inf")), "longest=inf is out of range"),
        (lambda: Exponential(tries=0), "tries=0 is out of range; allowed are whole numbers from 1 up, as in 3"),
        (lambda: Exponential(base=0.5), "base=0.5 is out of range; allowed are numbers from 1 up"),
        (lambda: Fixed(seconds=-1), "seconds=-1 is out of range"),
        (lambda: Linear(step="1"), "step='1' is out of range"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_without_tenacity_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tenacity", None)
    with pytest.raises(ImportError, match=r"RetryPolicy needs tenacity; install it by pip install .*\[resilience\]"):
        RetryPolicy()


@pytest.mark.parametrize("error", [Exception(), OSError(), KeyboardInterrupt(), asyncio.CancelledError()])
def test_other_errors_have_no_kind(error):
    assert kind_of(error) is None
