"""The ``httpconc`` command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from fake_servers.errors import ScenarioError
from pytest_httpconc import __version__

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0 for success, 1 where something was not as it should be."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except ScenarioError as error:
        parser.error(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="httpconc", description="Catches HTTP concurrency bugs: leaks, resends, serial async code."
    )
    parser.add_argument("--version", action="version", version=f"pytest-httpconc {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="run the repaired and the wrong clients through the plugin, and print what it makes of them",
        description="Runs the remote-docker client and the wrong ones that it replaced through the plugin, each in "
        "the same tests, and prints what was caught and what was cleared. Example: httpconc demo --verbose",
    )
    demo.add_argument("-v", "--verbose", action="store_true", help="print every finding in full")
    demo.set_defaults(run=_demo)
    survey = commands.add_parser(
        "survey",
        help="have the installed HTTP clients meet every fault, and print what they do",
        description="Has each client that is installed meet every fault, with its default settings and without "
        "retries, and prints the page docs/clients.md. Example: httpconc survey httpx aiohttp --write clients.md",
    )
    survey.add_argument("clients", nargs="*", metavar="CLIENT", help="such as httpx; all when omitted")
    survey.add_argument("--write", type=Path, metavar="FILE", help="a .md file for the page, or a .json file to merge")
    survey.add_argument("--merge", type=Path, metavar="FILE", help="a .json file of another environment's clients")
    survey.set_defaults(run=_survey)
    return parser


def _demo(options: argparse.Namespace) -> int:
    from pytest_httpconc.demo import run

    return run(verbose=options.verbose)


def _survey(options: argparse.Namespace) -> int:
    from pytest_httpconc.survey import run

    return run(options.clients, target=options.write, merge=options.merge)
