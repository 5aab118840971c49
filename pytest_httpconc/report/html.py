"""A report as one page that needs nothing but itself.

What comes from tests is data: it stands in the page as JSON in which no ``<`` occurs, and the script makes text of it.
A content security policy allows this page's own script and style, by their digests, and no network at all.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template
from typing import Final

from pytest_httpconc.report.model import Report

__all__ = ["SHARED_SCRIPTS", "STYLE", "digest_source", "escape_json", "read_assets", "render_page"]

#: What shows a server, in the order in which they build on each other: a live page needs them as well.
SHARED_SCRIPTS: Final = (
    "page.js",
    "theme.js",
    "bars.js",
    "drawing.js",
    "hands.js",
    "lanes.js",
    "table.js",
    "plots.js",
    "panel.js",
    "findings.js",
)
STYLE: Final = "report.css"
_SCRIPTS: Final = (*SHARED_SCRIPTS, "paper.js", "report.js")
_UNSAFE: Final = str.maketrans({"<": r"\u003c", ">": r"\u003e", "&": r"\u0026"})


def render_page(report: Report) -> str:
    """The report as HTML.

    Args:
        report: what it shows; none of its texts can become markup or script.
    """
    style, script = read_assets(STYLE), read_assets(*_SCRIPTS)
    own = f"style-src {digest_source(style)}; script-src {digest_source(script)}"
    return Template(read_assets("report.html")).substitute(
        title=escape(report.title),
        style=style,
        script=script,
        keys=read_assets("keys.html"),
        data=escape_json(report.as_json()),
        policy=f"default-src 'none'; {own}; img-src data:",
    )


def read_assets(*names: str) -> str:
    """The text of files of this package's ``assets``, one after the other."""
    folder = files(__package__) / "assets"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


def escape_json(text: str) -> str:
    """JSON in which no markup can begin or end, for a place in a page."""
    return text.translate(_UNSAFE)


def digest_source(source: str) -> str:
    """A source expression that allows just this: Content Security Policy Level 3, section 2.3.1."""
    return f"'sha256-{b64encode(sha256(source.encode()).digest()).decode()}'"
