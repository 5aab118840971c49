"""The ``httpconc`` command: reads what is wanted, and leaves it to a module of `pytest_httpconc.commands`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from fake_servers.errors import ScenarioError
from pytest_httpconc import __version__
from pytest_httpconc.commands import COMMANDS

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0 for success, 1 where something was not as it should be."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except ScenarioError as error:
        parser.error(str(error))


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, those of subcommands too."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    description = "Catches HTTP concurrency bugs: leaks, resends, serial async code."
    parser: argparse.ArgumentParser = _Parser(prog="httpconc", description=description)
    parser.add_argument("--version", action="version", version=f"pytest-httpconc {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands).set_defaults(run=command.run)
    return parser
