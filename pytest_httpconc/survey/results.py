"""The survey of a client: what all its trials and sweeps have shown, to and from JSON."""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from fake_servers.errors import ScenarioError
from pytest_httpconc.survey.adapters import ADAPTERS, Adapter
from pytest_httpconc.survey.plan import trials_of
from pytest_httpconc.survey.sweeping import Swept, cancel_everywhere, cut_everywhere
from pytest_httpconc.survey.trials import Cell, conduct
from pytest_httpconc.survey.waits import Waits, default_waits
from pytest_httpconc.sweeps.logs import records_without_frames

__all__ = ["Survey", "merged", "read", "survey", "write"]

#: Trials that go on side by side: most of one's time is a pause of its client's.
_SIDE_BY_SIDE: Final = 16

_Cells = dict[tuple[str, str, bool], "Future[Cell]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """One client.

    Args:
        client: its name.
        python: what it ran on.
        versions: by distribution.
        no_retry: its usual settings without retries, in words.
        default: by trial, what it did with default settings.
        unretried: by trial, what it did with its usual settings without retries.
        waits: its default timeouts.
        cut: the sweep of truncations.
        cancelled: the sweep of cancellations; None for a client that blocks.
    """

    client: str
    python: str
    versions: dict[str, str]
    no_retry: str
    default: dict[str, Cell]
    unretried: dict[str, Cell]
    waits: Waits
    cut: Swept
    cancelled: Swept | None


def survey(adapters: Sequence[Adapter], *, tell: Callable[[str], None]) -> list[Survey]:
    """Survey clients that are installed.

    Args:
        adapters: which.
        tell: is told, in a line, of each that is done.
    """
    with records_without_frames():
        waits = {adapter.name: default_waits(adapter) for adapter in adapters}
        cells = _conduct_all(adapters)
        found: list[Survey] = []
        for adapter in adapters:
            begun_at = time.monotonic()
            found.append(_survey_of(adapter, waits[adapter.name], cells))
            tell(f"{adapter.name}: {2 * len(found[-1].default)} trials, sweeps in {time.monotonic() - begun_at:.1f} s")
        return found


def _conduct_all(adapters: Sequence[Adapter]) -> _Cells:
    """Conduct all trials; by themselves those that a timeout decides, so that no work keeps a client waiting."""
    planned = [(a, t, retries) for a in adapters for t in trials_of(a) for retries in (True, False)]
    cells: _Cells = {}
    for timed in (False, True):
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            for adapter, trial, retries in planned:
                if (trial.is_silent and not adapter.is_async) is timed:
                    key = adapter.name, trial.name, retries
                    cells[key] = pool.submit(conduct, adapter, trial, retries=retries)
    return cells


def _survey_of(adapter: Adapter, waits: Waits, cells: _Cells) -> Survey:
    names = [trial.name for trial in trials_of(adapter)]
    return Survey(
        client=adapter.name,
        python=f"{platform.python_implementation()} {sys.version_info[0]}.{sys.version_info[1]}",
        versions=adapter.versions() or {},
        no_retry=adapter.no_retry,
        default={name: cells[adapter.name, name, True].result() for name in names},
        unretried={name: cells[adapter.name, name, False].result() for name in names},
        waits=waits,
        cut=cut_everywhere(adapter),
        cancelled=cancel_everywhere(adapter) if adapter.is_async else None,
    )


def merged(surveys: Iterable[Survey], others: Iterable[Survey]) -> list[Survey]:
    """Surveys of two environments, in the page's order; the first ones count where both have a client."""
    by_name = {s.client: s for s in (*others, *surveys)}
    return [by_name[name] for name in ADAPTERS if name in by_name]


def write(surveys: Iterable[Survey], path: Path) -> None:
    """Keep surveys in a JSON file."""
    path.write_text(json.dumps([asdict(s) for s in surveys], indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> list[Survey]:
    """The surveys that a JSON file keeps.

    Raises:
        ScenarioError: it is no such file.
    """
    try:
        return [_survey_from(entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ScenarioError(
            f"{path} is no survey ({error}); give a file that 'httpconc survey --write FILE.json' has written"
        ) from error


def _survey_from(entry: dict[str, Any]) -> Survey:
    cells = {key: {name: Cell(**cell) for name, cell in entry[key].items()} for key in ("default", "unretried")}
    cancelled = entry["cancelled"] and _swept_from(entry["cancelled"])
    return Survey(
        **{**entry, **cells, "waits": Waits(**entry["waits"]), "cut": _swept_from(entry["cut"]), "cancelled": cancelled}
    )


def _swept_from(entry: dict[str, Any]) -> Swept:
    return Swept(entry["points"], tuple(entry["found"]))
