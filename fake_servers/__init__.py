"""Servers for tests that misbehave on demand and record everything that happens."""

from fake_servers import faults, latency
from fake_servers.agent import FakeAgentServer
from fake_servers.docker import FakeDockerServer
from fake_servers.errors import FakeServerError, ScenarioError
from fake_servers.evals import FakeEvalServer
from fake_servers.faults import Moment
from fake_servers.http import Request, Response, Stream, Tunnel
from fake_servers.ledger import Connection, Exchange, Ledger
from fake_servers.llm import FakeLLMServer
from fake_servers.scenario import Injection, Scenario
from fake_servers.server import FakeServer

__all__ = [
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
