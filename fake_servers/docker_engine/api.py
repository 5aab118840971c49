"""The Docker Engine API on a server: its routes, with and without a version, and its errors.

After the public reference of the Engine API, version 1.47 (docs.docker.com/reference/api/engine/version/v1.47).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from fake_servers.docker_engine.archive_calls import ArchiveCalls
from fake_servers.docker_engine.calls import Call, EngineError, Routes, error_response, is_versioned, unversioned
from fake_servers.docker_engine.container_calls import ContainerCalls
from fake_servers.docker_engine.daemon import Daemon
from fake_servers.docker_engine.image_calls import ImageCalls
from fake_servers.docker_engine.stream_calls import StreamCalls
from fake_servers.docker_engine.system_calls import SystemCalls
from fake_servers.http import Request, Response
from fake_servers.service import Answer, Service

__all__ = ["EngineApi", "describe", "is_engine_path"]

_NAMESPACES: Final = frozenset(
    {
        *("_ping", "auth", "build", "commit", "configs", "containers", "distribution", "events", "exec", "images"),
        *("info", "networks", "nodes", "plugins", "secrets", "services", "session", "swarm", "system", "tasks"),
        *("version", "volumes"),
    }
)


def is_engine_path(path: str) -> bool:
    """Whether a path belongs to the Engine API: it begins with a version, or with one of the API's own words."""
    return is_versioned(path) or path.removeprefix("/").partition("/")[0] in _NAMESPACES


class EngineApi:
    """The handlers of the Engine API, on a daemon and the service of its server."""

    def __init__(self, daemon: Daemon, service: Service) -> None:
        routes: Routes = {
            **SystemCalls(daemon).routes,
            **ImageCalls(daemon).routes,
            **ContainerCalls(daemon).routes,
            **StreamCalls(daemon, service).routes,
            **ArchiveCalls(daemon).routes,
        }
        self._routes = [(_regex(pattern), action) for pattern, action in routes.items()]
        self.patterns = tuple(dict.fromkeys(on for pattern in routes for on in _server_patterns(pattern)))

    async def serve(self, request: Request) -> Answer:
        """Answer a request that one of the patterns has matched."""
        try:
            return await self._find(request)
        except EngineError as error:
            return error_response(error.status, str(error))

    async def _find(self, request: Request) -> Answer:
        method = "GET" if request.method == "HEAD" and not request.path.endswith("/archive") else request.method
        route = f"{method} {unversioned(request.path)}"
        for regex, action in self._routes:
            found = regex.fullmatch(route)
            if found is not None:
                return await action(Call(request, found.groups()))
        raise EngineError(404, "page not found")


def describe(request: Request, status: int, message: str) -> Response:
    """An error of the server's own in the engine's shape."""
    return Response.json({"message": "page not found" if status == 404 else message}, status=status)


def _regex(pattern: str) -> re.Pattern[str]:
    text = re.escape(pattern).replace(r"\{name\}", "([^/]+)").replace(r"\{path\}", "(.+)")
    return re.compile(text, re.DOTALL)


def _server_patterns(pattern: str) -> Iterable[str]:
    """A pattern as a server's router takes it, without and with a version."""
    method, path = pattern.split(" ")
    path = path.partition("{path}")[0] + "**" if "{path}" in path else path.replace("{name}", "*")
    return f"{method} {path}", f"{method} /*{path}"
