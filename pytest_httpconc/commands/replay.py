"""``httpconc replay``: what a failing test has recorded, served again."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_httpconc.recordings.serving import Port

__all__ = ["add_parser", "run"]

_EXAMPLES = """examples:
  httpconc replay .httpconc/tests.test_orders.test_order.json
  httpconc replay --port same FILE
  httpconc replay FILE -- pytest tests/test_orders.py::test_order --pdb
  httpconc replay FILE -- sh -c 'curl -v "$HTTPCONC_URL/orders"'
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say how it is called."""
    parser = commands.add_parser(
        "replay",
        help="serve again what a failing test has recorded, or run a command against it",
        description="Serves what a failing test has recorded in .httpconc/, until Ctrl-C, and prints the exchanges as "
        "they come; with a command, runs that against it and ends with its exit status.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the recording")
    parser.add_argument(
        "--port", type=_port, default=0, help="1 to 65535, or same for the recorded one (default: any that is free)"
    )
    parser.add_argument("arguments", nargs="*", metavar="-- COMMAND", help="what to run, and its arguments")
    return parser


def _port(text: str) -> Port:
    if text == "same":
        return "same"
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; allowed are 1 to 65535 and same, as in --port 8080")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Serve or run it; 2 where that can't be done, in one line."""
    from fake_servers import FakeServerError, ScenarioError
    from pytest_httpconc.recordings.serving import run_command, serve

    try:
        if options.arguments:
            return run_command(options.file, options.arguments, port=options.port)
        serve(options.file, port=options.port, say=lambda line: print(line, flush=True))
    except (ScenarioError, FakeServerError) as error:
        print(f"httpconc replay: {error}", file=sys.stderr)
        return 2
    return 0
