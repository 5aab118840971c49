"""The ``httpconc`` command: reads what is wanted, and leaves it to a module of `pytest_httpconc.commands`."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from fake_servers.errors import FakeServerError, ScenarioError
from pytest_httpconc import __version__
from pytest_httpconc.commands import COMMANDS

__all__ = ["main", "make_parser"]

_EXAMPLES: Final = """examples:
  httpconc demo
  httpconc serve docker --fault 'Disconnect(at=EXECUTED)' --on 'POST /execute' --times 1
  httpconc replay .httpconc/tests.test_orders.test_order.json

httpconc COMMAND --help has more of each.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status.

    It is 0 for success, 1 where something was not as it should be, 2 for a wrong argument or what can't be done, and
    130 after Ctrl-C; some commands have more.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may have fewer letters than what is told
    parser = make_parser()
    options = _parsed(parser, sys.argv[1:] if arguments is None else arguments)
    if options.command is None:
        parser.print_help()
        return 0
    try:
        status = int(options.run(options))
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever read has had enough, as in `httpconc survey | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        _end(options, "interrupted", status=128 + signal.SIGINT)
    except OSError as error:
        _end(options, f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except (ScenarioError, FakeServerError) as error:
        _end(options, str(error))


def _parsed(parser: argparse.ArgumentParser, given: Sequence[str]) -> argparse.Namespace:
    """What was given; where a command runs another, that is what follows ``--``, and argparse must not look for it."""
    if "--" not in given or given[0] not in parser.get_default("runners"):
        return parser.parse_args(given)
    place = given.index("--")
    options = parser.parse_args(given[:place])
    options.to_run = list(given[place + 1 :])
    return options


def _end(options: argparse.Namespace, problem: str, *, status: int = 2) -> NoReturn:
    """End with one line that says why."""
    sys.stderr.write(f"httpconc {options.command}: {' '.join(problem.split())}\n")
    sys.exit(status)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, those of subcommands too."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser: argparse.ArgumentParser = _Parser(
        prog="httpconc",
        description="Catches HTTP concurrency bugs: leaks, resends, serial async code.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"pytest-httpconc {__version__}")
    parser.set_defaults(parser=parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands).set_defaults(run=command.run)
    runners = [name for name, each in commands.choices.items() if each.get_default("to_run") is not None]
    parser.set_defaults(runners=runners)
    return parser
