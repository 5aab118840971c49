"""What a server's ledger has to say of a load, by what the contracts declare. Pure: ledger in, findings out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fake_servers import Exchange, Ledger
from pytest_httpconc.checks import find_excess_connections, find_leaks, find_low_concurrency, find_resends
from pytest_httpconc.findings import Finding
from pytest_httpconc.load.marks import clients_of, is_marked

__all__ = ["Declared", "judge", "unmarked"]

_SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What is meant to hold of a user class.

    Args:
        user: its name.
        on: which requests are its calls.
        idempotent: whether calls may be sent again.
        retry_statuses: statuses whose retry is meant.
        max_connections: of each client; None where that is not checked.
        reuses: whether a connection is to serve call after call of its client.
        one_at_a_time: whether a client never has two calls together.
        min_concurrency: calls that must have been in flight together, of all clients; None where that is not checked.
        ignore: codes of findings to pass over; of those that belong to no user class, where all pass over them.
    """

    user: str
    on: str
    idempotent: bool = False
    retry_statuses: Collection[int] = ()
    max_connections: int | None = None
    reuses: bool = True
    one_at_a_time: bool = False
    min_concurrency: int | None = None
    ignore: Collection[str] = ()


def judge(ledger: Ledger, declared: Sequence[Declared], *, mixed: int = 0) -> list[Finding]:
    """Judge a load that is over, when all its clients are closed.

    Args:
        ledger: of the server.
        declared: what is meant to hold, for each user class.
        mixed: how many calls got an answer that is not their own, as the users have seen.
    """
    found = [f for f in _of_all(ledger, mixed) if not all(f.code in limits.ignore for limits in declared)]
    exchanges, connections = ledger.exchanges, {c.number: c for c in ledger.connections}
    for limits in declared:
        clients = clients_of(limits.user, exchanges)
        of_class = list(_of_each_client(clients, ledger, limits))
        own = [exchange for of_client in clients.values() for exchange in of_client]
        mine = Ledger.of((connections[n] for n in _connections_of(own) if n in connections), own)
        if not limits.idempotent:
            of_class += find_resends(mine, on=limits.on, retry_statuses=limits.retry_statuses)
        if limits.min_concurrency is not None:
            of_class += find_low_concurrency(mine, at_least=limits.min_concurrency, on=limits.on)
        found += (finding for finding in of_class if finding.code not in limits.ignore)
    return list(_gathered(found))


def unmarked(ledger: Ledger, declared: Sequence[Declared]) -> list[str]:
    """User classes of which no request is known, while there are some of which it is not known whose they are."""
    exchanges = ledger.exchanges
    if all(map(is_marked, exchanges)):
        return []
    return [limits.user for limits in declared if not clients_of(limits.user, exchanges)]


def _of_all(ledger: Ledger, mixed: int) -> Iterator[Finding]:
    """What belongs to no user class: a connection may have been left before its first request."""
    yield from find_leaks(ledger, now=ledger.now)
    if mixed:
        yield Finding(code="HC501", summary=f"an answer without the nonce of its call came {mixed} times")


def _of_each_client(clients: Mapping[str, Sequence[Exchange]], ledger: Ledger, limits: Declared) -> Iterator[Finding]:
    """What is wrong with the pools: each is judged by itself, as a connection serves its own client alone."""
    needed = 1 if limits.one_at_a_time else limits.max_connections
    allowed = {"HC104": limits.max_connections, "HC103": needed if limits.reuses else None}
    connections = {c.number: c for c in ledger.connections}
    for own in clients.values():
        of_client = Ledger.of((connections[n] for n in _connections_of(own) if n in connections), own)
        for code, at_most in allowed.items():
            if at_most is not None:
                yield from (f for f in find_excess_connections(of_client, at_most=at_most) if f.code == code)


def _connections_of(exchanges: Sequence[Exchange]) -> list[int]:
    return sorted({exchange.connection for exchange in exchanges})


def _gathered(found: Sequence[Finding]) -> Iterator[Finding]:
    """One finding for each code, the first, which tells of the others in few lines: under load, a bug shows often."""
    by_code: dict[str, list[Finding]] = {}
    for finding in found:
        by_code.setdefault(finding.code, []).append(finding)
    for first, *others in by_code.values():
        if not others:
            yield first
            continue
        told = [f"likewise: {other.summary}" for other in others[:_SHOWN]]
        rest = len(others) - _SHOWN
        more = [f"and {rest} times more"] if rest > 0 else []
        summary = f"{len(others) + 1} times, the first: {first.summary}"
        yield replace(first, summary=summary, evidence=[*first.evidence, *told, *more])
