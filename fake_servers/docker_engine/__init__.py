"""The Docker Engine API over containers that live in memory."""

from fake_servers.docker_engine.api import EngineApi, describe, is_engine_path
from fake_servers.docker_engine.calls import EngineError, read_fields
from fake_servers.docker_engine.configs import CREATE
from fake_servers.docker_engine.containers import Container
from fake_servers.docker_engine.daemon import Daemon
from fake_servers.docker_engine.images import Pulls
from fake_servers.docker_engine.names import Reference, read_reference
from fake_servers.docker_engine.programs import Script

__all__ = [
    "CREATE",
    "Container",
    "Daemon",
    "EngineApi",
    "EngineError",
    "Pulls",
    "Reference",
    "Script",
    "describe",
    "is_engine_path",
    "read_fields",
    "read_reference",
]
