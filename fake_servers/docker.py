"""`FakeDockerServer`: a remote command server, whose containers and commands live in memory.

The protocol: ``GET /health``, ``POST /start``, ``POST /execute``, ``POST /cleanup``, all JSON. A request
that lacks a field or has a wrong one is answered 422 with the field named, in FastAPI's shape; an unknown
container, 404.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from fake_servers import validation
from fake_servers.errors import ScenarioError
from fake_servers.http import Request, Response
from fake_servers.server import FakeServer
from fake_servers.shell import Completed, Shell
from fake_servers.validation import Field, Invalid

__all__ = ["Container", "FakeDockerServer"]

TIMED_OUT: Final = Completed("Command timed out.", 124)

_START: Final = (Field("config", dict),)
_CONFIG: Final = (
    Field("image", str),
    Field("cwd", str, "/"),
    Field("env", dict, {}, items=str),
    Field("forward_env", list, [], items=str),
    Field("timeout", (int, float), 1800),
    Field("executable", str, "docker"),
    Field("run_args", list, ["--rm"], items=str),
    Field("container_timeout", str, "6h"),
    Field("pull_timeout", (int, float), 400),
)
_EXECUTE: Final = (
    Field("container_id", str),
    Field("command", str),
    Field("cwd", str, ""),
    Field("timeout", (int, float), 1800),
    Field("env", dict, {}, items=str),
    Field("forward_env", list, [], items=str),
    Field("executable", str, "docker"),
)
_CLEANUP: Final = (Field("container_id", str), Field("executable", str, "docker"))


@dataclass(frozen=True, slots=True)
class Container:
    """A started container: its id, its image, and its shell with the files in it."""

    id: str
    image: str
    shell: Shell


@dataclass(frozen=True, slots=True)
class _Script:
    """What a scripted command does instead of running in the shell."""

    command: str | re.Pattern[str]
    completed: Completed
    duration: float

    def means(self, command: str) -> bool:
        if isinstance(self.command, str):
            return self.command == command
        return self.command.search(command) is not None


class FakeDockerServer(FakeServer):
    """A remote command server. Nothing that a client sends is run on the machine.

    Commands run in a small POSIX-like shell in memory, a file system for each container; a command goes on
    after its client has gone, as it would in a real container.

    Args:
        machine_env: the environment that ``forward_env`` takes values from; the machine's own is not read.
        options: as for `FakeServer`.
    """

    def __init__(self, *, machine_env: Mapping[str, str] | None = None, **options: Any) -> None:
        self._machine_env = dict(machine_env or {})
        self._containers: dict[str, Container] = {}
        self._scripts: tuple[_Script, ...] = ()
        self._started = 0
        super().__init__(**options)

    def _set_up(self) -> None:
        self.route("GET /health")(self._health)
        self.route("POST /start")(self._start_container)
        self.route("POST /execute")(self._execute)
        self.route("POST /cleanup")(self._clean_up)

    @property
    def containers(self) -> tuple[Container, ...]:
        """The containers that were started and not cleaned up, oldest first."""
        return tuple(self._containers.values())

    def script(
        self, command: str | re.Pattern[str], *, output: str = "", returncode: int = 0, duration: float = 0.0
    ) -> None:
        """Have a command do something set instead of running in the shell; the first script that means it acts.

        Args:
            command: the whole command, or a compiled pattern that is searched for in it.
            output: what it prints.
            returncode: 0 to 255.
            duration: seconds that it takes; its own timeout applies.

        Raises:
            ScenarioError: an argument is out of range.
        """
        if not isinstance(command, (str, re.Pattern)):
            raise ScenarioError(f"command={command!r} is neither a command nor a pattern, as in re.compile('^make ')")
        if isinstance(returncode, bool) or not isinstance(returncode, int) or not 0 <= returncode <= 255:
            raise ScenarioError(f"returncode={returncode!r} is out of range; allowed are 0 to 255, as in returncode=1")
        if not isinstance(duration, (int, float)) or not 0 <= duration < float("inf"):
            raise ScenarioError(f"duration={duration!r} is out of range; allowed are seconds from 0 up, as in 1200.0")
        self._scripts = (*self._scripts, _Script(command, Completed(output, returncode), duration))

    def _forget(self, *arguments: Any) -> None:
        super()._forget(*arguments)
        self._containers.clear()
        self._scripts = ()

    async def _health(self, request: Request) -> Response:
        running = self.ledger.in_flight - 1
        return Response.json({"status": "healthy", "containers": len(self._containers), "active_requests": running})

    async def _start_container(self, request: Request) -> Response:
        try:
            config = validation.read(validation.read_body(request, _START)["config"], _CONFIG, at=("body", "config"))
        except Invalid as invalid:
            return invalid.response()
        self._started += 1
        name = sha256(f"{self.scenario.seed}/{self._started}".encode()).hexdigest()
        env = self._forwarded(config["forward_env"]) | config["env"]
        try:
            shell = Shell(cwd=config["cwd"] or "/", env=env, sleep=self._service.sleep)
        except OSError as error:
            return Response.json({"detail": f"can't start {config['image']}: {error}"}, status=500)
        self._containers[name] = Container(name, config["image"], shell)
        return Response.json({"container_id": name, "status": "started"})

    async def _execute(self, request: Request) -> Response:
        try:
            order = validation.read_body(request, _EXECUTE)
        except Invalid as invalid:
            return invalid.response()
        container = self._containers.get(order["container_id"])
        if container is None:
            return _unknown(order["container_id"])
        # Shielded: a command goes on when its client goes, as it does in a container.
        completed = await asyncio.shield(self._service.work(self._run(container, order)))
        return Response.json({"output": completed.output, "returncode": completed.returncode})

    async def _clean_up(self, request: Request) -> Response:
        try:
            order = validation.read_body(request, _CLEANUP)
        except Invalid as invalid:
            return invalid.response()
        name = order["container_id"]
        if self._containers.pop(name, None) is None:
            return _unknown(name)
        return Response.json({"status": "cleanup process started", "container_id": name})

    async def _run(self, container: Container, order: Mapping[str, Any]) -> Completed:
        limit = order["timeout"] * self._service.time_scale
        try:
            return await asyncio.wait_for(self._perform(container, order), limit)
        except (asyncio.TimeoutError, TimeoutError):
            return TIMED_OUT

    async def _perform(self, container: Container, order: Mapping[str, Any]) -> Completed:
        for script in self._scripts:
            if script.means(order["command"]):
                await self._service.sleep(script.duration)
                return script.completed
        env = self._forwarded(order["forward_env"]) | order["env"]
        return await container.shell.run(order["command"], cwd=order["cwd"], env=env)

    def _forwarded(self, names: list[str]) -> dict[str, str]:
        return {name: self._machine_env[name] for name in names if name in self._machine_env}


def _unknown(name: str) -> Response:
    return Response.json({"detail": f"no container {name!r}"}, status=404)
