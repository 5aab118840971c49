"""Results for people: the evidence of one, and a table of all, for a terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pytest_httpconc.bench.results import Result
from pytest_httpconc.bench.verdicts import Verdict

__all__ = ["as_markdown", "as_text", "describe", "notes"]

_HEADINGS: Final = (
    "benchmark",
    "verdict",
    "speedup",
    "calls",
    "requests",
    "executed",
    "resent",
    "connections",
    "opened",
    "peak",
    "efficiency",
    "CPU/call",
    "p50",
    "p90",
    "p99",
    "max",
    "calls/s",
    "memory",
)
_LEFT: Final = 2  # columns of words, the others are numbers


def describe(result: Result) -> str:
    """The evidence of one result, a line a side."""
    lines = [f"candidate: {_evidence(result.candidate)}"]
    if result.baseline is not None:
        lines.append(f"baseline side of this run: {_evidence(result.baseline)}")
    ratios = ", ".join(f"{name} {_ratio(ratio)}" for name, ratio in result.ratios.items())
    if ratios:
        lines.append(f"ratios: {ratios}")
    return "\n".join(lines)


def as_text(results: Sequence[Result]) -> list[str]:
    """All results as lines of a table, a line a side."""
    rows = [list(_HEADINGS), *(row for result in results for row in _rows(result))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = []
    for row in rows:
        cells = (c.ljust(w) if n < _LEFT else c.rjust(w) for n, (c, w) in enumerate(zip(row, widths, strict=True)))
        lines.append("  ".join(cells).rstrip())
    return lines


def as_markdown(results: Sequence[Result]) -> str:
    """All results as a Markdown table, and below it what a person is to read."""
    rule = ["---" if number < _LEFT else "---:" for number in range(len(_HEADINGS))]
    rows = [list(_HEADINGS), rule, *(row for result in results for row in _rows(result))]
    table = "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)
    found = "\n".join(f"- {note}" for note in notes(results))
    return "\n\n".join(part for part in ("## Benchmarks", found, table) if part) + "\n"


def notes(results: Sequence[Result]) -> list[str]:
    """What a person is to read, a sentence each."""
    judged = [(r.name, judgement) for r in results for judgement in r.judgements]
    found = [f"{name}: {j.verdict}: {j.sentence}" for name, j in judged if j.verdict is not Verdict.FINE]
    found += [
        f"{r.name}: its intervals were still wide after {r.candidate['rounds']} rounds"
        for r in results
        if not r.settled and r.candidate["rounds"] > 1
    ]
    return found


def _rows(result: Result) -> Iterator[list[str]]:
    speedup = result.ratios.get("speedup")
    verdict = "" if result.verdict is None else str(result.verdict)
    yield [result.name, verdict, "" if speedup is None else _ratio(speedup), *_cells(result.candidate)]
    if result.baseline is not None:
        yield ["  beside", "", "", *_cells(result.baseline)]


def _cells(side: Mapping[str, Any]) -> list[str]:
    counts = side["counts"]
    names = ("requests", "executions", "resends", "connections", "opened", "peak_in_flight")
    return [
        str(side["calls"]),
        *(_count(counts[name]) for name in names),
        f"{side['efficiency']:.2f}",
        _seconds(side["cpu_per_call"]),
        *(_seconds(side[name]) for name in ("p50", "p90", "p99", "max")),
        f"{side['throughput']:,.0f}",
        f"{side['peak_memory'] / 2**20:.0f} MiB",
    ]


def _evidence(side: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{name.replace('_', ' ')} {_count(count)}" for name, count in side["counts"].items())
    times = f"{_seconds(side['cpu_per_call'])} CPU a call, p50 {_seconds(side['p50'])}, p99 {_seconds(side['p99'])}"
    virtual = "" if side["virtual_seconds"] is None else f"{side['virtual_seconds']:g} virtual seconds, "
    return (
        f"{side['calls']} calls, {side['concurrency']} together, in {side['rounds']} rounds; {counts}; {virtual}{times}"
    )


def _count(count: int | Sequence[int]) -> str:
    return str(count) if isinstance(count, int) else f"{count[0]}-{count[1]}"


def _ratio(ratio: Sequence[float]) -> str:
    low, value, high = ratio
    return f"{value:.2f}" if high == float("inf") else f"{value:.2f} ({low:.2f}-{high:.2f})"


def _seconds(seconds: float) -> str:
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} us"
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"
