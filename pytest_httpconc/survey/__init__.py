"""The survey of real clients: each meets each fault, and the ledger tells what it does."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from fake_servers.errors import ScenarioError
from pytest_httpconc.survey.adapters import chosen
from pytest_httpconc.survey.results import Survey, merged, read, survey, write
from pytest_httpconc.survey.table import page

__all__ = ["run"]


def run(clients: Sequence[str] = (), *, target: Path | None = None, merge: Path | None = None) -> int:
    """Survey clients and write the page, or JSON; print the page where no file is named.

    Args:
        clients: their names; all when omitted.
        target: a file that ends in ``.md`` or ``.json``.
        merge: a JSON file of another environment, whose clients are added.

    Raises:
        ScenarioError: a client is not known, or a file is none that it can be.
    """
    if target is not None and target.suffix not in {".md", ".json"}:
        raise ScenarioError(f"--write {target} is neither .md nor .json; give a file such as docs/clients.md")
    begun_at = time.monotonic()
    adapters = chosen(clients)
    others = [] if merge is None else read(merge)
    installed = [adapter for adapter in adapters if adapter.versions() is not None]
    surveys = merged(survey(installed, tell=_tell), others)
    missing = [a.name for a in adapters if a.name not in {s.client for s in surveys}]
    for name in missing:
        _tell(f"{name}: not installed")
    _put(surveys, missing, target)
    _tell(f"surveyed in {time.monotonic() - begun_at:.0f} s")
    return 0


def _put(surveys: list[Survey], missing: Sequence[str], target: Path | None) -> None:
    if target is None:
        sys.stdout.write(page(surveys, missing))
    elif target.suffix == ".json":
        write(surveys, target)
    else:
        target.write_text(page(surveys, missing), encoding="utf-8")


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
