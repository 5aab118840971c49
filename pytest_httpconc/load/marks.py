"""How a request under load says whose it is: by its nonce, in body or target, and so without a header of our own."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable
from typing import Final
from uuid import uuid4

from fake_servers.records import Exchange

__all__ = ["Mark", "clients_of", "is_marked"]

_DIGITS: Final = 12
_MARK: Final = re.compile(rb"load-([0-9a-f]{%d})-([0-9a-f]{%d})-\d+" % (_DIGITS, _DIGITS))


class Mark:
    """The nonces of one client's calls, unlike those of any other on any machine.

    Args:
        user: the name of the user class whose client it is.
    """

    def __init__(self, user: str) -> None:
        self._prefix = f"load-{_digest(user)}-{uuid4().hex[:_DIGITS]}"
        self._numbers = itertools.count(1)

    def next(self) -> str:
        """The nonce of the next call."""
        return f"{self._prefix}-{next(self._numbers):06d}"


def clients_of(user: str, exchanges: Iterable[Exchange]) -> dict[str, list[Exchange]]:
    """The exchanges of each client of a user class; those that show no mark, or another's, are in none."""
    found: dict[str, list[Exchange]] = {}
    wanted = _digest(user)
    for exchange in exchanges:
        mark = _mark_in(exchange)
        if mark is not None and mark[1].decode() == wanted:
            found.setdefault(mark[2].decode(), []).append(exchange)
    return found


def is_marked(exchange: Exchange) -> bool:
    """Whether it shows a nonce of any client's."""
    return _mark_in(exchange) is not None


def _digest(user: str) -> str:
    """A class's name may have letters that bodies and targets write in several ways."""
    return hashlib.sha256(user.encode()).hexdigest()[:_DIGITS]


def _mark_in(exchange: Exchange) -> re.Match[bytes] | None:
    return _MARK.search(exchange.body) or _MARK.search(exchange.target.encode("utf-8", "surrogateescape"))
