"""The engine itself, without HTTP: the life of containers, and the commands executed in them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Final, TypeVar

from fake_servers.deadlines import timeout
from fake_servers.docker_engine.calls import EngineError
from fake_servers.docker_engine.configs import environment, exec_argv
from fake_servers.docker_engine.containers import Container, Exec
from fake_servers.docker_engine.journal import Journal
from fake_servers.docker_engine.names import digest
from fake_servers.docker_engine.programs import KILLED, Program, Script
from fake_servers.docker_engine.store import Store
from fake_servers.errors import FakeServerError
from fake_servers.shell import Completed

__all__ = ["Daemon"]

Result = TypeVar("Result")

_NOT_FOUND: Final = 127
_CANNOT_EXECUTE: Final = 126
_START_FAILED: Final = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: "
    "runc create failed: unable to start container process: {}: unknown"
)


class Daemon(Store):
    """What can be done with the containers of a `Store`."""

    async def finish(self, deed: Coroutine[object, object, Result]) -> Result:
        """Do something to its end, also when the client that asked for it goes."""
        return await self._service.finish(deed, answers=EngineError)

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
            async with timeout(limit):
                await program.wait()
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
    message = f"OCI runtime exec failed: exec failed: unable to start container process: {obstacle}: unknown\r\n"
    status = _NOT_FOUND if "not found" in obstacle or "no such file" in obstacle else _CANNOT_EXECUTE
    return Script("", Completed(message, status), 0.0)
