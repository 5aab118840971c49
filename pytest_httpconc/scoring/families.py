"""The contract's tests by what they are about: the columns of the table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pytest_httpconc.contract import ClientContract

__all__ = ["FAMILIES", "family_of"]

_BY_CLASS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Connections": "connections",
        "StaleConnections": "stale",
        "Timeouts": "timeouts",
        "Concurrency": "concurrency",
    }
)
_BY_TEST: Final[Mapping[str, str]] = MappingProxyType(
    {
        "test_at_most_once": "at most once",
        "test_client_works_after": "recovery",
        "test_malformed_answer_is_refused": "malformed",
        "test_surplus_of_an_answer_reaches_no_other_call": "malformed",
        "test_redirected_call_runs_at_most_once": "redirects",
        "test_redirected_call_that_breaks_off_runs_at_most_once": "redirects",
        "test_no_retry_on": "statuses",
        "test_every_truncation": "truncations",
        "test_every_cancellation": "cancellations",
    }
)

#: In the order of the table's columns.
FAMILIES: Final = (
    "connections",
    "at most once",
    "recovery",
    "stale",
    "timeouts",
    "concurrency",
    "malformed",
    "redirects",
    "statuses",
    "truncations",
    "cancellations",
)


def family_of(test: str) -> str | None:
    """What a test, by its name without parameters, is about; None if it is none of the contract's."""
    owner = next((part.__name__ for part in ClientContract.__mro__ if test in vars(part)), "")
    return _BY_TEST.get(test) or _BY_CLASS.get(owner)
