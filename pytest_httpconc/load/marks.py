"""How a request under load says whose it is: by its nonce, in body or target, and so without a header of our own."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Final
from uuid import uuid4

from fake_servers.records import Exchange

__all__ = ["Mark", "clients_of", "is_marked"]

_MARK: Final = re.compile(rb"load-(\w+?)-([0-9a-f]{12})-\d+")


class Mark:
    """The nonces of one client's calls, unlike those of any other on any machine.

    Args:
        user: the name of the user class whose client it is.
    """

    def __init__(self, user: str) -> None:
        self._prefix = f"load-{user}-{uuid4().hex[:12]}"
        self._numbers = itertools.count(1)

    def next(self) -> str:
        """The nonce of the next call."""
        return f"{self._prefix}-{next(self._numbers):06d}"


def clients_of(user: str, exchanges: Iterable[Exchange]) -> dict[str, list[Exchange]]:
    """The exchanges of each client of a user class; those that show no mark, or another's, are in none."""
    found: dict[str, list[Exchange]] = {}
    for exchange in exchanges:
        mark = _mark_in(exchange)
        if mark is not None and mark[1].decode() == user:
            found.setdefault(mark[2].decode(), []).append(exchange)
    return found


def is_marked(exchange: Exchange) -> bool:
    """Whether it shows a nonce of any client's."""
    return _mark_in(exchange) is not None


def _mark_in(exchange: Exchange) -> re.Match[bytes] | None:
    return _MARK.search(exchange.body) or _MARK.search(exchange.target.encode())
