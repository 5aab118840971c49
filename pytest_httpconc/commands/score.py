"""``httpconc score``: the contract suite against popular clients and the user's own, as a table."""

from __future__ import annotations

import argparse
import os
from typing import Final

__all__ = ["add_parser", "run"]

_EXAMPLES: Final = """examples:
  httpconc score                                     all popular clients that are installed
  httpconc score httpx aiohttp tests/test_mine.py    two of them beside a contract of your own
  httpconc score --markdown > score.md

exit status: 0, whatever the scores are; 2 a client that is not known or not installed, or a contract that can't be run
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say how it is called."""
    parser = commands.add_parser(
        "score",
        help="run the contract suite on popular clients and your own, and print a table",
        description="Runs the contract suite on each client, with the settings that one would use, and prints how "
        "many of its tests each has passed, with what the others have found.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "clients", nargs="*", metavar="CLIENT", help="such as httpx, or a file with a ClientContract (default: all)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_const", dest="form", const="markdown", help="print it as Markdown")
    form.add_argument("--json", action="store_const", dest="form", const="json", help="print every test as JSON")
    parser.add_argument(
        "-j", "--jobs", type=_count, default=os.cpu_count() or 1, metavar="N", help="clients at once (default: CPUs)"
    )
    return parser


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no count; allowed are whole numbers from 1 up, as in --jobs 2")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Score them; see the exit status above."""
    from pytest_httpconc.scoring import run as run_scoring

    return run_scoring(options.clients, form=options.form or "table", at_once=options.jobs)
