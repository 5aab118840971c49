"""The engine's calls on containers, but for those that carry output, input or files."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncGenerator
from typing import Final

from fake_servers.docker_engine.calls import Call, EngineError, Routes
from fake_servers.docker_engine.configs import CREATE
from fake_servers.docker_engine.containers import Container
from fake_servers.docker_engine.daemon import Daemon
from fake_servers.docker_engine.shapes import CONTAINER_FILTERS, inspected, matches, summary
from fake_servers.http import Response, Stream

__all__ = ["ContainerCalls"]

_CONDITIONS: Final = frozenset({"", "not-running", "next-exit", "removed"})
_LONGEST_NUMBER: Final = 2
_LAST_SIGNAL: Final = 64


class ContainerCalls:
    """Handlers of the calls on containers."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.routes: Routes = {
            "POST /containers/create": self._create,
            "GET /containers/json": self._list,
            "POST /containers/prune": self._prune,
            "GET /containers/{name}/json": self._inspect,
            "GET /containers/{name}/top": self._top,
            "POST /containers/{name}/start": self._start,
            "POST /containers/{name}/stop": self._stop,
            "POST /containers/{name}/restart": self._restart,
            "POST /containers/{name}/kill": self._kill,
            "POST /containers/{name}/pause": self._pause,
            "POST /containers/{name}/unpause": self._unpause,
            "POST /containers/{name}/rename": self._rename,
            "POST /containers/{name}/resize": self._resize,
            "POST /containers/{name}/wait": self._wait,
            "DELETE /containers/{name}": self._remove,
        }

    async def _create(self, call: Call) -> Response:
        container = self._daemon.create(call.body(CREATE), call.text("name"))
        return Response.json({"Id": container.id, "Warnings": []}, status=201)

    async def _list(self, call: Call) -> Response:
        daemon, filters = self._daemon, call.filters(CONTAINER_FILTERS)
        limit = call.number("limit", 0) or 0
        everything = call.flag("all") or limit > 0 or bool(filters.get("status") or filters.get("exited"))
        found = [
            container
            for container in reversed(daemon.containers.values())
            if (everything or container.is_running)
            and matches(container, filters, lambda name, of=container: self._is_image(name, of))  # type: ignore[misc]
        ]
        now = daemon.now()
        return Response.json([summary(container, now) for container in (found[:limit] if limit > 0 else found)])

    def _is_image(self, name: str, container: Container) -> bool:
        image = self._daemon.images.find(name)
        return name == container.image or (image is not None and image.id == container.image_id)

    async def _prune(self, call: Call) -> Response:
        call.filters(("label", "label!", "until"))
        stopped = [container for container in self._daemon.containers.values() if not container.is_running]
        for container in stopped:
            await self._daemon.remove(container, force=False)
        return Response.json({"ContainersDeleted": [container.id for container in stopped], "SpaceReclaimed": 0})

    async def _inspect(self, call: Call) -> Response:
        return Response.json(inspected(self._daemon.find(call.name)))

    async def _top(self, call: Call) -> Response:
        container = self._daemon.running(call.name)
        programs = [container.program, *(execution.program for execution in container.execs)]
        lines = [program.line.text for program in programs if program is not None and program.is_running]
        processes = [["root", str(number), line] for number, line in enumerate(lines, 1)]
        return Response.json({"Titles": ["UID", "PID", "CMD"], "Processes": processes})

    async def _start(self, call: Call) -> Response:
        self._daemon.start(self._daemon.find(call.name))
        return Response(status=204)

    async def _stop(self, call: Call) -> Response:
        await self._daemon.finish(self._daemon.stop(self._daemon.find(call.name), call.number("t")))
        return Response(status=204)

    async def _restart(self, call: Call) -> Response:
        await self._daemon.finish(self._daemon.restart(self._daemon.find(call.name), call.number("t")))
        return Response(status=204)

    async def _kill(self, call: Call) -> Response:
        number = _signal(call.text("signal") or "SIGKILL")
        await self._daemon.finish(self._daemon.signal(self._daemon.find(call.name), number))
        return Response(status=204)

    async def _pause(self, call: Call) -> Response:
        self._daemon.pause(self._daemon.find(call.name), paused=True)
        return Response(status=204)

    async def _unpause(self, call: Call) -> Response:
        self._daemon.pause(self._daemon.find(call.name), paused=False)
        return Response(status=204)

    async def _rename(self, call: Call) -> Response:
        self._daemon.rename(self._daemon.find(call.name), call.text("name"))
        return Response(status=204)

    async def _resize(self, call: Call) -> Response:
        self._daemon.find(call.name)
        call.number("h")
        call.number("w")
        return Response()

    async def _remove(self, call: Call) -> Response:
        removal = self._daemon.remove(self._daemon.find(call.name), force=call.flag("force"))
        await self._daemon.finish(removal)
        return Response(status=204)

    async def _wait(self, call: Call) -> Stream:
        condition = call.text("condition")
        if condition not in _CONDITIONS:
            raise EngineError(400, f"invalid condition: {condition!r}")
        container = self._daemon.find(call.name)
        # The head is sent at once: the docker command waits for it before it starts the container.
        return Stream(_waited(container, condition, container.ends), content_type="application/json")


async def _waited(container: Container, condition: str, ends: int) -> AsyncGenerator[bytes, None]:
    while not _is_met(container, condition, ends):
        await container.changed.wait()
    yield json.dumps({"StatusCode": container.state.exit_code}).encode() + b"\n"


def _is_met(container: Container, condition: str, ends: int) -> bool:
    if condition == "removed" or container.is_removed:
        return container.is_removed
    return container.ends > ends or (condition != "next-exit" and not container.is_running)


def _signal(text: str) -> int:
    """The number of a signal: ``9``, ``KILL`` or ``SIGKILL``.

    Raises:
        EngineError: 400, there is no such signal.
    """
    if text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER and 0 < int(text) <= _LAST_SIGNAL:
        return int(text)
    name = "SIG" + text.upper().removeprefix("SIG")
    if name not in signal.Signals.__members__:
        raise EngineError(400, f"invalid signal: {text}")
    return int(signal.Signals[name])
