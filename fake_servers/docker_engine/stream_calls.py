"""The engine's calls that carry output and input: logs, attach, and commands executed in a container."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Final

from fake_servers.docker_engine.calls import Call, EngineError, Routes
from fake_servers.docker_engine.configs import EXEC, EXEC_START
from fake_servers.docker_engine.containers import Container
from fake_servers.docker_engine.daemon import Daemon
from fake_servers.docker_engine.frames import STDERR, STDOUT, content_type
from fake_servers.docker_engine.journal import Journal, View
from fake_servers.docker_engine.programs import Program
from fake_servers.docker_engine.shapes import exec_json
from fake_servers.docker_engine.times import stamp
from fake_servers.http import Response, Stream, Tunnel
from fake_servers.service import Service

__all__ = ["StreamCalls"]

_AT_ONCE: Final = 64 * 1024
_UPGRADED: Final = {"Connection": "Upgrade", "Upgrade": "tcp"}


class StreamCalls:
    """Handlers of the calls that carry output and input."""

    def __init__(self, daemon: Daemon, service: Service) -> None:
        self._daemon = daemon
        self._service = service
        self.routes: Routes = {
            "GET /containers/{name}/logs": self._logs,
            "POST /containers/{name}/attach": self._attach,
            "POST /containers/{name}/exec": self._make_exec,
            "POST /exec/{name}/start": self._start_exec,
            "GET /exec/{name}/json": self._inspect_exec,
            "POST /exec/{name}/resize": self._resize_exec,
        }

    async def _logs(self, call: Call) -> Stream:
        container = self._daemon.find(call.name)
        streams = _streams(call)
        if not streams:
            raise EngineError(400, "Bad parameters: you must choose at least one stream: 'stdout' or 'stderr'")
        view = View(
            streams,
            container.tty,
            call.instant("since"),
            call.instant("until"),
            stamp if call.flag("timestamps") else None,
        )
        tail = None if call.text("tail", "all") == "all" else call.number("tail")
        parts = _log_parts(container, view, None if tail is None or tail < 0 else tail, follow=call.flag("follow"))
        return Stream(parts, content_type=content_type(tty=container.tty))

    async def _attach(self, call: Call) -> Tunnel:
        container = self._daemon.find(call.name)
        if container.state.status == "paused":
            raise EngineError(409, f"container {container.id} is paused, unpause the container before attach")
        view = View(_streams(call), container.tty)
        ends = container.ends
        begin = 0 if call.flag("logs") else len(container.journal.records)
        if not call.flag("stream"):
            return self._tunnel(call, container.journal, view, begin, lambda: True, None)
        takes_input = call.flag("stdin") and container.config["OpenStdin"]
        return self._tunnel(
            call,
            container.journal,
            view,
            begin,
            lambda: container.ends > ends or container.is_removed,
            (lambda: container.program) if takes_input else None,
            closes_input=container.config["StdinOnce"],
            container=container,
        )

    async def _make_exec(self, call: Call) -> Response:
        given = call.body(EXEC)
        execution = self._daemon.make_exec(self._daemon.running(call.name), given)
        return Response.json({"Id": execution.id}, status=201)

    async def _start_exec(self, call: Call) -> Response | Tunnel:
        execution = self._daemon.find_exec(call.name)
        given = call.body(EXEC_START, required=False)
        self._daemon.start_exec(execution)
        program = execution.program
        if given["Detach"]:
            return Response(content_type="application/json")
        shown = {STDOUT: execution.streams["Stdout"], STDERR: execution.streams["Stderr"]}
        view = View(frozenset(stream for stream, is_wanted in shown.items() if is_wanted), execution.tty)
        reads = (lambda: program) if execution.streams["Stdin"] else None
        return self._tunnel(call, program.journal, view, 0, lambda: program.status is not None, reads)

    async def _inspect_exec(self, call: Call) -> Response:
        return Response.json(exec_json(self._daemon.find_exec(call.name)))

    async def _resize_exec(self, call: Call) -> Response:
        self._daemon.find_exec(call.name)
        call.number("h")
        call.number("w")
        return Response()

    def _tunnel(
        self,
        call: Call,
        journal: Journal,
        view: View,
        begin: int,
        is_over: Callable[[], bool],
        target: Callable[[], Program | None] | None,
        *,
        closes_input: bool = True,
        container: Container | None = None,
    ) -> Tunnel:
        """Carry a journal's output to the client, and its input to ``target`` as soon as that is there."""

        async def serve(reader: asyncio.StreamReader) -> AsyncGenerator[bytes, None]:
            pump = self._service.work(_pump(reader, target, container, closes_input=closes_input))
            records = journal.follow(begin, is_over)
            try:
                async for record in records:
                    if view.shows(record):
                        yield view.encode(record)
            finally:
                pump.cancel()
                await records.aclose()

        kind = content_type(tty=view.tty)
        if call.upgrades:
            return Tunnel(serve, status=101, headers=_UPGRADED, content_type=kind)
        return Tunnel(serve, status=200, content_type=kind)


def _streams(call: Call) -> frozenset[int]:
    return frozenset(stream for name, stream in (("stdout", STDOUT), ("stderr", STDERR)) if call.flag(name))


async def _log_parts(
    container: Container, view: View, tail: int | None, *, follow: bool
) -> AsyncGenerator[bytes, None]:
    journal, ends = container.journal, container.ends
    position = len(journal.records)
    lines = view.lines(journal.records)
    for line in lines if tail is None else lines[len(lines) - tail :] if tail < len(lines) else lines:
        yield view.encode(line)
    if not (follow and container.is_running):
        return
    records = journal.follow(position, lambda: container.ends > ends)
    try:
        async for record in records:
            for line in view.lines([record]):
                yield view.encode(line)
    finally:
        await records.aclose()


async def _pump(
    reader: asyncio.StreamReader,
    target: Callable[[], Program | None] | None,
    container: Container | None,
    *,
    closes_input: bool,
) -> None:
    """Pass on what the client sends, up to its end; without a target, drop it."""
    while data := await reader.read(_AT_ONCE):
        if target is not None:
            program = await _there(target, container)
            program.type(data)
            await program.stdin.drain()
    if target is not None and closes_input:
        (await _there(target, container)).stdin.close()


async def _there(target: Callable[[], Program | None], container: Container | None) -> Program:
    """The program, once its container has started it."""
    while (program := target()) is None or (container is not None and not container.is_running):
        assert container is not None, "only a container's main process may begin later"
        await container.changed.wait()
    return program
