"""pytest-httpconc: catches HTTP concurrency bugs before they merge."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_httpconc.assertions import HttpConc
    from pytest_httpconc.findings import CheckFailed, Finding, HttpConcWarning

__version__ = "0.1.0"
__all__ = ["CheckFailed", "Finding", "HttpConc", "HttpConcWarning"]

_HOMES = {
    "CheckFailed": "pytest_httpconc.findings",
    "Finding": "pytest_httpconc.findings",
    "HttpConc": "pytest_httpconc.assertions",
    "HttpConcWarning": "pytest_httpconc.findings",
}


def __getattr__(name: str) -> object:
    # pytest imports this package in every run: what it offers is imported when it is asked for.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
