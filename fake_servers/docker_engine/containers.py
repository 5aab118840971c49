"""Containers and the commands executed in them: what they are, and what state they are in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from fake_servers.docker_engine.journal import Bell, Journal
from fake_servers.docker_engine.programs import Program
from fake_servers.shell import Shell

__all__ = ["Container", "Exec", "State"]


@dataclass(slots=True)
class State:
    """What a container is: ``created``, ``running``, ``paused`` or ``exited``; instants are seconds since 1970."""

    status: str = "created"
    exit_code: int = 0
    error: str = ""
    started_at: float | None = None
    finished_at: float | None = None

    @property
    def is_up(self) -> bool:
        """Whether its main process is there."""
        return self.status in {"running", "paused"}


@dataclass(frozen=True, slots=True)
class Exec:
    """A command that is to be executed in a container, or was."""

    id: str
    container: Container
    program: Program
    tty: bool
    streams: Mapping[str, bool]
    settings: Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Container:
    """A container: its id, its image, and its shell with the files in it.

    ``image`` is as it was asked for; ``config`` and ``host_config`` are as in the Engine API, what a client left
    out filled in; ``program`` is its main process, of the latest start.
    """

    id: str
    image: str
    shell: Shell
    name: str
    image_id: str
    config: dict[str, Any]
    host_config: dict[str, Any]
    journal: Journal
    created_at: float
    state: State = field(default_factory=State)
    program: Program | None = None
    execs: list[Exec] = field(default_factory=list)
    ends: int = 0  #: how often its main process has ended
    is_removed: bool = False
    changed: Bell = field(default_factory=Bell)

    def __reduce__(self) -> tuple[Callable[..., Container], tuple[dict[str, Any]]]:
        """A copy, as another process has it, is what it is now, with its files; nothing runs in it."""
        left_out = {"program", "execs", "changed"}
        state = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in left_out}
        return _copied, (state,)

    @property
    def tty(self) -> bool:
        """Whether its main process has a terminal."""
        return bool(self.config["Tty"])

    @property
    def argv(self) -> tuple[str, ...]:
        """Its main process's arguments."""
        return (*(self.config["Entrypoint"] or ()), *(self.config["Cmd"] or ()))

    @property
    def is_running(self) -> bool:
        """Whether its main process is running, paused or not."""
        return self.state.is_up

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        labels: dict[str, str] = self.config["Labels"]
        return labels

    @property
    def attributes(self) -> dict[str, str]:
        """What its events say of it."""
        return {**self.labels, "image": self.image, "name": self.name}

    def __repr__(self) -> str:
        return f"<Container {self.name} ({self.id[:12]}) of {self.image}, {self.state.status}>"


def _copied(state: dict[str, Any]) -> Container:
    return Container(**state)
