"""Models that are asked within their provider's limits, and others to turn to when one gives no answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

from pytest_httpconc.clients.answers import TIMEOUT, Completion, LLMError, Messages, checked_seconds
from pytest_httpconc.clients.batches import concurrently, split
from pytest_httpconc.clients.chat import ChatClient
from pytest_httpconc.clients.numbers import check_count
from pytest_httpconc.clients.resilience.admission import Admission
from pytest_httpconc.clients.resilience.breaker import CircuitBreaker
from pytest_httpconc.clients.resilience.kinds import ErrorKind, Rejected
from pytest_httpconc.clients.resilience.retries import TABLE, RetryPolicy, Rule

__all__ = ["AllProvidersFailed", "Fallback", "Model", "ModelStatistics", "Provider"]

_Model = TypeVar("_Model", bound="Model")
_Fallback = TypeVar("_Fallback", bound="Fallback")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider, its limits, and how it is called.

    Args:
        name: what it is called here, such as ``"openai"``.
        model: the model, by the provider's name for it.
        base_url: where its OpenAI-style API is.
        batch_size: requests in a batch at most.
        concurrent: requests in flight at most.
        latency: seconds that an answer should take at most; one that takes longer is counted as slow.
        timeout: seconds after which an answer is given up.
        retries: the rule of each kind of error.

    Raises:
        ValueError: an argument is out of range.
    """

    name: str
    model: str
    base_url: str
    batch_size: int
    concurrent: int
    latency: float
    timeout: float = TIMEOUT
    retries: Mapping[ErrorKind, Rule] = field(default_factory=lambda: TABLE, hash=False)

    def __post_init__(self) -> None:
        for name in ("name", "model", "base_url"):
            if not getattr(self, name):
                raise ValueError(f"{name}={getattr(self, name)!r} is empty; write a name, as in {name}='openai'")
        check_count("batch_size", self.batch_size, example=1000)
        check_count("concurrent", self.concurrent)
        checked_seconds("latency", self.latency)
        checked_seconds("timeout", self.timeout)


class AllProvidersFailed(LLMError):
    """No provider gave an answer; ``errors`` has what each had instead, by its name."""

    def __init__(self, errors: Mapping[str, Exception]) -> None:
        reasons = "; ".join(f"{name}: {error}" for name, error in errors.items())
        super().__init__(f"no provider gave an answer: {reasons}")
        self.errors = dict(errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatistics:
    """Of a model: tries that are over, those of them that failed or were slow, and their mean latency in seconds."""

    tries: int = 0
    failed: int = 0
    slow: int = 0
    mean_latency: float = 0.0

    def with_try(self, latency: float, *, failed: bool, slow: bool) -> ModelStatistics:
        """These with one try more."""
        tries = self.tries + 1
        mean = self.mean_latency + (latency - self.mean_latency) / tries
        return ModelStatistics(tries=tries, failed=self.failed + failed, slow=self.slow + slow, mean_latency=mean)


class Model:
    """One provider's model: within its limits, behind a circuit breaker, tried again by its provider's rules."""

    def __init__(
        self,
        provider: Provider,
        client: ChatClient,
        *,
        retries: RetryPolicy,
        breaker: CircuitBreaker,
        admission: Admission,
    ) -> None:
        self.provider = provider
        self.breaker = breaker
        self.admission = admission
        self.statistics = ModelStatistics()
        self._client = client
        self._retries = retries

    @property
    def name(self) -> str:
        """The provider's."""
        return self.provider.name

    async def __aenter__(self: _Model) -> _Model:
        """Open the session."""
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session and its connections."""
        await self._client.__aexit__(kind, error, trace)

    async def query(self, messages: Messages, **options: Any) -> Completion:
        """Ask; ``options`` such as ``temperature`` go into the request.

        Raises:
            LLMError: the last try failed.
            Rejected: the breaker is open, or too many wait.
        """
        return await self._retries.call(self._once, messages, options)

    async def query_many(self, conversations: Iterable[Messages], **options: Any) -> list[Completion | BaseException]:
        """Ask many, no more in one batch than the provider takes; what one raises stands in its place."""

        async def ask(messages: Messages) -> Completion:
            return await self.query(messages, **options)

        answers: list[Completion | BaseException] = []
        for batch in split(list(conversations), self.provider.batch_size):
            answers += await concurrently(ask)(batch)
        return answers

    async def _once(self, messages: Messages, options: Mapping[str, Any]) -> Completion:
        async with self.admission.admitted():
            with self.breaker.guard():
                return await self._measured(messages, options)

    async def _measured(self, messages: Messages, options: Mapping[str, Any]) -> Completion:
        clock = asyncio.get_running_loop().time
        begun_at = clock()
        try:
            completion = await self._client.complete(self.provider.model, messages, **options)
        except LLMError:
            self._count(clock() - begun_at, failed=True)
            raise
        self._count(clock() - begun_at, failed=False)
        return completion

    def _count(self, latency: float, *, failed: bool) -> None:
        slow = latency > self.provider.latency
        self.statistics = self.statistics.with_try(latency, failed=failed, slow=slow)


class Fallback:
    """Models in order of preference: the next is asked where one gives no answer.

    Raises:
        ValueError: there is none.
    """

    def __init__(self, *models: Model) -> None:
        if not models:
            raise ValueError("Fallback() has no models; give one at least, as in Fallback(first, second)")
        self.models = models
        self._open = AsyncExitStack()

    async def __aenter__(self: _Fallback) -> _Fallback:
        """Open all sessions."""
        async with AsyncExitStack() as stack:
            for model in self.models:
                await stack.enter_async_context(model)
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all sessions."""
        await self._open.aclose()

    async def query(self, messages: Messages, **options: Any) -> Completion:
        """Ask one model after the other for the first answer.

        Raises:
            AllProvidersFailed: there was none.
        """
        errors: dict[str, Exception] = {}
        for model in self.models:
            try:
                return await model.query(messages, **options)
            except (LLMError, Rejected) as error:  # noqa: PERF203 -- each has its own
                errors[model.name] = error
        raise AllProvidersFailed(errors)
