"""The engine's calls on itself: ping, version, info, events, disk usage, login."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterable
from typing import Any, Final

from fake_servers.docker_engine.calls import Call, Routes
from fake_servers.docker_engine.daemon import Daemon
from fake_servers.docker_engine.events import EVENT_FILTERS
from fake_servers.docker_engine.shapes import API_VERSION, ENGINE_VERSION, version
from fake_servers.docker_engine.times import stamp
from fake_servers.http import Response, Stream

__all__ = ["SystemCalls", "json_lines"]

_PING: Final = {
    "Api-Version": API_VERSION,
    "Builder-Version": "1",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Docker-Experimental": "false",
    "OSType": "linux",
    "Pragma": "no-cache",
    "Server": f"Docker/{ENGINE_VERSION} (linux)",
}


class SystemCalls:
    """Handlers of the calls on the engine itself."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.routes: Routes = {
            "GET /_ping": self._ping,
            "HEAD /_ping": self._ping,
            "GET /version": self._version,
            "GET /info": self._info,
            "GET /events": self._events,
            "GET /system/df": self._disk_usage,
            "POST /auth": self._log_in,
        }

    async def _ping(self, call: Call) -> Response:
        return Response("OK", headers=_PING, content_type="text/plain; charset=utf-8")

    async def _version(self, call: Call) -> Response:
        return Response.json(version())

    async def _info(self, call: Call) -> Response:
        states = [container.state.status for container in self._daemon.containers.values()]
        counts = {name: states.count(name) for name in ("running", "paused")}
        return Response.json(
            {
                "ID": "fake-engine",
                "Name": "fake-engine",
                "Containers": len(states),
                "ContainersRunning": counts["running"],
                "ContainersPaused": counts["paused"],
                "ContainersStopped": len(states) - sum(counts.values()),
                "Images": len(list(self._daemon.images)),
                "Driver": "overlay2",
                "LoggingDriver": "json-file",
                "CgroupDriver": "systemd",
                "CgroupVersion": "2",
                "KernelVersion": "6.1.0",
                "OperatingSystem": "Fake Linux",
                "OSType": "linux",
                "Architecture": "x86_64",
                "IndexServerAddress": "https://index.docker.io/v1/",
                "NCPU": 2,
                "MemTotal": 8 * 1024**3,
                "ServerVersion": ENGINE_VERSION,
                "SystemTime": stamp(self._daemon.now()),
                "DefaultRuntime": "runc",
                "Runtimes": {"runc": {"path": "runc"}},
                "Swarm": {"NodeID": "", "LocalNodeState": "inactive"},
                "SecurityOptions": [],
                "Plugins": {"Volume": ["local"], "Network": ["bridge"], "Log": ["json-file"]},
                "RegistryConfig": {"IndexConfigs": {}, "InsecureRegistryCIDRs": [], "Mirrors": []},
                "ExperimentalBuild": False,
                "LiveRestoreEnabled": False,
                "Labels": [],
                "Warnings": None,
            }
        )

    async def _events(self, call: Call) -> Stream:
        filters = call.filters(EVENT_FILTERS)
        events = self._daemon.events.stream(call.instant("since"), call.instant("until"), filters)
        return Stream(json_lines(events, "\n"), content_type="application/json")

    async def _disk_usage(self, call: Call) -> Response:
        images = [image.summary() for image in self._daemon.images]
        size = sum(image["Size"] for image in images)
        empty: dict[str, Any] = {"Containers": [], "Volumes": [], "BuildCache": []}
        return Response.json({"LayersSize": size, "Images": images, **empty})

    async def _log_in(self, call: Call) -> Response:
        call.body(())
        return Response.json({"Status": "Login Succeeded", "IdentityToken": ""})


async def json_lines(values: AsyncIterable[dict[str, Any]], end: str) -> AsyncGenerator[bytes, None]:
    """Each value as JSON in a line of its own."""
    try:
        async for value in values:
            yield (json.dumps(value) + end).encode()
    finally:
        aclose = getattr(values, "aclose", None)
        if aclose is not None:
            await aclose()
