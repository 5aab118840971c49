"""What an engine has: containers, images, events and its clock; how containers are made, found and forgotten."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from fake_servers.docker_engine.calls import EngineError
from fake_servers.docker_engine.configs import environment, full_config, full_host_config
from fake_servers.docker_engine.containers import Container, Exec
from fake_servers.docker_engine.events import Events
from fake_servers.docker_engine.images import Image, Images, Pulls
from fake_servers.docker_engine.journal import Journal
from fake_servers.docker_engine.names import container_name, digest, generated_name, read_reference
from fake_servers.docker_engine.programs import Script
from fake_servers.service import Service
from fake_servers.shell import Shell

__all__ = ["Scripted", "Store"]

Scripted = Callable[[str], Script | None]


class Store:
    """Containers, images and events.

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

    def _drop(self, container: Container) -> None:
        if self.containers.get(container.id) is not container:
            return
        del self.containers[container.id]
        container.is_removed = True
        for execution in container.execs:
            self.execs.pop(execution.id, None)
        self.events.emit("container", "destroy", container.id, container.attributes)
        container.changed.ring()
        container.journal.bell.ring()

    def _emit(self, container: Container, action: str, **details: str) -> None:
        if self.containers.get(container.id) is container:
            self.events.emit("container", action, container.id, {**container.attributes, **details})
