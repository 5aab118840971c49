"""Servers for tests that misbehave on demand and record everything that happens."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from fake_servers import faults, latency
from fake_servers.errors import FakeServerError, ScenarioError
from fake_servers.faults import Moment
from fake_servers.http import Request, Response, Stream, Tunnel
from fake_servers.ledger import Connection, Exchange, Ledger
from fake_servers.scenario import Injection, Scenario
from fake_servers.server import FakeServer

if TYPE_CHECKING:
    from fake_servers.agent import FakeAgentServer
    from fake_servers.docker import FakeDockerServer
    from fake_servers.evals import FakeEvalServer
    from fake_servers.llm import FakeLLMServer
    from fake_servers.proxy import ChaosProxy

__all__ = [
    "ChaosProxy",
    "Connection",
    "Exchange",
    "FakeAgentServer",
    "FakeDockerServer",
    "FakeEvalServer",
    "FakeLLMServer",
    "FakeServer",
    "FakeServerError",
    "Injection",
    "Ledger",
    "Moment",
    "Request",
    "Response",
    "Scenario",
    "ScenarioError",
    "Stream",
    "Tunnel",
    "faults",
    "latency",
]

#: Imported when they are first asked for: a server's process is ready the sooner for what it does not need.
_SERVICES: Final = {
    "ChaosProxy": "fake_servers.proxy",
    "FakeAgentServer": "fake_servers.agent",
    "FakeDockerServer": "fake_servers.docker",
    "FakeEvalServer": "fake_servers.evals",
    "FakeLLMServer": "fake_servers.llm",
}


def __getattr__(name: str) -> Any:
    if name not in _SERVICES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_SERVICES[name]), name)
