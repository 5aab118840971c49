"""What the plugin leaves of a test that failed: a recording, and of a storm that was drawn, a scenario file."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from fake_servers import ScenarioError
from pytest_httpconc.findings import Finding
from pytest_httpconc.recordings.forms import dump
from pytest_httpconc.recordings.places import file_of, put
from pytest_httpconc.recordings.writing import record
from pytest_httpconc.watched import Watched

if TYPE_CHECKING:
    from pytest_httpconc.strategies import Drawn

__all__ = ["leave"]


def leave(folder: Path, test: str, failure: str, findings: Iterable[Finding], used: Iterable[Watched]) -> str:
    """Write the files of a test that has failed, and say where they are and what to do with them.

    Args:
        folder: for the files.
        test: its node id.
        failure: what it raised.
        findings: of its checks.
        used: the servers that it used.
    """
    drawn = _drawn()
    shown = sorted((w for w in used if _has_to_do(w, drawn)), key=lambda watched: watched.server.started_at)
    lines: list[str] = []
    try:
        if drawn is not None:
            path = file_of(folder, test, ".toml")
            put(path, drawn.scenario.to_toml())
            lines += [f"the scenario is in {_short(path)}, as Scenario.from_toml({_short(path)!r}) reads it"]
        if shown:
            path = file_of(folder, test, ".json")
            put(path, dump(record(test, failure, findings, [(w.server, w.ledger) for w in shown])))
            lines += [f"recorded in {_short(path)}", f"serve it again: httpconc replay {shlex.quote(_short(path))}"]
    except (OSError, ScenarioError) as error:
        lines.append(f"nothing more could be recorded: {error}")
    return "\n".join(lines)


def _drawn() -> Drawn | None:
    strategies = sys.modules.get("pytest_httpconc.strategies")
    return strategies.drawn[0] if strategies is not None and strategies.drawn else None


def _has_to_do(watched: Watched, drawn: Drawn | None) -> bool:
    """Whether a server met the last scenario that was drawn; hypothesis runs the smallest failing example last."""
    return drawn is None or watched.server.is_running or watched.server.started_at >= drawn.at


def _short(path: Path) -> str:
    """A path as it is written where the tests were started."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith(os.pardir) else relative
