"""``httpconc replay``: what a failing test has recorded, served again."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_httpconc.commands.readings import port
from pytest_httpconc.commands.showing import add_showing, show

if TYPE_CHECKING:
    from fake_servers import FakeServer
    from pytest_httpconc.recordings.forms import Recording
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
        usage="httpconc replay [-h] FILE [--port PORT] [--json] [--dashboard [[ADDRESS:]PORT]] [-- COMMAND ...]",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the recording")
    parser.add_argument(
        "--port", type=_port, default=0, help="1 to 65535, or same for the recorded one (default: any that is free)"
    )
    add_showing(parser)
    parser.set_defaults(to_run=[])
    return parser


def _port(text: str) -> Port:
    if text == "same":
        return "same"
    chosen = port(text) if text.isdigit() else 0
    if not chosen:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; allowed are 1 to 65535 and same, as in --port 8080")
    return chosen


def run(options: argparse.Namespace) -> int:
    """Serve or run it; 2 where that can't be done, in one line."""
    from fake_servers import ScenarioError
    from pytest_httpconc.recordings.forms import load
    from pytest_httpconc.recordings.serving import run_command, started

    if options.to_run:
        if options.json or options.dashboard is not None:
            raise ScenarioError(
                "--json and --dashboard show what is served by hand; leave them out where a command runs"
            )
        return run_command(options.file, options.to_run, port=options.port)
    recording = load(options.file)
    with started(recording, port=options.port) as servers:
        return show(servers, options, header=_header(recording, servers))


def _header(recording: Recording, servers: Sequence[FakeServer]) -> list[str]:
    lines = [f"{recording.test}: {recording.failure}"]
    for server, recorded in zip(servers, recording.servers, strict=True):
        lines.append(f"{recorded.kind} at {server.url} (recorded at {recorded.url})")
        lines += [f"  note: {note}" for note in recorded.notes]
    return lines
