"""``httpconc survey``: what the installed HTTP clients do when they meet each fault."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from pytest_httpconc.commands.readings import target_file

__all__ = ["add_parser", "run"]

_EXAMPLES: Final = """examples:
  httpconc survey httpx aiohttp
  httpconc survey --write clients.md
  httpconc survey niquests --write niquests.json      in another environment, to be merged by
  httpconc survey --merge niquests.json --write docs/clients.md
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say how it is called."""
    parser = commands.add_parser(
        "survey",
        help="have the installed HTTP clients meet every fault, and print what they do",
        description="Has each client that is installed meet every fault, with its default settings and without "
        "retries, and prints the page docs/clients.md.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help="such as httpx; all when omitted")
    parser.add_argument(
        "--write", type=target_file, metavar="FILE", help="a .md file for the page, or a .json file to merge"
    )
    parser.add_argument("--merge", type=Path, metavar="FILE", help="a .json file of another environment's clients")
    return parser


def run(options: argparse.Namespace) -> int:
    """Run it; 0 when the page is made."""
    from pytest_httpconc.survey import run as run_survey

    return run_survey(options.clients, target=options.write, merge=options.merge)
