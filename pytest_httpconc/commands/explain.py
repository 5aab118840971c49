"""``httpconc explain``: the catalogue's page of a finding, wherever the plugin is installed."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Final

from pytest_httpconc.findings import CATALOGUE

__all__ = ["add_parser", "page", "run"]

_INSTALLED: Final = Path(__file__).parents[1] / "pages"  # where pyproject.toml has the wheel put docs/findings
_CHECKOUT: Final = Path(__file__).parents[2] / "docs" / "findings"
_COMMENT: Final = re.compile(r"^<!--.*?-->\n", re.DOTALL | re.MULTILINE)
_EXAMPLES: Final = """examples:
  httpconc explain HC201
  httpconc explain
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say how it is called."""
    parser = commands.add_parser(
        "explain",
        help="print the page of a finding: the smallest client that has it, the repair, and how it is seen",
        description="Prints the catalogue's page of a finding: the smallest client that has the bug, the repaired one, "
        "and how it is seen. Without a code, lists the codes.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("codes", nargs="*", type=_code, metavar="CODE", help="code of a finding, such as HC201")
    return parser


def _code(text: str) -> str:
    if text.upper() not in CATALOGUE:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not in the catalogue; allowed are {', '.join(CATALOGUE)}, as in httpconc explain HC201"
        )
    return text.upper()


def page(code: str) -> str:
    """The catalogue's page of a finding, in Markdown, without the comments that only its tests read."""
    folder = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
    return _COMMENT.sub("", (folder / f"{code}.md").read_text(encoding="utf-8"))


def run(options: argparse.Namespace) -> int:
    """Print the pages, or the codes where none is named."""
    if not options.codes:
        for code, rule in CATALOGUE.items():
            print(f"{code}  {rule.statement}")
        return 0
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    for text in map(page, options.codes):
        if console.is_terminal:
            console.print(Markdown(text, code_theme="ansi_dark"))
        else:
            print(text, end="")
    return 0
