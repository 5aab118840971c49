"""The score of clients: the contract suite, run on each, as a table."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Literal

from pytest_httpconc.scoring.clients import CLIENTS, chosen
from pytest_httpconc.scoring.running import score_all
from pytest_httpconc.scoring.table import as_json, as_markdown, draw

__all__ = ["Form", "run"]

Form = Literal["table", "markdown", "json"]
_WIDE = 200  #: characters, where no terminal says how wide the table may be


def run(names: Sequence[str] = (), *, form: Form = "table", at_once: int = 1) -> int:
    """Score clients, and print the table.

    Args:
        names: of clients, and files with contracts; all clients that are installed when omitted.
        form: how it is printed.
        at_once: how many clients run at the same time, 1 or more.

    Raises:
        ScenarioError: a client is not known or not installed, or a contract can't be run.
    """
    clients = chosen(names)
    for client in () if names else CLIENTS:
        if client not in clients:
            _tell(f"{client.name}: not installed")
    scores = score_all(clients, at_once=at_once, tell=_tell)
    if form == "table":
        from rich.console import Console

        draw(scores, Console(width=None if sys.stdout.isatty() else _WIDE))
    else:
        print(as_markdown(scores) if form == "markdown" else as_json(scores))
    return 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
