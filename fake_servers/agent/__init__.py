"""The agent server: a service with a limiter, a pool and sessions; and these parts, for services of one's own."""

from fake_servers.agent.limiter import ConcurrencyLimiter
from fake_servers.agent.pool import PipelinePool
from fake_servers.agent.server import FakeAgentServer
from fake_servers.agent.sessions import Session, SessionRegistry
from fake_servers.agent.settings import AgentSettings
from fake_servers.agent.tools import ToolManager, ToolResult
from fake_servers.slots import NoSlot

__all__ = [
    "AgentSettings",
    "ConcurrencyLimiter",
    "FakeAgentServer",
    "NoSlot",
    "PipelinePool",
    "Session",
    "SessionRegistry",
    "ToolManager",
    "ToolResult",
]
