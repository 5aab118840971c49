"""Concurrency: one call at a time (HC401), the loop blocked (HC402), fewer than asked (HC403), speedup (HC404)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from fake_servers.ledger import Connection, Exchange, Ledger
from fake_servers.rendezvous import Rendezvous
from pytest_httpconc.findings import Finding

__all__ = ["find_blocking", "find_low_concurrency", "find_low_speedup"]


BlockedAt = Callable[[Connection], "str | None"]


def find_low_concurrency(
    ledger: Ledger,
    *,
    at_least: int,
    on: str = "*",
    holds: Iterable[Rendezvous] = (),
    blocked_at: BlockedAt | None = None,
) -> list[Finding]:
    """Find calls that ran one at a time (HC401), or fewer together than asked (HC403), and what held them up.

    Args:
        ledger: what the server recorded.
        at_least: how many exchanges should have been in flight together.
        on: which requests.
        holds: the server's rendezvous, which say how many were waited for.
        blocked_at: says of a connection where its blocking socket was opened inside a running event loop, if
            it was (HC402).
    """
    peak = ledger.peak(on)
    if peak >= at_least:
        return []
    exchanges = ledger.matching(on)
    evidence = [f"{len(exchanges)} requests to {on} arrived, never more than {peak} of them in flight together"]
    evidence += [
        f"the rendezvous at {hold.pattern.text} gave up after {hold.give_up:g} s with "
        f"{hold.most_together} of {hold.until_in_flight}"
        for hold in holds
        if hold.gave_up
    ]
    if len(exchanges) < at_least:
        evidence.append(f"the test itself made only {len(exchanges)} of the {at_least} calls that this asks for")
    blocked = find_blocking(ledger, on=on, blocked_at=blocked_at)
    if len(exchanges) >= at_least:
        evidence.append(f"cause: {_cause(ledger, exchanges, peak, loop_blocked=bool(blocked))}")
    return [
        Finding(
            code="HC401" if peak <= 1 else "HC403",
            summary=f"{peak} of {at_least} were in flight together at the most",
            evidence=evidence,
            connections=ledger.connections,
            exchanges=exchanges,
        ),
        *blocked,
    ]


def find_blocking(ledger: Ledger, *, on: str = "*", blocked_at: BlockedAt | None) -> list[Finding]:
    """Find blocking sockets that were used inside a running event loop (HC402).

    Args:
        ledger: what the server recorded.
        on: which requests.
        blocked_at: as for `find_low_concurrency`; without it, nothing is found.
    """
    exchanges = ledger.matching(on)
    used = {e.connection for e in exchanges}
    connections = [c for c in ledger.connections if c.number in used]
    places = {c.number: blocked_at(c) for c in connections} if blocked_at is not None else {}
    blocking = [c for c in connections if places.get(c.number)]
    if not blocking:
        return []
    return [
        Finding(
            code="HC402",
            summary=f"{len(blocking)} of {len(connections)} connections have a socket that blocks",
            evidence=[f"connection {c.number}: {places[c.number]}" for c in blocking],
            connections=blocking,
            exchanges=[e for e in exchanges if places.get(e.connection)],
        )
    ]


def _cause(ledger: Ledger, exchanges: Sequence[Exchange], peak: int, *, loop_blocked: bool) -> str:
    """What held the calls up, as far as the evidence decides."""
    if loop_blocked:
        return "the event loop stood still, as a blocking socket was used inside it (HC402)"
    connections = [c for c in ledger.connections if c.number in {e.connection for e in exchanges}]
    together = _most_open(connections)
    reused = any(e.sequence > 1 for e in exchanges)
    if reused and together > peak:
        return (
            f"a lock, a semaphore or the order of the calls: {together} connections were open together, so the pool "
            "had room for more"
        )
    if peak > 1 and reused and len(connections) == peak:
        return (
            f"a limit of {peak}, of the pool or of the workers that call: all requests came on {peak} connections, "
            "none of which was ever idle while others waited to be opened"
        )
    if peak > 1:
        return f"a limit of {peak} in the test or the client, such as workers or a semaphore: no connection was reused"
    if reused:
        return "not decided: a pool of one connection and calls made one after the other look alike from here"
    return "calls were made one after the other: each opened its connection when the one before was done with"


def _most_open(connections: Iterable[Connection]) -> int:
    steps = [(c.opened_at, 1) for c in connections] + [
        (c.closed_at, -1) for c in connections if c.closed_at is not None
    ]
    together = most = 0
    for _, step in sorted(steps):
        together += step
        most = max(most, together)
    return most


def find_low_speedup(ledger: Ledger, *, at_least: float, on: str = "*", overhead: float = 0.005) -> list[Finding]:
    """Find a speedup, sum of service times divided by makespan, below the required (HC404).

    Args:
        ledger: what the server recorded.
        at_least: the required speedup.
        on: which requests.
        overhead: seconds a call that a client is taken to need for itself; where the mean service time is
            less than ten times as much, the finding says that the figure means little.
    """
    speedup = ledger.speedup(on)
    if speedup >= at_least:
        return []
    exchanges = ledger.matching(on)
    answered = sum(e.service_time is not None for e in exchanges)
    total = ledger.service_time(on)
    evidence = [
        f"{answered} responses took {total:.3f} s in all, served within {ledger.makespan(on):.3f} s",
        f"{ledger.peak(on)} were in flight together at the most",
    ]
    waited = [e.waited for e in exchanges if e.waited]
    if waited:
        evidence.append(
            f"{len(waited)} requests waited for a slot of the server's own, {max(waited):.3f} s at the most: its "
            "capacity was a limit as well"
        )
    if answered and total / answered < 10 * overhead:
        evidence.append(
            f"the mean service time of {total / answered * 1000:.1f} ms hardly exceeds a client's own overhead, so "
            "this figure means little: inject a larger latency, as in server.delay(0.1)"
        )
    return [
        Finding(
            code="HC404",
            summary=f"{speedup:.2f} was reached, {at_least:g} is required",
            evidence=evidence,
            connections=ledger.connections,
            exchanges=exchanges,
        )
    ]
