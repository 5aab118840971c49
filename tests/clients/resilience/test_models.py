"""Models of several providers: their limits, their settings, and what happens when one gives no answer."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from fake_servers import FakeLLMServer, Moment
from fake_servers.faults import Reset, Stall, Status
from pytest_httpconc.clients.answers import AnswerTimeout, APIError, AuthenticationError
from pytest_httpconc.clients.resilience import (
    TABLE,
    AllProvidersFailed,
    CircuitOpen,
    CircuitState,
    Exponential,
    Fallback,
    ModelFactory,
    Provider,
)
from pytest_httpconc.clients.resilience.models import ErrorKind

HELLO = [{"role": "user", "content": "hello"}]


def ask(number):
    return [{"role": "user", "content": f"question {number}"}]


def factory_for(server, *names, **options):
    return ModelFactory(base_urls=dict.fromkeys(names, f"{server.url}/v1"), **options)


@pytest.mark.parametrize(
    ("name", "batch_size", "concurrent", "latency", "timeout"),
    [
        ("openai", 1000, 10, 2.0, 60.0),
        ("groq", 500, 20, 1.0, 30.0),
        ("claude", 2000, 5, 3.0, 45.0),
        ("deepseek", 100, 15, 1.5, 60.0),
    ],
)
def test_limits_of_providers(name, batch_size, concurrent, latency, timeout):
    provider = ModelFactory().provider(name)
    assert (provider.batch_size, provider.concurrent) == (batch_size, concurrent)
    assert (provider.latency, provider.timeout) == (latency, timeout)


def test_openai_is_tried_again_by_the_table_and_groq_by_exponential_pauses():
    factory = ModelFactory()
    assert factory.provider("openai").retries == TABLE
    groq = factory.provider("groq").retries
    assert {groq[kind] for kind in ErrorKind if kind is not ErrorKind.AUTHENTICATION} == {Exponential()}
    assert {rule.tries for rule in factory.provider("claude").retries.values()} == {1}


@pytest.mark.asyncio
@pytest.mark.looptime
class TestInVirtualTime:
    @pytest.mark.parametrize(("name", "concurrent"), [("openai", 10), ("groq", 20), ("claude", 5), ("deepseek", 15)])
    async def test_no_more_calls_are_in_flight_than_the_provider_takes(self, name, concurrent):
        async with FakeLLMServer(ttft=1.0) as server:
            factory = factory_for(server, name)
            async with AsyncExitStack() as stack:
                models = [await stack.enter_async_context(factory.create(name)) for _ in range(2)]
                calls = (models[n % 2].query(ask(n)) for n in range(60))
                answers = await asyncio.gather(*calls)
            assert [answer.content for answer in answers] == [f"question {n}" for n in range(60)]
            assert server.ledger.peak_in_flight == concurrent
            assert server.ledger.makespan() == 60 / concurrent

    @pytest.mark.parametrize(("name", "seconds"), [("openai", 60 + 2 + 60 + 4 + 60), ("groq", 96), ("claude", 45)])
    async def test_provider_that_is_silent_is_given_up_by_its_settings(self, name, seconds):
        loop = asyncio.get_running_loop()
        async with FakeLLMServer() as server, factory_for(server, name).create(name) as model:
            server.inject(Stall(at=Moment.REQUEST))
            begun_at = loop.time()
            with pytest.raises(AnswerTimeout):
                await model.query(HELLO)
            assert loop.time() - begun_at == seconds
            await server.ledger.until(lambda ledger: not ledger.in_flight)

    async def test_settings_can_be_others(self):
        loop = asyncio.get_running_loop()
        async with FakeLLMServer() as server:
            server.inject(Stall(at=Moment.REQUEST))
            retries = {ErrorKind.NETWORK_TIMEOUT: Exponential(tries=2, base=10)}
            factory = factory_for(server, "claude")
            async with factory.create("claude", model="another", timeout=5, retries=retries) as model:
                begun_at = loop.time()
                with pytest.raises(AnswerTimeout):
                    await model.query(HELLO)
            assert loop.time() - begun_at == 5 + 10 + 5
            assert b'"another"' in server.ledger.exchanges[0].body
            await server.ledger.until(lambda ledger: not ledger.in_flight)

    async def test_pause_before_another_try_takes_no_place_from_others(self):
        provider = Provider(name="one", model="m", base_url="x", batch_size=10, concurrent=1, latency=1)
        async with FakeLLMServer() as server:
            server.inject(Status(429, headers={"Retry-After": "60"}), times=1)
            factory = ModelFactory([provider], base_urls={"one": f"{server.url}/v1"})
            async with factory.create("one") as model:
                first = asyncio.create_task(model.query(ask(1)))
                await server.ledger.until(lambda ledger: ledger.count() == 1)
                assert (await model.query(ask(2))).content == "question 2"
                assert not first.done()
                assert (await first).content == "question 1"

    async def test_slow_and_failed_tries_are_counted(self):
        async with FakeLLMServer() as server, factory_for(server, "openai").create("openai") as model:
            server.delay(3.0, times=1)
            server.inject(Status(503), times=1, after=1)
            await asyncio.sleep(0)
            await model.query(HELLO)
            await model.query(HELLO)
            stats = model.statistics
            assert (stats.tries, stats.failed, stats.slow, stats.mean_latency) == (3, 1, 1, 1.0)

    async def test_batch_over_the_limit_is_split_and_its_answers_merged(self):
        provider = Provider(name="small", model="m", base_url="x", batch_size=4, concurrent=10, latency=1)
        async with FakeLLMServer(ttft=1.0) as server:
            server.script("question 6", status=400, error="no")
            factory = ModelFactory([provider], base_urls={"small": f"{server.url}/v1"})
            async with factory.create("small") as model:
                answers = await model.query_many(ask(n) for n in range(10))
            assert isinstance(answers.pop(6), APIError)
            assert [answer.content for answer in answers] == [f"question {n}" for n in (0, 1, 2, 3, 4, 5, 7, 8, 9)]
            assert server.ledger.peak_in_flight == 4
            assert server.ledger.makespan() == 3.0


@pytest.mark.asyncio
@pytest.mark.looptime
class TestFallback:
    async def test_next_model_answers_where_the_first_does_not(self):
        async with FakeLLMServer() as broken, FakeLLMServer() as working:
            broken.inject(Reset())
            factory = ModelFactory(base_urls={"claude": f"{broken.url}/v1", "groq": f"{working.url}/v1"})
            async with Fallback(factory.create("claude"), factory.create("groq")) as model:
                assert (await model.query(HELLO)).content == "hello"
            assert (broken.ledger.count(), working.ledger.count()) == (1, 1)

    async def test_provider_that_is_down_is_not_asked_any_more_until_it_may_be_up(self):
        async with FakeLLMServer() as broken, FakeLLMServer() as working:
            broken.inject(Status(500), times=5)
            factory = ModelFactory(base_urls={"claude": f"{broken.url}/v1", "groq": f"{working.url}/v1"})
            claude = factory.create("claude")
            async with Fallback(claude, factory.create("groq")) as model:
                for _ in range(20):
                    await model.query(HELLO)
                assert (broken.ledger.count(), working.ledger.count()) == (5, 20)
                assert claude.breaker.state is CircuitState.OPEN
                await asyncio.sleep(30)
                for _ in range(20):
                    await model.query(HELLO)
                assert (broken.ledger.count(), working.ledger.count()) == (25, 20)

    async def test_error_says_what_each_had_instead_of_an_answer(self):
        async with FakeLLMServer(api_keys=["right"]) as server:
            factory = factory_for(server, "claude", "groq", api_keys={"groq": "wrong"})
            claude = factory.create("claude")
            async with Fallback(claude, factory.create("groq")) as model:
                for _ in range(5):
                    with pytest.raises(OSError, match="down"), claude.breaker.guard():
                        raise OSError("down")
                with pytest.raises(AllProvidersFailed, match="no provider gave an answer: claude: the circuit") as all_:
                    await model.query(HELLO)
        assert isinstance(all_.value.errors["claude"], CircuitOpen)
        assert isinstance(all_.value.errors["groq"], AuthenticationError)

    async def test_error_of_the_caller_is_raised_and_not_passed_on(self):
        async with FakeLLMServer() as server:
            factory = factory_for(server, "claude", "groq")
            async with Fallback(factory.create("claude"), factory.create("groq")) as model:
                with pytest.raises(TypeError, match="JSON serializable"):
                    await model.query(HELLO, stop=object())
            assert server.ledger.count() == 0

    async def test_session_that_can_not_be_opened_closes_those_that_were(self):
        async with FakeLLMServer() as server:
            model = factory_for(server, "claude").create("claude")
            with pytest.raises((TypeError, AttributeError)):
                await Fallback(model, None).__aenter__()
            with pytest.raises(RuntimeError, match="the client is not open"):
                await model.query(HELLO)

    async def test_no_models_are_refused(self):
        with pytest.raises(ValueError, match="has no models; give one at least"):
            Fallback()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ModelFactory().create("mistral"), "provider 'mistral' is not known; allowed are openai, groq, claude"),
        (lambda: ModelFactory(api_keys={"x": "key"}), "provider 'x' is not known"),
        (lambda: ModelFactory(base_urls={"x": "http://x"}), "provider 'x' is not known"),
        (lambda: ModelFactory().create("openai", timeout=0), "timeout is 0; it must be a finite number of seconds"),
        (lambda: ModelFactory().create("openai", model=""), "model='' is empty"),
        (
            lambda: Provider(name="a", model="m", base_url="x", batch_size=0, concurrent=1, latency=1),
            "batch_size=0 is out of range; allowed are whole numbers from 1 up, as in 1000",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
