"""``httpconc compare``: two revisions of a package, their rounds in turns at one server."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final, NoReturn

from pytest_httpconc.commands.readings import target_file

if TYPE_CHECKING:
    from pytest_httpconc.bench.revisions.comparing import Compared

__all__ = ["add_parser", "run"]

_EXAMPLES: Final = """examples:
  httpconc compare origin/main                         the working tree beside main
  httpconc compare v1.2 v1.3 --extra test
  httpconc compare HEAD --benchmarks benchmarks/ --with 'trustme>=1.2'

exit status: 0 nothing is worse; 1 something is, or a benchmark fails; 20 no git repository; 21 no such revision;
22 a revision can't be built; 23 no benchmarks; 24 something else went wrong; 130 Ctrl-C
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say how it is called."""
    parser = commands.add_parser(
        "compare",
        help="build two revisions of the package here, and measure their benchmarks beside each other",
        description="Builds two revisions of the package in this folder, each in an environment of its own, and runs "
        "the later one's benchmarks in both, their rounds in turns at one server. The repository stays as it is.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("base", metavar="BASE", help="the earlier revision, such as origin/main")
    parser.add_argument("head", metavar="HEAD", nargs="?", help="the later one (default: the working tree as it is)")
    parser.add_argument(
        "--benchmarks",
        metavar="PATH",
        nargs="+",
        default=[],
        help="files and folders of benchmarks (default: what pytest --benchmark collects)",
    )
    parser.add_argument("--extra", action="append", default=[], help="an extra of the package to install as well")
    parser.add_argument(
        "--with", dest="requirements", action="append", default=[], metavar="REQUIREMENT", help="something else as well"
    )
    parser.add_argument(
        "--inherit",
        action="store_true",
        help="have the environments see the packages of this one, and install the package alone: quick, where the "
        "dependencies of both revisions are the same",
    )
    parser.add_argument("--json", type=target_file, metavar="FILE", help="write all figures as JSON")
    return parser


def run(options: argparse.Namespace) -> int:
    """Compare, print and write; see the exit status above."""
    if find_spec("scipy") is None:
        print("httpconc compare needs scipy; install it by pip install 'pytest-httpconc[bench]'", file=sys.stderr)
        return 24
    from pytest_httpconc.bench.revisions.comparing import Comparing
    from pytest_httpconc.bench.revisions.environments import Needs
    from pytest_httpconc.bench.revisions.errors import CompareError

    needs = Needs(extras=tuple(options.extra), requirements=tuple(options.requirements), inherit=options.inherit)
    comparing = Comparing(
        folder=Path.cwd(),
        base=options.base,
        head=options.head,
        paths=tuple(options.benchmarks),
        needs=needs,
        say=lambda line: print(f"httpconc compare: {line}", file=sys.stderr, flush=True),
    )
    try:
        with _ending_by_signals():
            compared = comparing.run()
    except CompareError as error:
        print(f"httpconc compare: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("httpconc compare: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    _write(compared, options.json)
    if not compared.has_compared and not compared.is_worse:
        print(f"httpconc compare: nothing was compared, as {options.base} measured none of it", file=sys.stderr)
        return 23
    return 1 if compared.is_worse else 0


@contextmanager
def _ending_by_signals() -> Iterator[None]:
    """Have what ends a process leave every block on the way, as Ctrl-C does."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _write(compared: Compared, path: Path | None) -> None:
    """Everything that the gate writes too."""
    from pytest_httpconc.bench import ci, tables
    from pytest_httpconc.bench.verdicts import Verdict

    print("\n".join([*tables.as_text(compared.results), *tables.notes(compared.results), *compared.failures]))
    for result in compared.results:
        if result.verdict is Verdict.WORSE:
            print(f"{result.name}:\n{tables.describe(result)}")
    if path is not None:
        path.write_text(ci.as_json(compared.results), encoding="utf-8")
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        ci.append_summary(compared.results, Path(summary))
    if os.environ.get("GITHUB_ACTIONS"):
        print("\n".join(ci.regressions_on_lines(compared.results, compared.project)))
