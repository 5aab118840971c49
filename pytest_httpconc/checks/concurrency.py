"""Concurrency: one call at a time (HC401), fewer than asked (HC403), and too little speedup (HC404)."""

from __future__ import annotations

from collections.abc import Iterable

from fake_servers.ledger import Ledger
from fake_servers.rendezvous import Rendezvous
from pytest_httpconc.findings import Finding

__all__ = ["find_low_concurrency", "find_low_speedup"]


def find_low_concurrency(
    ledger: Ledger, *, at_least: int, on: str = "*", holds: Iterable[Rendezvous] = ()
) -> list[Finding]:
    """Find calls that ran one at a time (HC401), or fewer together than asked (HC403).

    Args:
        ledger: what the server recorded.
        at_least: how many exchanges should have been in flight together.
        on: which requests.
        holds: the server's rendezvous, which say how many were waited for.
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
    return [
        Finding(
            code="HC401" if peak <= 1 else "HC403",
            summary=f"{peak} of {at_least} were in flight together at the most",
            evidence=evidence,
            connections=ledger.connections,
            exchanges=exchanges,
        )
    ]


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
