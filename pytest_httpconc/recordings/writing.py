"""A recording of a test that has just failed."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any, Final, TypeVar

import fake_servers
from fake_servers import Connection, Exchange, FakeServer, Ledger, Scenario, ScenarioError
from fake_servers.makings import Told
from fake_servers.plain import to_plain
from pytest_httpconc import __version__
from pytest_httpconc.findings import Finding
from pytest_httpconc.recordings.forms import Hold, RecordedFinding, RecordedServer, Recording
from pytest_httpconc.recordings.secrets import masked_fields, masked_headers, masked_values

__all__ = ["kind_of", "record", "record_server"]

Record = TypeVar("Record", Connection, Exchange)

MOST_RECORDS: Final = 5000
MOST_BODIES: Final = 4 * 1024 * 1024
#: Arguments with a place of their own in the recording, or that are about this one run.
_NOT_KEPT: Final = frozenset({"scenario", "seed", "port", "host", "unix_socket", "verify"})


def record(
    test: str, failure: str, findings: Iterable[Finding], servers: Iterable[tuple[FakeServer, Ledger]]
) -> Recording:
    """What a failing test leaves.

    Args:
        test: its node id.
        failure: what it raised.
        findings: of its checks.
        servers: those that it used, each with what it did there.
    """
    return Recording(
        test=test,
        failure=failure.strip().partition("\n")[0],
        written_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={
            "pytest-httpconc": __version__,
            "pytest": version("pytest"),
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
        findings=tuple(_in_words(finding) for finding in findings),
        servers=tuple(record_server(server, ledger) for server, ledger in servers),
    )


def _in_words(finding: Finding) -> RecordedFinding:
    return RecordedFinding(
        code=finding.code,
        statement=finding.statement,
        summary=finding.summary,
        evidence=tuple(finding.evidence),
        server=finding.server,
    )


def record_server(server: FakeServer, ledger: Ledger) -> RecordedServer:
    """One server, and what was done there."""
    notes: list[str] = []
    connections, exchanges = _bounded(ledger.connections, notes), _bounded(ledger.exchanges, notes)
    origin = min((c.opened_at for c in connections), default=0.0)
    scenario = server.scenario
    kind = kind_of(server)
    return RecordedServer(
        kind=kind.__name__,
        url=server.url if server.port else "",
        port=server.port,
        arguments=_arguments(server, notes),
        told=tuple(_told(server.makings.told, notes)),
        scenario=Scenario(_writable(scenario, notes), seed=scenario.seed),
        holds=tuple(
            Hold(on=h.pattern.text, until_in_flight=h.until_in_flight, give_up=h.give_up) for h in server.holds
        ),
        listener=server.listener_acted,
        routes=server.own_routes if kind is type(server) else server.routes,
        connections=tuple(_since(origin, connection) for connection in connections),
        exchanges=tuple(_since(origin, exchange) for exchange in _discreet(exchanges, notes)),
        notes=tuple(notes),
    )


def kind_of(server: FakeServer) -> type[FakeServer]:
    """The class of `fake_servers` that a server is of; one of the user's own is of the class that it was made from."""
    public = [getattr(fake_servers, name) for name in fake_servers.__all__]
    return next(kind for kind in type(server).__mro__ if kind in public)


def _bounded(records: Sequence[Record], notes: list[str]) -> Sequence[Record]:
    if len(records) > MOST_RECORDS:
        what = type(records[0]).__name__.lower()
        notes.append(f"of {len(records)} {what}s, the first {MOST_RECORDS} were recorded")
    return records[:MOST_RECORDS]


def _arguments(server: FakeServer, notes: list[str]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in server.makings.arguments.items():
        if name in _NOT_KEPT:
            continue
        if name == "api_keys":
            notes.append("api_keys were not recorded: any key is accepted")
        elif isinstance(value, Mapping):
            kept[name] = masked_values(value)
        elif _has_form(f"{name}={value!r}", value, notes):
            kept[name] = to_plain(value)
    return kept


def _told(told: Iterable[Told], notes: list[str]) -> Iterable[Told]:
    for call in told:
        if _has_form(f"{call.method}({call.arguments})", call.arguments, notes):
            yield Told(call.method, to_plain(call.arguments))


def _writable(scenario: Scenario, notes: list[str]) -> Iterable[fake_servers.Injection]:
    return (injection for injection in scenario.injections if _has_form(str(injection), injection, notes))


def _has_form(name: str, value: object, notes: list[str]) -> bool:
    try:
        to_plain(value)
    except ScenarioError:
        notes.append(f"{name} has no form in a file")
        return False
    return True


def _discreet(exchanges: Iterable[Exchange], notes: list[str]) -> Iterable[Exchange]:
    """The exchanges without credentials, and without the bodies that are too much."""
    room = MOST_BODIES
    for exchange in exchanges:
        room -= len(exchange.body)
        body = exchange.body if room >= 0 else b""
        if room < 0 <= room + len(exchange.body):
            notes.append(f"bodies of requests after exchange {exchange.number} were not recorded")
        answer = exchange.answer
        yield replace(
            exchange,
            raw_headers=masked_headers(exchange.raw_headers),
            body=body,
            response_fields=masked_fields(exchange.response_fields),
            answer=None if answer is None else replace(answer, headers=masked_fields(answer.headers)),
        )


def _since(origin: float, record: Record) -> Record:
    """A record whose instants count from ``origin``, to the microsecond."""
    instants = {field.name: getattr(record, field.name) for field in fields(record) if field.name.endswith("_at")}
    return replace(record, **{name: round(at - origin, 6) for name, at in instants.items() if at is not None})
