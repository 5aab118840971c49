"""Attempts at one call, as far as a server can tell: equal requests, each begun once another had failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from fake_servers.ledger import Exchange

__all__ = ["Retry", "by_fingerprint", "end_of", "retries"]


class Retry(NamedTuple):
    """An attempt that failed, and the one that came after it."""

    failed: Exchange
    again: Exchange

    @property
    def pause(self) -> float:
        """Seconds from the end of the first to the begin of the second."""
        return self.again.begun_at - end_of(self.failed)


def by_fingerprint(exchanges: Iterable[Exchange]) -> list[list[Exchange]]:
    """The exchanges whose method, target and body were sent more than once, those that are alike together."""
    groups: dict[str, list[Exchange]] = {}
    for exchange in exchanges:
        groups.setdefault(exchange.fingerprint, []).append(exchange)
    return [group for group in groups.values() if len(group) > 1]


def retries(attempts: Sequence[Exchange], has_failed: Callable[[Exchange], bool], *, calls: int = 1) -> list[Retry]:
    """Each attempt that failed, with the first that began once it had ended; equal calls may go on beside them.

    Args:
        attempts: in order of their begin.
        has_failed: says of one that is over whether it failed.
        calls: how many equal calls are taken to take turns: an attempt is followed by the one so many places later.
    """
    places = {e.number: place for place, e in enumerate(attempts)}
    failed = [e for e in attempts if e.ended_at is not None and has_failed(e)]
    found: list[Retry] = []
    later = iter(attempts)
    for first in sorted(failed, key=end_of):
        earliest = places[first.number] + calls
        again = next((e for e in later if places[e.number] >= earliest and e.begun_at >= end_of(first)), None)
        if again is not None:
            found.append(Retry(first, again))
    return found


def end_of(exchange: Exchange) -> float:
    """When an exchange that is over ended."""
    assert exchange.ended_at is not None, "only an exchange that ended has failed"
    return exchange.ended_at
