"""Findings as text: the statement, the evidence, a timeline of bars, and a hint. Whole reports, without timelines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from fake_servers.records import Connection, Exchange, Outcome
from pytest_httpconc.durations import duration
from pytest_httpconc.findings import Finding
from pytest_httpconc.printable import printable
from pytest_httpconc.report.model import Found, Report

__all__ = ["render", "render_report", "timeline"]

_WIDTH: Final = 56
_MOST_LANES: Final = 16
_ENDS: Final = {
    Outcome.ANSWERED: ">",
    Outcome.IN_PROGRESS: "?",
    Outcome.ABORTED_BY_CLIENT: "!",
    Outcome.ENDED_BY_FAULT: "x",
    Outcome.ENDED_BY_UPSTREAM: "x",
    Outcome.HANDLER_FAILED: "x",
    Outcome.SERVER_STOPPED: "x",
}
_LEGEND: Final = (
    "N exchange N begins  = in flight  > answered  x ended by fault  ! aborted by client  ? in progress  - idle"
)


def render(findings: Iterable[Finding]) -> str:
    """All findings, one after the other, as one text."""
    return "\n\n".join(_one(finding) for finding in findings)


def render_report(report: Report) -> str:
    """The tests of a report that did not pass or in which something was found, each with its findings."""
    told = [test for test in report.tests if test["findings"] or test["outcome"] not in ("passed", "skipped")]
    verdict = f"{len(told)} of {len(report.tests)} tests with servers failed, or something was found in them"
    text = "\n\n".join([verdict, *map(_test, told)])
    return "\n".join(map(printable, text.splitlines()))  # a test's message may have anything in it


def _test(test: Mapping[str, Any]) -> str:
    head = f"{test['name']}: {test['outcome']} ({test['place']})"
    message = f"\n  {test['message']}" if test["message"] else ""
    return "\n\n".join([head + message, *(textwrap.indent(_one(Found(**found)), "  ") for found in test["findings"])])


def _one(finding: Finding | Found) -> str:
    place = f" (at {finding.server})" if finding.server else ""
    parts = [f"{finding.code} {finding.statement}", f"  {finding.summary}{place}"]
    parts += [f"    {line}" for line in finding.evidence[:_MOST_LANES]]
    if len(finding.evidence) > _MOST_LANES:
        parts.append(f"    ... and {len(finding.evidence) - _MOST_LANES} more")
    picture = timeline(finding.connections, finding.exchanges) if isinstance(finding, Finding) else ""
    if picture:
        parts += ["", textwrap.indent(picture, "  ")]
    parts += ["", _wrapped(f"hint: {finding.hint}"), f"  for more: httpconc explain {finding.code}"]
    return "\n".join(parts)


def timeline(connections: Sequence[Connection], exchanges: Sequence[Exchange], *, width: int = _WIDTH) -> str:
    """A lane for each connection, with a bar for each exchange; empty where nothing happened.

    Args:
        connections: the lanes; at most 16 are drawn.
        exchanges: the bars.
        width: of the bars' space, in characters.
    """
    if not connections:
        return ""
    begin, end = _span(connections, exchanges)
    scale = _Scale(begin, end, width)
    lanes = [_lane(c, [e for e in exchanges if e.connection == c.number], scale) for c in connections[:_MOST_LANES]]
    rest = len(connections) - len(lanes)
    more = [f"... and {rest} more connections"] if rest else []
    return "\n".join([f"timeline of {duration(end - begin)}", *lanes, *more, _LEGEND])


class _Scale:
    """Maps instants to columns."""

    def __init__(self, begin: float, end: float, width: int) -> None:
        self._begin = begin
        self._step = (end - begin) / (width - 1) or 1.0
        self.width = width

    def column(self, instant: float | None) -> int:
        if instant is None:
            return self.width - 1
        return min(self.width - 1, max(0, round((instant - self._begin) / self._step)))


def _span(connections: Sequence[Connection], exchanges: Sequence[Exchange]) -> tuple[float, float]:
    instants = [c.opened_at for c in connections] + [c.closed_at for c in connections if c.closed_at is not None]
    instants += [e.begun_at for e in exchanges] + [e.ended_at for e in exchanges if e.ended_at is not None]
    return min(instants), max(instants)


def _lane(connection: Connection, exchanges: Sequence[Exchange], scale: _Scale) -> str:
    cells = [" "] * scale.width
    _fill(cells, scale.column(connection.opened_at), scale.column(connection.closed_at), "-")
    for exchange in sorted(exchanges, key=lambda e: e.number):
        start, stop = scale.column(exchange.begun_at), scale.column(exchange.ended_at)
        _fill(cells, start, stop, "=")
        for offset, digit in enumerate(str(exchange.number)):
            if start + offset < scale.width:
                cells[start + offset] = digit
        stop = min(scale.width - 1, max(stop, start + len(str(exchange.number))))
        cells[stop] = _ENDS[exchange.outcome]
    end = "open" if connection.is_open else f"closed by {connection.closed_by}"
    return f"connection {connection.number:<4}|{''.join(cells)}| {end}"


def _fill(cells: list[str], start: int, stop: int, mark: str) -> None:
    cells[start : stop + 1] = mark * (stop + 1 - start)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 110, initial_indent="  ", subsequent_indent="        ", break_on_hyphens=False)
