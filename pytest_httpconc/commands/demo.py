"""``httpconc demo``: the plugin at work on the clients that ship with it."""

from __future__ import annotations

import argparse

__all__ = ["add_parser", "run"]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say how it is called."""
    parser = commands.add_parser(
        "demo",
        help="run the repaired and the wrong clients through the plugin, and print what it makes of them",
        description="Runs the remote-docker client and the wrong ones that it replaced through the plugin, each in "
        "the same tests, and prints what was caught and what was cleared.",
        epilog="example:\n  httpconc demo --verbose",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="print every finding in full")
    return parser


def run(options: argparse.Namespace) -> int:
    """Run it; 0 where every verdict is right, 1 where one is not."""
    from pytest_httpconc.demo import run as run_demo

    return run_demo(verbose=options.verbose)
