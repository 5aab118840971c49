"""How running servers are shown: on the terminal, as lines, as JSON."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fake_servers import FakeServer
    from pytest_httpconc.live.logs import Log

__all__ = ["add_showing", "show"]


def add_showing(parser: argparse.ArgumentParser) -> None:
    """Give a command the options that `show` goes by."""
    how = parser.add_argument_group("how it is shown")
    how.add_argument("--json", action="store_true", help="a line of JSON for each exchange, for machines")


def show(servers: Sequence[FakeServer], options: argparse.Namespace, *, header: Sequence[str]) -> int:
    """Show running servers until Ctrl-C or SIGTERM, and sum up; return the exit status.

    Args:
        servers: what is shown; they are left running.
        options: of a parser that `add_showing` has been given.
        header: lines that say how to use them.

    Raises:
        FakeServerError: a server's process has ended by itself.
    """
    from pytest_httpconc.live.showing import show_until_ended

    show_until_ended(servers, _log(options), header=[*header, "Ctrl-C ends it"])
    return 0


def _log(options: argparse.Namespace) -> Log:
    from pytest_httpconc.live.logs import JsonLog, PlainLog, TerminalLog

    if options.json:
        return JsonLog(_say)
    return TerminalLog() if sys.stdout.isatty() else PlainLog(_say)


def _say(line: str) -> None:
    print(line, flush=True)
