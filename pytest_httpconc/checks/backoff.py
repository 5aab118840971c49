"""Retries that come too soon (HC203): before Retry-After has passed, without a pause, or with the same pause each time.

Retry-After: RFC 9110, section 10.2.3. Only its form in seconds is judged; a date in it means the clock of a wall,
which a ledger doesn't have.

Many clients that come back at one instant are a storm. A server that sends the same Retry-After to all has asked for
it, so that is no finding by itself, and told where there is one; `at_most_together` makes it one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from fake_servers.ledger import Exchange, Ledger, Outcome
from pytest_httpconc.checks.attempts import Retry, by_fingerprint, retries
from pytest_httpconc.durations import duration
from pytest_httpconc.findings import Finding

__all__ = ["STORM_WINDOW", "find_hasty_retries"]

STORM_WINDOW: Final = 0.1  # seconds within which retries come together
_RATE_LIMITED: Final = 429
_UNAVAILABLE: Final = 503
_CLOCK: Final = 0.001  # seconds by which two clocks may differ over a pause
_ALIKE: Final = 0.05  # pauses that differ by less than this part of the longest did not grow
_ENOUGH: Final = 3  # pauses, before it is said that they don't grow: jitter makes two alike by chance


def find_hasty_retries(
    ledger: Ledger, *, on: str = "*", since: int = 0, at_least: float = 0.1, at_most_together: int | None = None
) -> list[Finding]:
    """Find requests that were sent again too soon after a 429 or 503 (HC203), one finding for each.

    After Retry-After, a retry is too soon before its seconds have passed. Without it, when it comes within
    ``at_least`` seconds; and after 429, when the pauses of four attempts or more are all alike.

    Args:
        ledger: what the server recorded.
        on: which requests.
        since: exchanges up to this number are not looked at.
        at_least: seconds of the shortest pause, 0 or more.
        at_most_together: how many retries may begin within 0.1 s of each other; any number when omitted.
    """
    exchanges = [e for e in ledger.matching(on) if e.number > since and e.body_complete]
    runs = [run for attempts in _by_call(exchanges) for run in _runs(_retries(attempts))]
    again = sorted((retry for run in runs for retry in run), key=_begin)
    found = [
        _finding(ledger, run, [*reasons, *_company(again, run)]) for run in runs if (reasons := _reasons(run, at_least))
    ]
    return found + _storms(ledger, again, at_most_together)


def _retries(attempts: Sequence[Exchange]) -> list[Retry]:
    """What was sent again, in the way that is kindest to the client where calls are equal.

    Each call ends with one answer, so as many as were not refused were made, and are taken to take turns. A date in
    Retry-After is of the wall's clock, and a pause after it is not judged.
    """
    calls = sum(not _was_refused(e) for e in attempts)
    return [r for r in retries(attempts, _was_refused, calls=max(1, calls)) if not _names_a_date(r.failed)]


def _was_refused(exchange: Exchange) -> bool:
    return exchange.outcome is Outcome.ANSWERED and exchange.status in (_RATE_LIMITED, _UNAVAILABLE)


def _by_call(exchanges: Iterable[Exchange]) -> Iterable[list[Exchange]]:
    """Attempts that are alike, those with different idempotency keys apart: the client says that they are two calls."""
    for attempts in by_fingerprint(exchanges):
        calls: dict[str | None, list[Exchange]] = {}
        for attempt in attempts:
            calls.setdefault(attempt.headers.get("Idempotency-Key"), []).append(attempt)
        yield from calls.values()


def _runs(found: Iterable[Retry]) -> list[list[Retry]]:
    """Retries that follow each other, those of one call after another apart."""
    runs: list[list[Retry]] = []
    for retry in found:
        if runs and runs[-1][-1].again is retry.failed:
            runs[-1].append(retry)
        else:
            runs.append([retry])
    return runs


def _reasons(run: Sequence[Retry], at_least: float) -> list[str]:
    """What is wrong with the pauses of one call, a line each."""
    reasons = [reason for retry in run if (reason := _too_soon(retry, at_least))]
    unbidden = [r.pause for r in run if r.failed.status == _RATE_LIMITED and _retry_after(r.failed) is None]
    longest = max(unbidden, default=0.0)
    if not reasons and len(unbidden) >= _ENOUGH and longest - min(unbidden) <= _ALIKE * longest:
        pauses = ", ".join(map(duration, unbidden))
        reasons.append(f"the pauses do not grow, though each 429 says that they were too short: {pauses}")
    return reasons


def _too_soon(retry: Retry, at_least: float) -> str | None:
    asked = _retry_after(retry.failed)
    if retry.pause >= (at_least if asked is None else asked) - _CLOCK:
        return None
    wanted = "and no Retry-After" if asked is None else f"and Retry-After: {asked:g}"
    return (
        f"exchange {retry.failed.number} was answered {retry.failed.status} {wanted}; "
        f"it was sent again as exchange {retry.again.number}, {duration(retry.pause)} later"
    )


def _retry_after(exchange: Exchange) -> float | None:
    text = exchange.response_headers.get("Retry-After", "").strip()
    return float(text) if text.isascii() and text.isdecimal() else None


def _names_a_date(exchange: Exchange) -> bool:
    return "Retry-After" in exchange.response_headers and _retry_after(exchange) is None


def _begin(retry: Retry) -> float:
    return retry.again.begun_at


def _company(again: Sequence[Retry], run: Sequence[Retry]) -> list[str]:
    """Tell how many retries of other calls came together with one of these."""
    most = max(sum(abs(_begin(other) - _begin(own)) <= STORM_WINDOW for other in again) for own in run)
    return [f"{most} retries came within {duration(STORM_WINDOW)} of each other"] if most > len(run) else []


def _storms(ledger: Ledger, again: Sequence[Retry], at_most: int | None) -> list[Finding]:
    """The largest number of retries that came together, where that is more than there may be."""
    if at_most is None:
        return []
    together: list[Retry] = []
    begin = 0
    for end, last in enumerate(again, 1):
        while _begin(last) - _begin(again[begin]) > STORM_WINDOW:
            begin += 1
        if end - begin > len(together):
            together = list(again[begin:end])
    if len(together) <= at_most:
        return []
    line = f"{len(together)} retries began within {duration(STORM_WINDOW)} of each other, {at_most} may: spread them"
    return [_finding(ledger, together, [line])]


def _finding(ledger: Ledger, run: Sequence[Retry], evidence: Sequence[str]) -> Finding:
    involved = {e.number: e for retry in run for e in retry}
    connections = {e.connection for e in involved.values()}
    statuses = sorted({str(retry.failed.status) for retry in run})
    return Finding(
        code="HC203",
        summary=f"{run[0].failed.route} was sent {len(involved)} times, on {' and '.join(statuses)}",
        evidence=evidence,
        connections=[c for c in ledger.connections if c.number in connections],
        exchanges=[involved[number] for number in sorted(involved)],
    )
