"""Results for machines: JSON, JUnit properties, GitHub's summary and its annotations."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pytest_httpconc.bench.baseline import FORMAT
from pytest_httpconc.bench.results import Result
from pytest_httpconc.bench.tables import as_markdown
from pytest_httpconc.bench.verdicts import Verdict

__all__ = ["append_summary", "as_json", "properties", "regressions_on_lines"]

_ESCAPES: Final = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_ESCAPES_IN_PROPERTIES: Final = {**_ESCAPES, ":": "%3A", ",": "%2C"}


def as_json(results: Sequence[Result]) -> str:
    """All results as JSON, sorted by name; an interval without an end has null for it."""
    content = {"format": FORMAT, "benchmarks": [_plain(result) for result in sorted(results, key=lambda r: r.name)]}
    return json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n"


def properties(result: Result) -> Iterator[tuple[str, str]]:
    """A result as properties of its test, for JUnit XML."""
    prefix = f"httpconc[{result.name.partition(' ')[2]}]" if " " in result.name else "httpconc"
    if result.verdict is not None:
        yield f"{prefix}.verdict", str(result.verdict)
    for number, sentence in enumerate(result.sentences):
        yield f"{prefix}.reason{number or ''}", sentence
    for name, value in result.candidate["counts"].items():
        yield f"{prefix}.{name}", str(value)
    for name in ("cpu_per_call", "p50", "p90", "p99", "max", "throughput", "efficiency", "virtual_seconds"):
        if result.candidate[name] is not None:
            yield f"{prefix}.{name}", f"{result.candidate[name]:.6g}"
    for name, (low, value, high) in result.ratios.items():
        yield f"{prefix}.ratio.{name}", f"{value:.3f} ({low:.3f} to {high:.3f})"


def regressions_on_lines(results: Sequence[Result], root: Path) -> list[str]:
    """A workflow command for each regression, at the line that measured it.

    GitHub, "Workflow commands for GitHub Actions", Setting an error message.

    Args:
        results: all of them.
        root: what file names are relative to.
    """
    lines = []
    for result in results:
        if result.verdict is Verdict.WORSE:
            file = os.path.relpath(result.file, root)
            place = f"file={_escaped(file, _ESCAPES_IN_PROPERTIES)},line={result.line}"
            title = _escaped(f"benchmark regression: {result.name}", _ESCAPES_IN_PROPERTIES)
            lines.append(f"::error {place},title={title}::{_escaped('; '.join(result.sentences), _ESCAPES)}")
    return lines


def append_summary(results: Sequence[Result], path: Path) -> None:
    """Append a Markdown table to a file, as ``$GITHUB_STEP_SUMMARY`` is."""
    with path.open("a", encoding="utf-8") as file:
        file.write(as_markdown(results))


def _escaped(text: str, escapes: Mapping[str, str]) -> str:
    return "".join(escapes.get(letter, letter) for letter in text)


def _plain(result: Result) -> dict[str, Any]:
    values = result.as_dict()
    values["ratios"] = {
        name: dict(zip(("low", "value", "high"), (x if math.isfinite(x) else None for x in ratio), strict=True))
        for name, ratio in result.ratios.items()
    }
    values["judgements"] = [
        {"figure": j.figure, "verdict": str(j.verdict), "sentence": j.sentence} for j in result.judgements
    ]
    values["verdict"] = None if result.verdict is None else str(result.verdict)
    return values
