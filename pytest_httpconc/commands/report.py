"""``httpconc report``: reports that runs have left as JSON, as text or as one page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from pytest_httpconc.commands.readings import target_file

__all__ = ["add_parser", "run"]

_EXAMPLES: Final = """examples:
  httpconc report report.json                             what was found, as text
  httpconc report unit.json e2e.json --page report.html   several runs as one page

exit status: 0, whatever was found; 2 a file that is no report, or can't be written
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say how it is called."""
    parser = commands.add_parser(
        "report",
        help="show reports of --httpconc-report=FILE.json, as text or as one page",
        description="Shows what runs of pytest --httpconc-report=FILE.json have left: the tests that failed or in "
        "which something was found, as text; or everything, of several runs too, as one page.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a report as JSON")
    parser.add_argument("--page", type=target_file, metavar="FILE", help="write them as one page, such as report.html")
    return parser


def run(options: argparse.Namespace) -> int:
    """Show them."""
    from pytest_httpconc.report.html import render_page
    from pytest_httpconc.report.model import Report
    from pytest_httpconc.report.terminal import render_report

    reports = [Report.from_json(path.read_bytes(), name=str(path)) for path in options.files]
    if len(reports) > 1:
        reports = [one.from_file(path.name) for one, path in zip(reports, options.files, strict=True)]
    report = Report.joined(reports)
    if options.page is None:
        print(render_report(report))
    else:
        options.page.write_text(render_page(report), encoding="utf-8")
        print(f"{len(report.tests)} tests: {options.page}")
    return 0
