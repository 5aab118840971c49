"""Containers, commands and the engine as the JSON of the Engine API."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any, Final

from fake_servers.docker_engine.containers import Container, Exec
from fake_servers.docker_engine.filters import Filters
from fake_servers.docker_engine.times import ago, stamp

__all__ = ["API_VERSION", "CONTAINER_FILTERS", "exec_json", "inspected", "matches", "summary", "version"]

API_VERSION: Final = "1.47"
MIN_API_VERSION: Final = "1.24"
ENGINE_VERSION: Final = "27.3.1"
CONTAINER_FILTERS: Final = (
    *("ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label"),
    *("name", "network", "publish", "since", "status", "volume"),
)
_PID: Final = 4242


def version() -> dict[str, Any]:
    """The engine's version."""
    details = {"ApiVersion": API_VERSION, "MinAPIVersion": MIN_API_VERSION, "Os": "linux", "Arch": "amd64"}
    return {
        "Platform": {"Name": "Docker Engine - Fake"},
        "Components": [{"Name": "Engine", "Version": ENGINE_VERSION, "Details": {**details, "Experimental": "false"}}],
        "Version": ENGINE_VERSION,
        **details,
        "GitCommit": "fake",
        "GoVersion": "none",
        "KernelVersion": "6.1.0",
        "BuildTime": "2024-09-20T11:41:11.000000000+00:00",
    }


def inspected(container: Container) -> dict[str, Any]:
    """A container as when it is asked for alone."""
    argv = container.argv
    return {
        "Id": container.id,
        "Created": stamp(container.created_at),
        "Path": argv[0],
        "Args": list(argv[1:]),
        "State": _state(container),
        "Image": container.image_id,
        "Name": f"/{container.name}",
        "RestartCount": 0,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "LogPath": "",
        "ExecIDs": [execution.id for execution in container.execs if execution.program.is_running] or None,
        "HostConfig": container.host_config,
        "GraphDriver": {"Name": "overlay2", "Data": {}},
        "Mounts": [],
        "Config": container.config,
        "NetworkSettings": _networks(container),
    }


def _state(container: Container) -> dict[str, Any]:
    state = container.state
    return {
        "Status": state.status,
        "Running": state.is_up,
        "Paused": state.status == "paused",
        "Restarting": False,
        "OOMKilled": False,
        "Dead": False,
        "Pid": _PID if state.is_up else 0,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": stamp(state.started_at),
        "FinishedAt": stamp(state.finished_at),
    }


def _networks(container: Container) -> dict[str, Any]:
    address = "172.17.0.2" if container.is_running else ""
    return {"Ports": {}, "IPAddress": address, "Networks": {"bridge": {"IPAddress": address, "Gateway": "172.17.0.1"}}}


def summary(container: Container, now: float) -> dict[str, Any]:
    """A container as in a list."""
    mode = container.host_config["NetworkMode"]
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": container.image,
        "ImageID": container.image_id,
        "Command": shlex.join(container.argv),
        "Created": int(container.created_at),
        "Ports": [],
        "Labels": container.labels,
        "State": container.state.status,
        "Status": _status(container, now),
        "HostConfig": {"NetworkMode": mode},
        "NetworkSettings": {"Networks": _networks(container)["Networks"]},
        "Mounts": [],
    }


def _status(container: Container, now: float) -> str:
    state = container.state
    if state.is_up:
        return f"Up {ago(now - (state.started_at or now))}" + (" (Paused)" if state.status == "paused" else "")
    if state.status == "exited":
        return f"Exited ({state.exit_code}) {ago(now - (state.finished_at or now))} ago"
    return "Created"


def matches(container: Container, filters: Filters, same_image: Callable[[str], bool]) -> bool:
    """Whether a list with these filters shows a container; ``same_image`` tells whether a name is its image's."""
    state = container.state
    return (
        filters.allows("id", container.id.startswith)
        and filters.allows("name", lambda value: _is_part(value, container.name))
        and filters.allows("status", lambda value: value == state.status)
        and filters.allows("exited", lambda value: state.status == "exited" and value == str(state.exit_code))
        and filters.allows("ancestor", same_image)
        and filters.allows_labels(container.labels)
    )


def _is_part(wanted: str, name: str) -> bool:
    """Whether a name is meant: a part of it will do, or with ``^`` and ``$`` its beginning and end."""
    text = wanted.removeprefix("^").removeprefix("/").removesuffix("$")
    begins, ends = wanted.startswith(("^", "/")), wanted.endswith("$")
    if begins and ends:
        return name == text
    return name.startswith(text) if begins else name.endswith(text) if ends else text in name


def exec_json(execution: Exec) -> dict[str, Any]:
    """A command as when it is asked for."""
    program, settings = execution.program, execution.settings
    process = {
        "entrypoint": program.argv[0],
        "arguments": list(program.argv[1:]),
        "tty": execution.tty,
        "privileged": settings["Privileged"],
        "user": settings["User"],
    }
    return {
        "ID": execution.id,
        "Running": program.is_running,
        "ExitCode": program.status,
        "ProcessConfig": process,
        "OpenStdin": execution.streams["Stdin"],
        "OpenStdout": execution.streams["Stdout"],
        "OpenStderr": execution.streams["Stderr"],
        "CanRemove": False,
        "ContainerID": execution.container.id,
        "DetachKeys": settings["DetachKeys"],
        "Pid": _PID if program.is_running else 0,
    }
