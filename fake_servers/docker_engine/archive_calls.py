"""The engine's calls that carry files in and out of a container."""

from __future__ import annotations

from fake_servers.docker_engine.archives import BadArchive, pack, path_stat, unpack
from fake_servers.docker_engine.calls import Call, EngineError, Routes
from fake_servers.docker_engine.containers import Container
from fake_servers.docker_engine.daemon import Daemon
from fake_servers.http import Response
from fake_servers.shell.filesystem import absolute

__all__ = ["ArchiveCalls"]

_STAT = "X-Docker-Container-Path-Stat"


class ArchiveCalls:
    """Handlers of the calls that carry files."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.routes: Routes = {
            "HEAD /containers/{name}/archive": self._stat,
            "GET /containers/{name}/archive": self._get,
            "PUT /containers/{name}/archive": self._put,
        }

    async def _stat(self, call: Call) -> Response:
        container, path = self._place(call)
        return Response(headers={_STAT: self._described(container, path)})

    async def _get(self, call: Call) -> Response:
        container, path = self._place(call)
        headers = {_STAT: self._described(container, path)}
        data = pack(container.shell.filesystem, path, container.created_at)
        return Response(data, headers=headers, content_type="application/x-tar")

    async def _put(self, call: Call) -> Response:
        container, path = self._place(call)
        files = container.shell.filesystem
        if not files.exists(path):
            raise _missing(container, path)
        if not files.is_dir(path):
            raise EngineError(400, "extraction point is not a directory")
        try:
            unpack(files, path, call.request.body)
        except (BadArchive, OSError) as error:
            raise EngineError(400, str(error)) from None
        return Response()

    def _place(self, call: Call) -> tuple[Container, str]:
        container = self._daemon.find(call.name)
        path = call.text("path")
        if not path:
            raise EngineError(400, "Bad parameter: 'path' is empty")
        return container, absolute(path)

    def _described(self, container: Container, path: str) -> str:
        try:
            return path_stat(container.shell.filesystem, path, container.created_at)
        except OSError:
            raise _missing(container, path) from None


def _missing(container: Container, path: str) -> EngineError:
    return EngineError(404, f"Could not find the file {path} in container {container.name}")
