"""Resends: after the request may have been executed (HC201), or on a status that was an answer (HC202).

Attempts are grouped by fingerprint: the same method, target and body, sent again after an attempt that was
not answered. RFC 9110, section 9.2.2: a client must not retry a request with a non-idempotent method on its
own, unless it knows that the first was not applied; on an attempt of which the server had any part, it can't.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from fake_servers.ledger import Exchange, Ledger, Outcome
from fake_servers.routing import Pattern
from pytest_httpconc.durations import duration
from pytest_httpconc.findings import Finding

__all__ = ["IDEMPOTENT", "find_resends"]

IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})
_RETRIED_BY_SOME: Final = frozenset({408, 409, 425, 429})


def find_resends(
    ledger: Ledger, *, on: str = "*", since: int = 0, retry_statuses: Collection[int] = ()
) -> list[Finding]:
    """Find requests that were sent again (HC201, HC202), one finding for each.

    Args:
        ledger: what the server recorded.
        on: which requests. Methods that are idempotent (RFC 9110, section 9.2.2) are judged only where
            ``on`` names the method.
        since: exchanges up to this number are not looked at.
        retry_statuses: statuses whose retry is meant to happen.
    """
    named = Pattern.parse(on).method is not None
    exchanges = [
        e for e in ledger.matching(on) if e.number > since and e.body_complete and (named or e.method not in IDEMPOTENT)
    ]
    found: list[Finding] = []
    for attempts in _by_fingerprint(exchanges):
        pairs = _pairs(attempts, retry_statuses)
        lost = [pair for pair in pairs if _was_lost(pair[0])]
        retried = [pair for pair in pairs if not _was_lost(pair[0])]
        if lost:
            found.append(_finding("HC201", attempts, lost, ledger))
        if retried:
            found.append(_finding("HC202", attempts, retried, ledger))
    return found


def _by_fingerprint(exchanges: Iterable[Exchange]) -> list[list[Exchange]]:
    groups: dict[str, list[Exchange]] = {}
    for exchange in exchanges:
        groups.setdefault(exchange.fingerprint, []).append(exchange)
    return [group for group in groups.values() if len(group) > 1]


def _pairs(attempts: list[Exchange], meant: Collection[int]) -> list[tuple[Exchange, Exchange]]:
    """Each attempt that failed, with the first that began once it had ended; equal calls may go on beside them."""
    failed = [e for e in attempts if e.ended_at is not None and (_was_lost(e) or _was_refused(e, meant))]
    pairs: list[tuple[Exchange, Exchange]] = []
    later = iter(attempts)
    for first in sorted(failed, key=_end):
        again = next((e for e in later if e is not first and e.begun_at >= _end(first)), None)
        if again is not None:
            pairs.append((first, again))
    return pairs


def _was_lost(exchange: Exchange) -> bool:
    """Whether it ended with no complete answer."""
    return exchange.outcome is not Outcome.ANSWERED


def _was_refused(exchange: Exchange, meant: Collection[int]) -> bool:
    if exchange.status is None or exchange.status in meant:
        return False
    return exchange.status >= 500 or exchange.status in _RETRIED_BY_SOME


def _end(exchange: Exchange) -> float:
    assert exchange.ended_at is not None, "only an exchange that ended has failed"
    return exchange.ended_at


def _finding(code: str, attempts: list[Exchange], pairs: list[tuple[Exchange, Exchange]], ledger: Ledger) -> Finding:
    first = attempts[0]
    executed = sum(e.executed_at is not None for e in attempts)
    evidence = [_first_line(first)]
    evidence += [_again_line(code, before, after) for before, after in pairs]
    involved = {e.connection for e in attempts}
    return Finding(
        code=code,
        summary=f"{first.route} was sent {_times(len(attempts))} and executed {_times(executed)}, "
        f"fingerprint {first.fingerprint}",
        evidence=evidence,
        connections=[c for c in ledger.connections if c.number in involved],
        exchanges=attempts,
    )


def _first_line(first: Exchange) -> str:
    return f"exchange {first.number} on connection {first.connection}: {_fate(first)}"


def _again_line(code: str, before: Exchange, after: Exchange) -> str:
    cause = "the fault" if before.fault is not None else "it ended"
    if code == "HC202":
        cause = f"the answer {before.status}"
    pause = duration(after.begun_at - _end(before))
    return (
        f"exchange {before.number} was sent again as exchange {after.number} on connection {after.connection}, "
        f"{pause} after {cause}: {_fate(after)}"
    )


def _fate(exchange: Exchange) -> str:
    """What became of an exchange, in words."""
    if exchange.outcome is Outcome.ANSWERED:
        how = "executed and answered" if exchange.executed_at is not None else "answered without execution,"
        return f"{how} {exchange.status}"
    reason = f" ({exchange.fault})" if exchange.fault is not None else ""
    return f"{exchange.progress}, then {exchange.outcome}{reason}"


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")
