"""The page as text, and what its browser may do: see `pytest_httpconc.report.html`, whose parts it has."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from string import Template
from typing import Any, Final

from fake_servers import faults
from pytest_httpconc.dashboard.feed import COLUMNS, MOST
from pytest_httpconc.report.html import SHARED_SCRIPTS, STYLE, digest_source, escape_json, read_assets

__all__ = ["render"]

_SCRIPTS: Final = ("live.js", "controls.js", "dashboard.js")


def render(servers: Sequence[dict[str, Any]], *, token: str) -> tuple[str, str]:
    """The page, and its content security policy: its own script and style, and news from where it came from alone.

    Args:
        servers: what it needs to know of each from the start.
        token: which it shows when it changes something.
    """
    style = read_assets(STYLE) + _own("dashboard.css")
    script = "\n".join([read_assets(*SHARED_SCRIPTS), *map(_own, _SCRIPTS)])
    data = {
        "token": token,
        "servers": list(servers),
        "columns": COLUMNS,
        "most": MOST,
        "faults": [name for name in faults.__all__ if name not in {"Fault", "Moment"}],
    }
    page = Template(_own("dashboard.html")).substitute(
        style=style, script=script, keys=read_assets("keys.html"), data=escape_json(json.dumps(data))
    )
    policy = (
        f"default-src 'none'; style-src {digest_source(style)}; script-src {digest_source(script)}; img-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, policy


def _own(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8")
