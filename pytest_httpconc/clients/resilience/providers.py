"""Models of several providers: each within its provider's limits, with its own timeout and way of trying again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from pytest_httpconc.clients.chat import ChatClient
from pytest_httpconc.clients.resilience.admission import Admission
from pytest_httpconc.clients.resilience.breaker import CircuitBreaker
from pytest_httpconc.clients.resilience.kinds import ErrorKind
from pytest_httpconc.clients.resilience.models import Model, Provider
from pytest_httpconc.clients.resilience.retries import Exponential, Never, RetryPolicy, Rule

__all__ = ["PROVIDERS", "ModelFactory"]

_AGAIN: Final = (ErrorKind.NETWORK_TIMEOUT, ErrorKind.SERVICE_UNAVAILABLE, ErrorKind.RATE_LIMIT)
_NO_RETRY: Final[Mapping[ErrorKind, Rule]] = MappingProxyType({kind: Never() for kind in ErrorKind})
_EXPONENTIAL: Final[Mapping[ErrorKind, Rule]] = MappingProxyType({**_NO_RETRY, **{k: Exponential() for k in _AGAIN}})


PROVIDERS: Final = (
    Provider(
        name="openai",
        model="gpt-4",
        base_url="https://api.openai.com/v1",
        batch_size=1000,
        concurrent=10,
        latency=2.0,
        timeout=60.0,
    ),
    Provider(
        name="groq",
        model="mixtral-8x7b-32768",
        base_url="https://api.groq.com/openai/v1",
        batch_size=500,
        concurrent=20,
        latency=1.0,
        timeout=30.0,
        retries=_EXPONENTIAL,
    ),
    Provider(
        name="claude",
        model="claude-3-haiku-20240307",
        base_url="https://api.anthropic.com/v1",
        batch_size=2000,
        concurrent=5,
        latency=3.0,
        timeout=45.0,
        retries=_NO_RETRY,
    ),
    Provider(
        name="deepseek",
        model="deepseek-chat",
        base_url="https://api.deepseek.com/v1",
        batch_size=100,
        concurrent=15,
        latency=1.5,
        retries=_NO_RETRY,
    ),
)


class ModelFactory:
    """Makes models of providers. Those of one provider share its limits and its breaker. Of one loop.

    Args:
        providers: the providers there are.
        api_keys: the bearer key of each, by name.
        base_urls: where to call each instead, by name.
        jitter: that of the `RetryPolicy` of each.

    Raises:
        ValueError: a name is not known.
        ImportError: tenacity is not installed.
    """

    def __init__(
        self,
        providers: Sequence[Provider] = PROVIDERS,
        *,
        api_keys: Mapping[str, str] | None = None,
        base_urls: Mapping[str, str] | None = None,
        jitter: float = 0.0,
    ) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._api_keys = dict(api_keys or {})
        self._jitter = jitter
        for name in self._api_keys:
            self.provider(name)
        for name, url in (base_urls or {}).items():
            self._providers[name] = replace(self.provider(name), base_url=url)
        self._breakers = {name: CircuitBreaker() for name in self._providers}
        self._admissions = {p.name: Admission(running=p.concurrent, waiting=p.batch_size) for p in providers}

    def provider(self, name: str) -> Provider:
        """A provider, by name.

        Raises:
            ValueError: it is not known.
        """
        if name not in self._providers:
            raise ValueError(f"provider {name!r} is not known; allowed are {', '.join(self._providers)}")
        return self._providers[name]

    def create(
        self,
        name: str,
        *,
        model: str | None = None,
        timeout: float | None = None,
        retries: Mapping[ErrorKind, Rule] | None = None,
    ) -> Model:
        """A model, to be used in an ``async with`` block.

        Args:
            name: the provider's.
            model: another model of the provider's.
            timeout: seconds, in place of the provider's.
            retries: the rule of each kind of error, in place of the provider's.

        Raises:
            ValueError: the provider is not known, or an argument is out of range.
        """
        known = self.provider(name)
        provider = replace(
            known,
            model=known.model if model is None else model,
            timeout=known.timeout if timeout is None else timeout,
            retries=known.retries if retries is None else retries,
        )
        client = ChatClient(
            provider.base_url,
            api_key=self._api_keys.get(name),
            timeout=provider.timeout,
            limit=provider.concurrent,
        )
        return Model(
            provider,
            client,
            retries=RetryPolicy(provider.retries, jitter=self._jitter),
            breaker=self._breakers[name],
            admission=self._admissions[name],
        )
