"""The engine itself, without HTTP: containers, their life, and the commands executed in them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from fake_servers.docker_engine.calls import EngineError
from fake_servers.docker_engine.configs import environment, exec_argv, full_config, full_host_config
from fake_servers.docker_engine.containers import Container, Exec
from fake_servers.docker_engine.events import Events
from fake_servers.docker_engine.images import Image, Images, Pulls
from fake_servers.docker_engine.journal import Journal
from fake_servers.docker_engine.names import container_name, digest, generated_name, read_reference
from fake_servers.docker_engine.programs import KILLED, Program, Script
from fake_servers.errors import FakeServerError
from fake_servers.service import Service
from fake_servers.shell import Shell

__all__ = ["Daemon"]

_NOT_FOUND: Final = 127
_CANNOT_EXECUTE: Final = 126
_START_FAILED: Final = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: "
    "runc create failed: unable to start container process: {}: unknown"
)

Scripted = Callable[[str], Script | None]


class Daemon:
    """Containers, images and events, and everything that can be done with them.

    Args:
        service: of the server, whose clock and background work it uses.
        seed: what ids are made from.
        scripted: finds what a command does instead of running in the shell.
        pulls: what pulling an image is like.
    """

    def __init__(self, service: Service, *, seed: Callable[[], int], scripted: Scripted, pulls: Pulls) -> None:
        self._service = service
        self._seed = seed
        self._scripted = scripted
        self.pulls = pulls
        self._made = 0
        self._clock: Callable[[], float] | None = None
        self._epoch = 0.0
        self.forget()

    def forget(self) -> None:
        """Forget everything, as if just installed."""
        self.containers: dict[str, Container] = {}
        self.execs: dict[str, Exec] = {}
        self.images = Images(self.pulls.layers)
        self.events = Events(self.now)

    def now(self) -> float:
        """The time in seconds since 1970, as the server's clock goes on from its start."""
        clock = self._service.recorder.clock
        if clock != self._clock:
            self._clock, self._epoch = clock, time.time() - clock()
        return self._epoch + clock()

    async def sleep(self, seconds: float) -> None:
        """Wait for seconds of the server's time; for ever, which no clock reaches, when they are infinite."""
        await self._service.stall(None if math.isinf(seconds) else seconds)

    # -- containers ---------------------------------------------------------------------------------------

    def find(self, name: str) -> Container:
        """The container with this id, name, or beginning of an id.

        Raises:
            EngineError: 404, there is none; 400, there are several.
        """
        if name in self.containers:
            return self.containers[name]
        bare = name.removeprefix("/")
        found = [c for c in self.containers.values() if c.name == bare]
        found = found or [c for c in self.containers.values() if name and c.id.startswith(name)]
        if len(found) > 1:
            raise EngineError(400, f"multiple IDs found with provided prefix: {name}")
        if not found:
            raise EngineError(404, f"No such container: {name}")
        return found[0]

    def running(self, name: str) -> Container:
        """As `find`, for a container that must be running and not paused.

        Raises:
            EngineError: 409, it is not.
        """
        container = self.find(name)
        if container.state.status == "paused":
            raise EngineError(409, f"Container {name} is paused, unpause the container before exec")
        if not container.is_running:
            raise EngineError(409, f"container {container.id} is not running")
        return container

    def create(self, given: Mapping[str, Any], name: str = "", *, image: Image | None = None) -> Container:
        """Make a container, which does not run yet, of an image that is given or is found by its name.

        Raises:
            EngineError: 400, a field is missing or wrong; 404, its image is not there; 409, its name is taken.
        """
        if image is None and not given["Image"]:
            raise EngineError(400, "no image specified: field 'Image' is empty")
        host_config = full_host_config(given["HostConfig"])
        self._made += 1
        identity = digest(f"{self._seed()}/{self._made}")
        config = full_config(given, identity)
        name = self._free_name(name) if name else generated_name(identity)
        image = image or self.images.get(given["Image"])
        env = {"HOSTNAME": config["Hostname"]} | environment(config["Env"])
        shell, journal = self._shell(config["WorkingDir"], env, given["Image"]), Journal(self.now, tty=config["Tty"])
        container = Container(identity, given["Image"], shell, name, image.id, config, host_config, journal, self.now())
        shell.sleep = self._pausable(container)
        self.containers[identity] = container
        self._emit(container, "create")
        return container

    def pull(self, image: str) -> Image:
        """Have an image at once, whatever it is called."""
        try:
            wanted = read_reference(image)
        except ValueError:
            wanted = read_reference(f"sha256-{digest(image)}")
        return self.images.add(wanted, self.now())

    def _free_name(self, text: str) -> str:
        try:
            name = container_name(text)
        except ValueError as error:
            raise EngineError(400, str(error)) from None
        for other in self.containers.values():
            if other.name == name:
                raise EngineError(
                    409,
                    f'Conflict. The container name "/{name}" is already in use by container "{other.id}". '
                    "You have to remove (or rename) that container to be able to reuse that name.",
                )
        return name

    def _shell(self, cwd: str, env: Mapping[str, str], image: str) -> Shell:
        try:
            return Shell(cwd=cwd, env=env, sleep=self.sleep)
        except OSError as error:
            raise EngineError(400, f"can't start {image}: {error}") from None

    def _pausable(self, container: Container) -> Callable[[float], Any]:
        async def sleep(seconds: float) -> None:
            await self.sleep(seconds)
            while container.state.status == "paused":
                await container.changed.wait()

        return sleep

    def rename(self, container: Container, name: str) -> None:
        """Give a container another name.

        Raises:
            EngineError: 400, it is not allowed; 409, it is taken.
        """
        if not name:
            raise EngineError(400, "Neither old nor new names may be empty")
        container.name = self._free_name(name)
        self._emit(container, "rename")

    # -- the life of a container --------------------------------------------------------------------------

    def start(self, container: Container) -> None:
        """Start the main process.

        Raises:
            EngineError: 304, it is running; 400, there is no such program in the container.
        """
        if container.state.status == "paused":
            raise EngineError(409, "cannot start a paused container, try unpause instead")
        if container.is_running:
            raise EngineError(304, "container already started")
        config, state = container.config, container.state
        env = {"TERM": "xterm"} if container.tty else {}
        program = Program(container.argv, container.journal, env=env, cwd="", tty=container.tty)
        script = self._scripted(program.line.text)
        obstacle = self._obstacle(container, program, script)
        if obstacle:
            state.exit_code, state.error = _NOT_FOUND, _START_FAILED.format(obstacle)
            self._drop_by_itself(container)
            raise EngineError(400, state.error)
        state.status, state.started_at, state.exit_code, state.error = "running", self.now(), 0, ""
        container.program = program
        if not (config["OpenStdin"] or container.tty):
            program.stdin.close()
        program.begin(container.shell, script, self._service.work, lambda ended: self._exited(container, ended))
        self._emit(container, "start")
        container.changed.ring()

    def _obstacle(self, container: Container, program: Program, script: Script | None) -> str:
        if script is not None or not program.line.program:
            return ""
        return container.shell.obstacle_to(program.line.program)

    def _exited(self, container: Container, program: Program) -> None:
        self._keep(program)
        state = container.state
        state.status, state.finished_at = "exited", self.now()
        state.exit_code = program.status or 0
        for execution in container.execs:
            execution.program.kill()
        container.ends += 1
        self._emit(container, "die", exitCode=str(state.exit_code))
        self._drop_by_itself(container)
        container.changed.ring()

    def _drop_by_itself(self, container: Container) -> None:
        if container.host_config["AutoRemove"] and not container.is_removed:
            self._drop(container)

    def _keep(self, program: Program) -> None:
        """Keep an error of ours on the record."""
        if program.error is not None:
            problem = FakeServerError(f"the command {program.line.text!r} failed: {program.error!r}")
            problem.__cause__ = program.error
            self._service.errors.append(problem)

    async def stop(self, container: Container, seconds: int | None) -> None:
        """Ask the main process to end, and kill it after some seconds; below 0, never.

        A command of the shell handles no signal. As process 1 it ignores SIGTERM, as the kernel has it, so it is
        killed in the end, with 137; below an init (``HostConfig.Init``) it ends at once, with 143.

        Raises:
            EngineError: 304, it is not running.
        """
        if not container.is_running:
            raise EngineError(304, "container already stopped")
        self._emit(container, "kill", signal="15")
        if container.host_config["Init"]:
            await self._end(container, 128 + 15)
        else:
            limit = container.config["StopTimeout"] if seconds is None else seconds
            if not await self._ends_within(container, None if limit < 0 else limit):
                self._emit(container, "kill", signal="9")
                await self._end(container, KILLED)
        self._emit(container, "stop")

    async def _ends_within(self, container: Container, seconds: int | None) -> bool:
        program = container.program
        assert program is not None, "what runs has a main process"
        limit = None if seconds is None else seconds * self._service.time_scale
        try:
            await asyncio.wait_for(program.wait(), limit)
        except (asyncio.TimeoutError, TimeoutError):
            return False
        return True

    async def signal(self, container: Container, number: int) -> None:
        """Send a signal to the main process; process 1 has handlers for none, so only SIGKILL ends it without an init.

        Raises:
            EngineError: 409, it is not running.
        """
        if not container.is_running:
            raise EngineError(409, f"cannot kill container: {container.id}: container {container.id} is not running")
        self._emit(container, "kill", signal=str(number))
        if number == 9 or (container.host_config["Init"] and number in {1, 2, 3, 15}):
            await self._end(container, 128 + number)

    async def _end(self, container: Container, status: int) -> None:
        if container.state.status == "paused":
            self.pause(container, paused=False)
        if container.program is not None:
            container.program.kill(status)
            await container.program.wait()

    async def restart(self, container: Container, seconds: int | None) -> None:
        """Stop it if it runs, and start it again."""
        if container.is_running:
            await self.stop(container, seconds)
        self.start(container)
        self._emit(container, "restart")

    def pause(self, container: Container, *, paused: bool) -> None:
        """Have its commands stay where they next sleep, or go on.

        Raises:
            EngineError: 409, it is not running, or paused already, or not.
        """
        wanted = "running" if paused else "paused"
        if container.state.status != wanted:
            what = "not running" if paused and not container.is_running else f"{'already' if paused else 'not'} paused"
            raise EngineError(409, f"Container {container.id} is {what}")
        container.state.status = "paused" if paused else "running"
        self._emit(container, "pause" if paused else "unpause")
        container.changed.ring()

    async def remove(self, container: Container, *, force: bool) -> None:
        """Forget a container with its files.

        Raises:
            EngineError: 409, it is running and may not be killed.
        """
        if container.is_running:
            if not force:
                raise EngineError(
                    409,
                    f'cannot remove container "/{container.name}": container is {container.state.status}: '
                    "stop the container before removing or force remove",
                )
            container.is_removed = True
            await self._end(container, KILLED)
        self._drop(container)

    def _drop(self, container: Container) -> None:
        if self.containers.get(container.id) is not container:
            return
        del self.containers[container.id]
        container.is_removed = True
        for execution in container.execs:
            self.execs.pop(execution.id, None)
        self.events.emit("container", "destroy", container.id, container.attributes)
        container.changed.ring()

    def _emit(self, container: Container, action: str, **details: str) -> None:
        if self.containers.get(container.id) is container:
            self.events.emit("container", action, container.id, {**container.attributes, **details})

    # -- commands in a container --------------------------------------------------------------------------

    def make_exec(self, container: Container, given: Mapping[str, Any]) -> Exec:
        """Make a command that can be started in a running container.

        Raises:
            EngineError: 400, it has no arguments.
        """
        argv, tty = exec_argv(given), bool(given["Tty"])
        self._made += 1
        identity = digest(f"{self._seed()}/exec/{self._made}")
        env = ({"TERM": "xterm"} if tty else {}) | environment(given["Env"])
        program = Program(argv, Journal(self.now, tty=tty), env=env, cwd=given["WorkingDir"], tty=tty)
        streams = {name: bool(given[f"Attach{name}"]) for name in ("Stdin", "Stdout", "Stderr")}
        execution = Exec(identity, container, program, tty, streams, dict(given))
        self.execs[identity] = execution
        container.execs.append(execution)
        self._emit(container, f"exec_create: {program.line.text}", execID=identity)
        return execution

    def find_exec(self, name: str) -> Exec:
        """The command with this id.

        Raises:
            EngineError: 404, there is none.
        """
        if name not in self.execs:
            raise EngineError(404, f"No such exec instance: {name}")
        return self.execs[name]

    def start_exec(self, execution: Exec) -> None:
        """Begin a command; one that is not in the container ends at once and says so.

        Raises:
            EngineError: 409, it was begun before, or its container is not running.
        """
        container, program = execution.container, execution.program
        if program.is_running or program.status is not None:
            raise EngineError(409, f"exec command {execution.id} has already run")
        self.running(container.id)
        script = self._scripted(program.line.text)
        obstacle = self._obstacle(container, program, script)
        if obstacle:
            script = _failing(obstacle)
        if not execution.streams["Stdin"]:
            program.stdin.close()
        program.begin(container.shell, script, self._service.work, lambda ended: self._executed(execution, ended))
        self._emit(container, f"exec_start: {program.line.text}", execID=execution.id)

    def _executed(self, execution: Exec, program: Program) -> None:
        self._keep(program)
        self._emit(execution.container, "exec_die", execID=execution.id, exitCode=str(program.status))


def _failing(obstacle: str) -> Script:
    from fake_servers.shell import Completed

    message = f"OCI runtime exec failed: exec failed: unable to start container process: {obstacle}: unknown\r\n"
    status = _NOT_FOUND if "not found" in obstacle or "no such file" in obstacle else _CANNOT_EXECUTE
    return Script("", Completed(message, status), 0.0)
