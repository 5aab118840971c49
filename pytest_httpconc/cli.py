"""The ``httpconc`` command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pytest_httpconc import __version__

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0 for success, 1 where something was not as it should be."""
    options = _parser().parse_args(arguments)
    from pytest_httpconc.demo import run

    return run(verbose=options.verbose)


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
    return parser
