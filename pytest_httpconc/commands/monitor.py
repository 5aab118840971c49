"""``httpconc monitor``: live connection states by port and process, and whether they leak."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pytest_httpconc.monitoring import Output
    from pytest_httpconc.monitoring.watch import Seen

__all__ = ["add_parser", "run"]

_EXAMPLES: Final = """examples:
  httpconc monitor 9527 9528                           two ports, until Ctrl-C
  httpconc monitor pid:4711 --interval 5               a process and its children
  httpconc monitor 9528 --duration 60 --fail-on-leak   a verdict after a minute
  httpconc monitor 9528 --json >> connections.jsonl

exit status: 0; with --fail-on-leak 1 where connections leak, and 3 where it was too early to tell; 2 a wrong argument
"""
_LONGEST: Final = 1_000_000  # seconds


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say how it is called."""
    parser = commands.add_parser(
        "monitor",
        help="show live connections by port and process, and whether they leak",
        description="Shows who holds TCP connections, in which state, and whether their number is level, fills up or "
        "leaks. A number is a port, unless nobody uses that and it is the id of a process.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("targets", nargs="+", metavar="PORT|PID", help="such as 9527, port:9527 or pid:4711")
    parser.add_argument("--interval", type=_seconds, default=1.0, metavar="SECONDS", help="between looks (default: 1)")
    parser.add_argument("--duration", type=_seconds, metavar="SECONDS", help="in all (default: until Ctrl-C)")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each target and look")
    parser.add_argument("--fail-on-leak", action="store_true", help="end with exit status 1 where connections leak")
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST:
        raise argparse.ArgumentTypeError(
            f"{text!r} are no seconds; allowed are numbers above 0 and up to {_LONGEST:,}, as in 0.5"
        )
    return seconds


def run(options: argparse.Namespace) -> int:
    """Monitor; see the exit status above."""
    from pytest_httpconc.monitoring import monitor, targets_of

    targets = targets_of(options.targets, note=_note)
    with _interrupted_by_termination(), _output(as_json=options.json) as output:
        seen = monitor(
            targets,
            output=output,
            interval=options.interval,
            duration=options.duration,
            note=_note,
        )
    return _status(seen) if options.fail_on_leak else 0


@contextmanager
def _output(*, as_json: bool) -> Iterator[Output]:
    from pytest_httpconc.monitoring.lines import JsonLines, Lines

    if as_json:
        yield JsonLines(_say, time.time)
    elif not sys.stdout.isatty():
        yield Lines(_say, lambda: time.strftime("%H:%M:%S"))
    else:
        from rich.console import Console

        from pytest_httpconc.monitoring.live import Tables

        with Tables(Console()) as tables:
            yield tables


def _say(line: str) -> None:
    print(line, flush=True)


def _note(line: str) -> None:
    print(f"httpconc monitor: {line}", file=sys.stderr, flush=True)


@contextmanager
def _interrupted_by_termination() -> Iterator[None]:
    """Have SIGTERM, as `timeout` and supervisors send it, end it as Ctrl-C does: with what was seen."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _status(seen: Sequence[Seen]) -> int:
    from pytest_httpconc.monitoring.trend import Trend

    trends = {one.verdict.trend for one in seen}
    return 1 if Trend.LEAK in trends else 3 if Trend.UNKNOWN in trends else 0
