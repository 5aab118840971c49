"""Scores as a table: for a terminal, as Markdown, as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich import box
from rich.console import Console
from rich.table import Table

from pytest_httpconc.scoring.families import FAMILIES
from pytest_httpconc.scoring.results import Outcome, Score, Test

__all__ = ["as_json", "as_markdown", "draw"]

_HEADINGS = ("client", *FAMILIES, "all", "not applicable")


def draw(scores: Sequence[Score], console: Console) -> None:
    """Draw the table, and beneath it what is not kept."""
    table = Table(*_HEADINGS, box=box.SIMPLE_HEAD)
    for score in scores:
        table.add_row(*_row(score))
    console.print(table)
    for score in scores:
        if score.not_kept:
            console.print(score.title, style="bold", highlight=False)
        for test in score.not_kept:
            console.print(f"  {_in_words(test)}", markup=False, highlight=False, soft_wrap=True)


def as_markdown(scores: Sequence[Score]) -> str:
    """The same as Markdown."""
    lines = [f"| {' | '.join(_HEADINGS)} |", f"| --- |{' ---: |' * (len(_HEADINGS) - 1)}"]
    lines += [f"| {' | '.join(_row(score))} |" for score in scores]
    for score in scores:
        if score.not_kept:
            lines += ["", f"{score.title}:", ""]
            lines += [f"- `{test.name}`: {', '.join(test.codes)} {_why(test)}" for test in score.not_kept]
    return "\n".join(lines)


def as_json(scores: Sequence[Score]) -> str:
    """The same as JSON, with every test."""
    return json.dumps([asdict(score) for score in scores], indent=1)


def _row(score: Score) -> list[str]:
    return [score.title, *(_cell(score.of(family)) for family in (*FAMILIES, None)), str(score.inapplicable)]


def _cell(counted: tuple[int, int]) -> str:
    passed, judged = counted
    return f"{passed}/{judged}" if judged else "-"


def _in_words(test: Test) -> str:
    return f"{' '.join(test.codes) or 'failed':<8}{test.name}: {_why(test)}"


def _why(test: Test) -> str:
    return f"known: {test.reason}" if test.outcome is Outcome.KNOWN else test.reason
