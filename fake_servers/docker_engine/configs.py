"""What a client says when it makes a container or a command, checked and filled in as the engine does it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from fake_servers.docker_engine.calls import EngineError, read_fields
from fake_servers.docker_engine.images import DEFAULT_COMMAND
from fake_servers.validation import Field

__all__ = ["CREATE", "EXEC", "EXEC_START", "environment", "exec_argv", "full_config", "full_host_config"]

_ARGV: Final = (list, str)
CREATE: Final = (
    Field("Image", str, ""),
    Field("Cmd", _ARGV, []),
    Field("Entrypoint", _ARGV, []),
    Field("Env", list, [], items=str),
    Field("WorkingDir", str, ""),
    Field("User", str, ""),
    Field("Hostname", str, ""),
    Field("Domainname", str, ""),
    Field("Tty", bool, False),
    Field("OpenStdin", bool, False),
    Field("StdinOnce", bool, False),
    Field("AttachStdin", bool, False),
    Field("AttachStdout", bool, False),
    Field("AttachStderr", bool, False),
    Field("Labels", dict, {}, items=str),
    Field("Volumes", dict, {}),
    Field("ExposedPorts", dict, {}),
    Field("StopSignal", str, ""),
    Field("StopTimeout", int, 10),
    Field("HostConfig", dict, {}),
    Field("NetworkingConfig", dict, {}),
)
EXEC: Final = (
    Field("Cmd", _ARGV, []),
    Field("Env", list, [], items=str),
    Field("WorkingDir", str, ""),
    Field("User", str, ""),
    Field("DetachKeys", str, ""),
    Field("Tty", bool, False),
    Field("Privileged", bool, False),
    Field("AttachStdin", bool, False),
    Field("AttachStdout", bool, False),
    Field("AttachStderr", bool, False),
)
EXEC_START: Final = (Field("Detach", bool, False), Field("Tty", bool, False), Field("ConsoleSize", list, [], items=int))
_HOST: Final = (
    Field("AutoRemove", bool, False),
    Field("Init", bool, False),
    Field("NetworkMode", str, "default"),
    Field("LogConfig", dict, {}),
    Field("RestartPolicy", dict, {}),
)


def full_config(given: Mapping[str, Any], identity: str) -> dict[str, Any]:
    """A container's ``Config``, what was left out filled in from its image.

    Raises:
        EngineError: 400, a command is no list of strings.
    """
    config = {name: value for name, value in given.items() if name not in {"HostConfig", "NetworkingConfig"}}
    entrypoint, command = _argv(given["Entrypoint"], "Entrypoint"), _argv(given["Cmd"], "Cmd")
    if entrypoint == [""]:
        entrypoint = []
    config["Entrypoint"] = entrypoint or None
    config["Cmd"] = command or (None if entrypoint else list(DEFAULT_COMMAND))
    config["Hostname"] = given["Hostname"] or identity[:12]
    config["WorkingDir"] = given["WorkingDir"] or "/"
    return config


def full_host_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """A container's ``HostConfig``: all that was given, and what clients need to find in it.

    Raises:
        EngineError: 400, a field that the engine acts on is wrong.
    """
    known = read_fields(given, _HOST, "HostConfig")
    known["LogConfig"] = {"Type": known["LogConfig"].get("Type") or "json-file", "Config": {}}
    known["RestartPolicy"] = known["RestartPolicy"] or {"Name": "no", "MaximumRetryCount": 0}
    return {**given, **known}


def exec_argv(given: Mapping[str, Any]) -> list[str]:
    """The arguments of a command to be executed.

    Raises:
        EngineError: 400, there are none.
    """
    argv = _argv(given["Cmd"], "Cmd")
    if not argv or not argv[0]:
        raise EngineError(400, "No exec command specified: field 'Cmd' is empty")
    return argv


def environment(entries: Iterable[str]) -> dict[str, str]:
    """``["A=1", ...]`` as a mapping; an entry without ``=`` is passed over, as there is nothing to inherit from."""
    pairs = (entry.partition("=") for entry in entries)
    return {name: value for name, equals, value in pairs if equals and name}


def _argv(value: Sequence[str] | str, name: str) -> list[str]:
    argv = [value] if isinstance(value, str) else list(value)
    if not all(isinstance(item, str) for item in argv):
        raise EngineError(400, f"invalid JSON: {name}: Input should be a list of strings")
    return [item.encode("utf-8", "replace").decode() for item in argv]
