"""A recording as a value and as JSON; the form follows from the classes, as that of a scenario file does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fake_servers import Scenario, ScenarioError
from fake_servers.faults import Fault
from fake_servers.makings import Told
from fake_servers.plain import from_plain, to_plain
from fake_servers.records import Connection, Exchange
from fake_servers.scenario_files import check_format

__all__ = ["Hold", "RecordedFinding", "RecordedServer", "Recording", "dump", "load"]

FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A rendezvous of a server's."""

    on: str
    until_in_flight: int
    give_up: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFinding:
    """What a check had found, in words."""

    code: str
    statement: str
    summary: str
    evidence: tuple[str, ...] = ()
    server: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedServer:
    """One server of a test: how to make it again, what was planned, and what happened.

    Args:
        kind: its class in `fake_servers`.
        url: where it was reached.
        port: it listened on.
        arguments: it was made with, as plain data.
        told: calls that set what it answers, likewise.
        scenario: all that was injected.
        holds: where answers were held back.
        listener: the faults of its listening socket that acted, each after so many connections.
        routes: the patterns whose handlers were the test's own; their answers are in the exchanges.
        connections: instants are in seconds since the first of them was accepted.
        exchanges: likewise.
        notes: what could not be recorded.
    """

    kind: str
    url: str = ""
    port: int = 0
    arguments: Mapping[str, Any] = field(default_factory=dict)
    told: tuple[Told, ...] = ()
    scenario: Scenario = field(default_factory=Scenario)
    holds: tuple[Hold, ...] = ()
    listener: tuple[tuple[int, Fault], ...] = ()
    routes: tuple[str, ...] = ()
    connections: tuple[Connection, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What a failing test leaves.

    Args:
        test: its node id.
        failure: the first line of what it raised.
        written_at: date and time in UTC.
        versions: of pytest-httpconc, Python and the platform.
        findings: what the checks had found.
        servers: those that it used, in order of start.
    """

    test: str
    failure: str = ""
    written_at: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[RecordedFinding, ...] = ()
    servers: tuple[RecordedServer, ...] = ()


def dump(recording: Recording) -> str:
    """A recording as the text of a file."""
    data = {"format": FORMAT, "servers": [], **to_plain(recording)}
    for server, plain in zip(recording.servers, data["servers"], strict=True):
        plain["scenario"] = {"seed": server.scenario.seed, **to_plain(server.scenario)}
        for exchange, table in zip(server.exchanges, plain.get("exchanges", ()), strict=True):
            table.update(method=exchange.method, target=exchange.target, sequence=exchange.sequence)
            table["outcome"] = exchange.outcome.name
    return json.dumps(data, indent=1) + "\n"


def load(path: Path) -> Recording:
    """A recording from its file.

    Raises:
        ScenarioError: the file can't be read, or is no recording; the message names the file, in one line.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScenarioError(f"{path} can't be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise ScenarioError(f"{path}:{error.lineno}: this is not JSON: {error.msg}") from None
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path} can't be read: it is not UTF-8 at byte {error.start}") from None
    if not isinstance(data, dict) or "servers" not in data:
        raise ScenarioError(f"{path} is no recording: it has no servers; a failing test leaves one in .httpconc/")
    try:
        check_format(data, FORMAT)
        return from_plain(Recording, {key: value for key, value in data.items() if key != "format"})
    except ScenarioError as error:
        raise ScenarioError(f"{path}: {error}") from None
