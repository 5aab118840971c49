"""Resends: after the request may have been executed (HC201), or on a status that was an answer (HC202).

Attempts are grouped by fingerprint: the same method, target and body, sent again after an attempt that was
not answered. RFC 9110, section 9.2.2: a client must not retry a request with a non-idempotent method on its
own, unless it knows that the first was not applied; on an attempt of which the server had any part, it can't.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from fake_servers.faults import Malformed, WrongLength
from fake_servers.ledger import Exchange, Ledger, Outcome
from fake_servers.routing import Pattern
from pytest_httpconc.checks.attempts import Retry, by_fingerprint, retries
from pytest_httpconc.durations import duration
from pytest_httpconc.findings import Finding

__all__ = ["IDEMPOTENT", "count_resends", "find_resends"]

IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})
_UNREADABLE: Final = (Malformed, WrongLength)
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
    for attempts in by_fingerprint(exchanges):
        again = _again(attempts, retry_statuses)
        lost = [retry for retry in again if _was_lost(retry.failed)]
        retried = [retry for retry in again if not _was_lost(retry.failed)]
        if lost:
            found.append(_finding("HC201", attempts, lost, ledger))
        if retried:
            found.append(_finding("HC202", attempts, retried, ledger))
    return found


def count_resends(exchanges: Iterable[Exchange]) -> int:
    """How many requests followed an equal one that had failed, whatever their method.

    Calls that are equal can't be told from resends: where they go on, this is the most there may have been.
    """
    return sum(len(_again(attempts, ())) for attempts in by_fingerprint(exchanges))


def _again(attempts: Sequence[Exchange], meant: Collection[int]) -> list[Retry]:
    return retries(attempts, lambda e: _was_lost(e) or _was_refused(e, meant))


def _was_lost(exchange: Exchange) -> bool:
    """Whether it ended with no complete answer, or with one that a client can't read."""
    return exchange.outcome is not Outcome.ANSWERED or isinstance(exchange.fault, _UNREADABLE)


def _was_refused(exchange: Exchange, meant: Collection[int]) -> bool:
    if exchange.status is None or exchange.status in meant:
        return False
    return exchange.status >= 500 or exchange.status in _RETRIED_BY_SOME


def _finding(code: str, attempts: list[Exchange], again: list[Retry], ledger: Ledger) -> Finding:
    first = attempts[0]
    executed = sum(e.executed_at is not None for e in attempts)
    evidence = [_first_line(first)]
    evidence += [_again_line(code, retry) for retry in again]
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


def _again_line(code: str, retry: Retry) -> str:
    before, after = retry
    cause = "the fault" if before.fault is not None else "it ended"
    if code == "HC202":
        cause = f"the answer {before.status}"
    return (
        f"exchange {before.number} was sent again as exchange {after.number} on connection {after.connection}, "
        f"{duration(retry.pause)} after {cause}: {_fate(after)}"
    )


def _fate(exchange: Exchange) -> str:
    """What became of an exchange, in words."""
    if exchange.outcome is Outcome.ANSWERED:
        how = "executed and answered" if exchange.executed_at is not None else "answered without execution,"
        unreadable = f", unreadably ({exchange.fault})" if isinstance(exchange.fault, _UNREADABLE) else ""
        return f"{how} {exchange.status}{unreadable}"
    reason = f" ({exchange.fault})" if exchange.fault is not None else ""
    return f"{exchange.progress}, then {exchange.outcome}{reason}"


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")
