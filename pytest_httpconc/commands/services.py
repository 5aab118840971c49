"""What ``httpconc serve`` serves: its classes, whose arguments become options, and how clients are pointed at it."""

from __future__ import annotations

import argparse
import inspect
import re
import types
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from fake_servers import FakeServer, ScenarioError
from fake_servers.latency import Latency
from fake_servers.phrases import read_latency
from pytest_httpconc.commands.readings import reading

__all__ = ["SERVICES", "Service", "add_own_options", "own_arguments"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One of them.

    Args:
        name: as on the command line.
        kind: its class in `fake_servers`.
        port: where it listens unless it is told: the field's own, and those that follow.
        what: what it is, in a few words.
        use: lines that point clients at it; ``{url}`` and ``{address}`` (without scheme) are where it is.
    """

    name: str
    kind: str
    port: int
    what: str
    use: tuple[str, ...]

    @property
    def cls(self) -> type[FakeServer]:
        """Its class, imported now."""
        found: type[FakeServer] = getattr(import_module("fake_servers"), self.kind)
        return found


_OPENAI: Final = "export OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY=any"

SERVICES: Final = (
    Service(
        name="docker",
        kind="FakeDockerServer",
        port=9527,
        what="a remote command server and a Docker engine, in memory",
        use=("export DOCKER_HOST=tcp://{address}", "RemoteDockerEnvironment(server_url='{url}', image='python')"),
    ),
    Service(
        name="eval",
        kind="FakeEvalServer",
        port=9528,
        what="an evaluation server with GPUs and a queue",
        use=("""curl -d '{{"instance_id": "task-1", "container_id": "abc"}}' {url}/evaluate""",),
    ),
    Service(
        name="llm",
        kind="FakeLLMServer",
        port=9529,
        what="a model server with the protocols of OpenAI, Anthropic and OpenRouter",
        use=(_OPENAI, "export ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY=any"),
    ),
    Service(
        name="agent",
        kind="FakeAgentServer",
        port=9530,
        what="agents behind chat completions and streamed sessions",
        use=(_OPENAI, """curl -N -d '{{"question": "What is new?"}}' {url}/chat/stream"""),
    ),
    Service(
        name="http",
        kind="FakeServer",
        port=9531,
        what="a plain server that answers every request with what it was sent",
        use=("curl -i -d hello {url}/any/path",),
    ),
)


def add_own_options(parser: argparse.ArgumentParser, kind: type[FakeServer]) -> None:
    """Give a command an option for each argument of a service's own, with what its class says of it."""
    names = _own_names(kind)
    if not names:
        return
    hints, said = get_type_hints(kind.__init__), _arguments_said(kind)
    group = parser.add_argument_group("what it is")
    for name in names:
        option = f"--{name.replace('_', '-')}"
        group.add_argument(
            option,
            dest=name,
            default=argparse.SUPPRESS,
            help=said.get(name, "").replace("%", "%%"),
            **_form(hints[name]),
        )


def own_arguments(kind: type[FakeServer], options: argparse.Namespace) -> dict[str, Any]:
    """Those of its own arguments that were given."""
    given = {name: getattr(options, name) for name in _own_names(kind) if hasattr(options, name)}
    return {name: dict(value) if isinstance(value, _Pairs) else value for name, value in given.items()}


def _own_names(kind: type[FakeServer]) -> list[str]:
    if kind is FakeServer:
        return []
    parameters = inspect.signature(kind.__init__).parameters.values()
    return [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]


def _arguments_said(kind: type) -> dict[str, str]:
    """What the ``Args`` of its docstring say, by name; nothing where Python has left docstrings out."""
    _, _, said = (inspect.getdoc(kind) or "").partition("Args:\n")
    said, _, _ = said.partition("\n\n")
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8,}.*)*)", said, re.MULTILINE)
    return {name: " ".join(text.replace("``", "").split()) for name, text in found}


class _Pairs(list[tuple[str, Any]]):
    """What ``NAME=VALUE`` was given for."""


class _AddPair(argparse.Action):
    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        setattr(namespace, self.dest, _Pairs([*getattr(namespace, self.dest, ()), values]))


def _form(hint: Any) -> dict[str, Any]:
    """How an argument of this type is read."""
    choices = _alternatives(hint)
    mapping = next((choice for choice in choices if get_origin(choice) is Mapping), None)
    if mapping is not None:
        value = read_latency if Latency in _alternatives(get_args(mapping)[1]) else str
        return {"action": _AddPair, "type": reading(_pair(value), name="pair"), "metavar": "NAME=VALUE"}
    if any(get_origin(choice) in {Collection, Iterable} for choice in choices):
        return {"type": lambda text: text.split(","), "metavar": "A,B"}
    if bool in choices:
        return {"action": "store_true"}
    if Latency in choices:
        return {"type": reading(read_latency), "metavar": "SECONDS"}
    number = next((choice for choice in choices if choice in {int, float}), None)
    if number is None:
        return {"metavar": "TEXT"}
    return {"type": reading(_number(number, or_none=type(None) in choices)), "metavar": "N"}


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in {Union, types.UnionType} else (hint,)


def _pair(read: Callable[[str], Any]) -> Callable[[str], tuple[str, Any]]:
    def pair(text: str) -> tuple[str, Any]:
        name, sign, value = text.partition("=")
        if not name or not sign:
            raise ScenarioError(f"{text!r} is no pair; write NAME=VALUE, as in search=0.5")
        return name, read(value)

    return pair


def _number(kind: type[int] | type[float], *, or_none: bool) -> Callable[[str], float | None]:
    def number(text: str) -> float | None:
        if or_none and text == "none":
            return None
        try:
            return kind(text)
        except ValueError:
            allowed = "a whole number" if kind is int else "a number"
            raise ScenarioError(f"{text!r} is not {allowed}{' or none' if or_none else ''}, as in 8") from None

    return number
