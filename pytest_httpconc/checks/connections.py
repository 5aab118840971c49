"""Connections: left open (HC101), abandoned (HC102), not reused (HC103), too many (HC104), never closed (HC105)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from fake_servers.ledger import Connection, Exchange, Ledger, Outcome
from fake_servers.records import Closer
from pytest_httpconc.durations import duration
from pytest_httpconc.findings import Finding
from pytest_httpconc.openings import Owner

__all__ = ["find_excess_connections", "find_leaks", "find_unclosed"]


def find_leaks(
    ledger: Ledger,
    *,
    max_idle: int = 0,
    since: int = 0,
    still_held: Collection[int] = (),
    gone: Collection[int] = (),
    opened: Callable[[Connection], str] | None = None,
    now: float | None = None,
) -> list[Finding]:
    """Find connections that are still open (HC101), and those that only their client still holds (HC102).

    Args:
        ledger: what the server recorded.
        max_idle: how many connections may stay, if nothing is in progress on them.
        since: connections up to this number are not looked at.
        still_held: numbers of connections that the server had to close when it stopped, and whose sockets
            the client still holds.
        gone: numbers of connections that are open for the server, and whose sockets no client holds any more.
        opened: says of a connection where it was opened.
        now: the instant to which their ages are counted.
    """
    exchanges = _by_connection(ledger.exchanges)
    own = [c for c in ledger.connections if c.number > since and c.number not in gone]
    abandoned = [c for c in own if c.is_abandoned and c.number not in still_held]
    connections = [c for c in own if c.is_open or c.number in still_held]
    busy = [c for c in connections if any(e.ended_at is None for e in exchanges.get(c.number, ()))]
    if not busy and len(connections) + len(abandoned) <= max_idle:
        return []
    found = [("HC101", connections), ("HC102", abandoned)]
    counted = f"of {ledger.total_connections - since}{f'; {max_idle} may stay idle' if max_idle else ''}"
    return [_left(code, left, exchanges, counted, opened, now) for code, left in found if left]


def find_unclosed(leaks: Iterable[Finding], owner_of: Callable[[Connection], Owner | None]) -> list[Finding]:
    """Find the sessions and clients that were never closed, and so keep the connections that leaked (HC105).

    Args:
        leaks: what `find_leaks` has found.
        owner_of: says of a connection which session had it opened, as far as it is known.
    """
    owned: dict[Owner, list[Connection]] = {}
    for connection in (c for leak in leaks for c in leak.connections):
        owner = owner_of(connection)
        if owner is not None and owner.is_unclosed:
            owned.setdefault(owner, []).append(connection)
    if not owned:
        return []
    return [
        Finding(
            code="HC105",
            summary=", ".join(sorted({owner.name for owner in owned})),
            evidence=[
                f"a {owner.name} that was never closed keeps {_count(len(connections), 'connection')}: "
                f"{', '.join(str(c.number) for c in connections)}"
                for owner, connections in owned.items()
            ],
        )
    ]


def _left(
    code: str,
    left: list[Connection],
    exchanges: dict[int, list[Exchange]],
    counted: str,
    opened: Callable[[Connection], str] | None,
    now: float | None,
) -> Finding:
    evidence: list[str] = []
    for connection in left:
        evidence.append(_state(connection, exchanges.get(connection.number, ())) + _age(connection, now))
        if opened is not None:
            evidence.append(f"  {opened(connection)}")
    return Finding(
        code=code,
        summary=f"{_count(len(left), 'connection')} {counted}",
        evidence=evidence,
        connections=left,
        exchanges=[e for c in left for e in exchanges.get(c.number, ())],
    )


def find_excess_connections(ledger: Ledger, *, at_most: int) -> list[Finding]:
    """Find more connections than a pool's limit (HC104), and connections that replaced a healthy one (HC103).

    Args:
        ledger: what the server recorded.
        at_most: the limit of the client's pool.
    """
    connections = ledger.connections
    found: list[Finding] = []
    if ledger.peak_connections > at_most:
        found.append(
            Finding(
                code="HC104",
                summary=f"{ledger.peak_connections} connections were open together, allowed are {at_most}",
                evidence=[f"{ledger.total_connections} connections were opened for {ledger.count()} requests"],
                connections=connections,
                exchanges=ledger.exchanges,
            )
        )
    needless = _needless(connections, _by_connection(ledger.exchanges))
    if ledger.total_connections > at_most and needless:
        opened = f"{ledger.total_connections} connections for {_count(ledger.count(), 'request')}"
        found.append(
            Finding(
                code="HC103",
                summary=f"{opened}, allowed are {at_most}",
                evidence=[
                    f"connection {new.number} was opened although connection {old.number} {_was_healthy(old)}"
                    for new, old in needless
                ],
                connections=connections,
                exchanges=ledger.exchanges,
            )
        )
    return found


def _needless(
    connections: Iterable[Connection], exchanges: dict[int, list[Exchange]]
) -> list[tuple[Connection, Connection]]:
    """Each connection opened when another had answered all it was asked and could have served on, with that one.

    A healthy connection could have been reused only once: it is paired with one newcomer.
    """
    pairs: list[tuple[Connection, Connection]] = []
    healthy: list[Connection] = []
    for new in connections:
        free = next((old for old in healthy if _was_free(old, exchanges.get(old.number, []), new)), None)
        if free is not None:
            healthy.remove(free)
            pairs.append((new, free))
        healthy.append(new)
    return pairs


def _was_free(old: Connection, exchanges: list[Exchange], new: Connection) -> bool:
    """Whether ``old`` was idle and promised to stay open when ``new`` was opened.

    One that had carried nothing yet was being opened for a call of its own.
    """
    if old.closed_by not in {None, Closer.CLIENT_FIN, Closer.CLIENT_RST}:
        return False
    before = [e for e in exchanges if e.begun_at <= new.opened_at]
    return bool(before) and all(
        e.outcome is Outcome.ANSWERED and e.finished_at is not None and e.finished_at <= new.opened_at for e in before
    )


def _was_healthy(connection: Connection) -> str:
    return "was idle" if connection.is_open else "had answered in full, and the client closed it"


def _state(connection: Connection, exchanges: Iterable[Exchange]) -> str:
    name = f"connection {connection.number} from port {connection.peer[1]}"
    if connection.is_abandoned:
        name += f" in CLOSE_WAIT, closed by {connection.closed_by}"
    last = max(exchanges, key=lambda e: e.sequence, default=None)
    if last is None:
        return f"{name}: {'open, ' if connection.is_open else ''}no request was ever sent on it"
    sent = f"{_count(connection.exchanges, 'request')}, the last was exchange {last.number}, {last.route}"
    if last.ended_at is None:
        return f"{name}: {last.progress}, still in progress; {sent}"
    return f"{name}: idle after {sent} ({last.status or last.outcome})"


def _age(connection: Connection, now: float | None) -> str:
    if now is None:
        return ""
    if connection.closed_at is None:
        return f", open for {duration(now - connection.opened_at)}"
    return f", closed {duration(now - connection.closed_at)} ago, {duration(now - connection.opened_at)} old"


def _by_connection(exchanges: Iterable[Exchange]) -> dict[int, list[Exchange]]:
    grouped: dict[int, list[Exchange]] = {}
    for exchange in exchanges:
        grouped.setdefault(exchange.connection, []).append(exchange)
    return grouped


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
