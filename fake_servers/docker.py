"""`FakeDockerServer`: a remote command server and a Docker engine, whose containers and commands live in memory.

Two protocols over the same containers. That of the remote command server: ``GET /health``, ``POST /start``,
``POST /execute``, ``POST /cleanup``, all JSON. A request that lacks a field or has a wrong one is answered 422 with
the field named, in FastAPI's shape; an unknown container, 404. And the Docker Engine API, with and without a version
such as ``/v1.47`` before its paths (see `docker_engine`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from fake_servers import validation
from fake_servers.crossing import asked, told
from fake_servers.deadlines import timeout
from fake_servers.docker_engine import (
    CREATE,
    Container,
    Daemon,
    EngineApi,
    EngineError,
    Pulls,
    Reference,
    Script,
    describe,
    is_engine_path,
    read_fields,
    read_reference,
)
from fake_servers.errors import ScenarioError
from fake_servers.http import Request, Response
from fake_servers.makings import kept, made
from fake_servers.server import FakeServer
from fake_servers.shell import Completed
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


_LAYERS: Final = 3


class FakeDockerServer(FakeServer):
    """A remote command server and a Docker engine. Nothing that a client sends is run on the machine.

    Commands run in a small POSIX-like shell in memory, a file system for each container; a command goes on
    after its client has gone, as it would in a real container.

    Args:
        machine_env: the environment that ``forward_env`` takes values from; the machine's own is not read.
        images: the images that are there from the start; others must be pulled before the engine makes a
            container of them, while ``POST /start`` pulls by itself.
        layers: how many layers an image has, 0 or more, which a pull shows one by one.
        layer_time: seconds that pulling a layer takes.
        unknown_images: the images that no registry has, by a pattern that is searched for in ``name:tag``.
        options: as for `FakeServer`.

    Raises:
        ScenarioError: an argument is out of range.
    """

    @made
    def __init__(
        self,
        *,
        machine_env: Mapping[str, str] | None = None,
        images: Iterable[str] = (),
        layers: int = _LAYERS,
        layer_time: float = 0.0,
        unknown_images: str | re.Pattern[str] | None = None,
        **options: Any,
    ) -> None:
        if isinstance(layers, bool) or not isinstance(layers, int) or layers < 0:
            raise ScenarioError(f"layers={layers!r} is out of range; allowed are whole numbers from 0 up, as in 3")
        if not isinstance(layer_time, (int, float)) or not 0 <= layer_time < float("inf"):
            raise ScenarioError(f"layer_time={layer_time!r} is out of range; allowed are seconds from 0 up, as in 0.5")
        self._machine_env = dict(machine_env or {})
        self._images = tuple(_reference(image) for image in images)
        self._pulls = Pulls(layers, layer_time, _pattern(unknown_images))
        self._scripts: tuple[Script, ...] = ()
        super().__init__(**options)

    def _set_up(self) -> None:
        self.route("GET /health")(self._health)
        self.route("POST /start")(self._start_container)
        self.route("POST /execute")(self._execute)
        self.route("POST /cleanup")(self._clean_up)
        self._daemon = Daemon(
            self._service, seed=lambda: self.scenario.seed, scripted=self._script_for, pulls=self._pulls
        )
        api = EngineApi(self._daemon, self._service)
        for pattern in api.patterns:
            self.route(pattern)(api.serve)
        self._pull_first_images()

    def _pull_first_images(self) -> None:
        for image in self._images:
            self._daemon.images.add(image, self._daemon.now())

    def _describe_error(self, request: Request, status: int, message: str) -> Response:
        if is_engine_path(request.path):
            return describe(request, status, message)
        return super()._describe_error(request, status, message)

    def _needs_one_process(self) -> str | None:
        return "a container is in one process, where its next command must come"

    @asked
    def containers(self) -> tuple[Container, ...]:
        """The containers that were made, by either protocol, and not removed, oldest first."""
        return tuple(self._daemon.containers.values())

    @kept
    @told()
    def script(
        self, command: str | re.Pattern[str], *, output: str = "", returncode: int = 0, duration: float = 0.0
    ) -> None:
        """Have a command do something set instead of running in the shell; the first script that means it acts.

        That holds for commands of either protocol: a container's main process, and what is executed in it.

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
        self._scripts = (*self._scripts, Script(command, Completed(output, returncode), duration))

    def _forget(self, *arguments: Any) -> None:
        super()._forget(*arguments)
        self._scripts = ()
        self._daemon.forget()
        self._pull_first_images()

    def _script_for(self, command: str) -> Script | None:
        return next((script for script in self._scripts if script.means(command)), None)

    async def _health(self, request: Request) -> Response:
        running = self.ledger.in_flight - 1
        count = len(self._daemon.containers)
        return Response.json({"status": "healthy", "containers": count, "active_requests": running})

    async def _start_container(self, request: Request) -> Response:
        try:
            config = validation.read(validation.read_body(request, _START)["config"], _CONFIG, at=("body", "config"))
        except Invalid as invalid:
            return invalid.response()
        env = self._forwarded(config["forward_env"]) | config["env"]
        image = self._daemon.pull(config["image"])
        order = {"Image": config["image"], "WorkingDir": config["cwd"], "Env": [f"{k}={v}" for k, v in env.items()]}
        try:
            container = self._daemon.create(read_fields(order, CREATE), image=image)
        except EngineError as error:
            return Response.json({"detail": str(error)}, status=500)
        self._daemon.start(container)
        return Response.json({"container_id": container.id, "status": "started"})

    async def _execute(self, request: Request) -> Response:
        try:
            order = validation.read_body(request, _EXECUTE)
        except Invalid as invalid:
            return invalid.response()
        container = self._daemon.containers.get(order["container_id"])
        if container is None:
            return _unknown(order["container_id"])
        # Shielded: a command goes on when its client goes, as it does in a container.
        completed = await self._service.finish(self._run(container, order))
        return Response.json({"output": completed.output, "returncode": completed.returncode})

    async def _clean_up(self, request: Request) -> Response:
        try:
            order = validation.read_body(request, _CLEANUP)
        except Invalid as invalid:
            return invalid.response()
        name = order["container_id"]
        container = self._daemon.containers.get(name)
        if container is None:
            return _unknown(name)
        await self._daemon.finish(self._daemon.remove(container, force=True))
        return Response.json({"status": "cleanup process started", "container_id": name})

    async def _run(self, container: Container, order: Mapping[str, Any]) -> Completed:
        limit = order["timeout"] * self._service.time_scale
        try:
            async with timeout(limit):
                return await self._perform(container, order)
        except (asyncio.TimeoutError, TimeoutError):
            return TIMED_OUT

    async def _perform(self, container: Container, order: Mapping[str, Any]) -> Completed:
        if not container.is_running:
            return Completed(f"Error response from daemon: container {container.id} is not running\n", 1)
        script = self._script_for(order["command"])
        if script is not None:
            await self._service.sleep(script.duration)
            return script.completed
        env = self._forwarded(order["forward_env"]) | order["env"]
        return await container.shell.run(order["command"], cwd=order["cwd"], env=env)

    def _forwarded(self, names: list[str]) -> dict[str, str]:
        return {name: self._machine_env[name] for name in names if name in self._machine_env}


def _unknown(name: str) -> Response:
    return Response.json({"detail": f"no container {name!r}"}, status=404)


def _pattern(text: str | re.Pattern[str] | None) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if isinstance(text, str) else text
    except re.error as error:
        raise ScenarioError(f"unknown_images={text!r} is no pattern, as '^private/' is: {error}") from None


def _reference(image: str) -> Reference:
    try:
        return read_reference(image)
    except ValueError as error:
        raise ScenarioError(f"images: {image!r} is no image's name, as 'python:3.11-slim' is: {error}") from None
