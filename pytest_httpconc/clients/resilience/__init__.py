"""Calling services that fail: trying again, a circuit breaker, admission by load, and other providers to turn to.

    factory = ModelFactory(api_keys={"openai": "sk-...", "groq": "gsk-..."})
    async with Fallback(factory.create("openai"), factory.create("groq")) as model:
        await model.query([{"role": "user", "content": "hello"}])

Trying again needs the extra [resilience]; the rest does not.
"""

from pytest_httpconc.clients.resilience.admission import Admission, Load, Overloaded
from pytest_httpconc.clients.resilience.breaker import CircuitBreaker, CircuitOpen, CircuitState
from pytest_httpconc.clients.resilience.kinds import ErrorKind, Rejected, kind_of
from pytest_httpconc.clients.resilience.models import AllProvidersFailed, Fallback, Model, ModelStatistics, Provider
from pytest_httpconc.clients.resilience.providers import PROVIDERS, ModelFactory
from pytest_httpconc.clients.resilience.retries import TABLE, Exponential, Fixed, Linear, Never, RetryPolicy, Rule

__all__ = [
    "PROVIDERS",
    "TABLE",
    "Admission",
    "AllProvidersFailed",
    "CircuitBreaker",
    "CircuitOpen",
    "CircuitState",
    "ErrorKind",
    "Exponential",
    "Fallback",
    "Fixed",
    "Linear",
    "Load",
    "Model",
    "ModelFactory",
    "ModelStatistics",
    "Never",
    "Overloaded",
    "Provider",
    "Rejected",
    "RetryPolicy",
    "Rule",
    "kind_of",
]
