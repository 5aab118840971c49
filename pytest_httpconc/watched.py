"""A server as one test sees it: what it recorded since the test began, and what a policy objects to in that."""

from __future__ import annotations

import gc
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from fake_servers import Connection, FakeServer, Ledger, ScenarioError
from fake_servers.records import Closer
from fake_servers.started import started_servers
from pytest_httpconc.checks import (
    find_excess_connections,
    find_leaks,
    find_low_concurrency,
    find_low_speedup,
    find_resends,
    find_unclosed,
)
from pytest_httpconc.findings import Finding
from pytest_httpconc.openings import Owner
from pytest_httpconc.policy import Policy
from pytest_httpconc.probe import describe_opening, held_ports, opening_of

__all__ = ["Watched", "name_of", "placed"]

#: Seconds that closing takes, and more; to collect garbage takes longer where much is imported.
_BRIEFLY: Final = 0.05
_FIRST_PAUSE: Final = 0.001
_LONGEST_PAUSE: Final = 0.05


class Watched:
    """A server as one test sees it: what was recorded before the test began is not the test's."""

    def __init__(self, server: FakeServer, *, from_its_start: bool = False) -> None:
        self.server = server
        self._known = frozenset() if from_its_start else frozenset(map(_identity, server.ledger.connections))
        self._last = () if from_its_start else server.ledger.exchanges[-1:]
        self._swept: list[tuple[float, float]] = []

    @property
    def connections_before(self) -> int:
        """The number of the last connection from before the test; a reset counts those that outlive it anew."""
        if not self._known:
            return 0
        return max((c.number for c in self.server.ledger.connections if _identity(c) in self._known), default=0)

    @property
    def exchanges_before(self) -> int:
        """The number of the last exchange before the test; 0 if the ledger was reset since."""
        for last in self._last:
            if any((e.number, e.begun_at) == (last.number, last.begun_at) for e in self.server.ledger.exchanges):
                return last.number
        return 0

    @property
    def ledger(self) -> Ledger:
        """What was recorded since the test began, with those connections from before on which it sent requests.

        What a sweep did is not in it: the sweep has judged it.
        """
        return self._since_the_test_began(self.unswept)

    @property
    def recorded(self) -> Ledger:
        """What was recorded since the test began, as `ledger`, with what sweeps did."""
        return self._since_the_test_began(self.server.ledger)

    def _since_the_test_began(self, whole: Ledger) -> Ledger:
        connections, exchanges = self.connections_before, self.exchanges_before
        if not connections and not exchanges:
            return whole
        own = [e for e in whole.exchanges if e.number > exchanges]
        used = {e.connection for e in own}
        return Ledger.of([c for c in whole.connections if c.number > connections or c.number in used], own)

    @property
    def unswept(self) -> Ledger:
        """All that was recorded, without what sweeps of this test did."""
        whole = self.server.ledger
        if not self._swept:
            return whole
        swept = {e.number for e in whole.exchanges if any(a <= e.begun_at <= b for a, b in self._swept)}
        own = [e for e in whole.exchanges if e.number not in swept]
        used = {e.connection for e in own}
        gone = {e.connection for e in whole.exchanges if e.number in swept} - used
        return Ledger.of([c for c in whole.connections if c.number not in gone], own)

    @contextmanager
    def sweeping(self) -> Iterator[None]:
        """What is recorded during a ``with`` block is a sweep's."""
        before = self.server.ledger.count()
        try:
            yield
        finally:
            begun = [e.begun_at for e in self.server.ledger.exchanges if e.number > before]
            if begun:
                self._swept.append((min(begun), max(begun)))

    @property
    def was_used(self) -> bool:
        """Whether the test opened a connection to it or sent it a request."""
        ledger = self.server.ledger
        return ledger.total_connections > self.connections_before or ledger.count() > self.exchanges_before

    def leaks(self, *, max_idle: int, grace: float) -> list[Finding]:
        """The connections that are still open once things have settled, which takes ``grace`` seconds at most."""
        self.server.catch_up()
        ledger, since = self.server.ledger, self.connections_before
        proxies = _of_proxies(self.server, ledger)
        held: set[int] = set()
        gone: set[int] = set()
        if self.server.is_running:
            if _left_open(ledger, since, proxies) <= max_idle and not ledger.in_flight:
                return []
            if _settles(ledger, since, proxies, max_idle, min(grace, _BRIEFLY)):
                return []
            gc.collect()  # sessions in a reference cycle close only when they are collected
            _settles(ledger, since, proxies, max_idle, grace)
            gone = _gone(self.server) | {c.number for c in ledger.connections if c.peer in proxies}
        else:
            held = _still_held(self.server, since, proxies, grace)
        return find_leaks(
            ledger,
            max_idle=max_idle,
            since=since,
            still_held=held,
            gone=gone,
            opened=self._opened,
            now=ledger.now,
        )

    def _owner(self, connection: Connection) -> Owner | None:
        opening = opening_of(self.server, connection)
        return None if opening is None else opening.owner

    def _opened(self, connection: Connection) -> str:
        return describe_opening(self.server, connection)

    def low_concurrency(self, at_least: int, on: str) -> list[Finding]:
        """Whatever was in flight together less than asked, and what held it up."""
        return find_low_concurrency(
            self.ledger, at_least=at_least, on=on, holds=self.server.holds, blocked_at=self._blocked_at
        )

    def _blocked_at(self, connection: Connection) -> str | None:
        opening = opening_of(self.server, connection)
        return str(opening) if opening is not None and opening.blocks_loop else None

    def findings(self, policy: Policy) -> list[Finding]:
        """Everything that a policy objects to."""
        ledger = self.ledger
        found: list[Finding] = []
        if policy.leaks != "allow":
            leaks = [
                leak
                for leak in self.leaks(max_idle=policy.max_idle, grace=policy.grace)
                if leak.code not in policy.ignore
            ]
            found += [*leaks, *find_unclosed(leaks, self._owner)]
        if policy.at_most_once:
            found += find_resends(ledger)
        if policy.max_connections is not None:
            found += find_excess_connections(ledger, at_most=policy.max_connections)
        if policy.min_concurrency is not None:
            found += find_low_concurrency(
                ledger, at_least=policy.min_concurrency, holds=self.server.holds, blocked_at=self._blocked_at
            )
        if policy.min_speedup is not None:
            found += find_low_speedup(ledger, at_least=policy.min_speedup)
        return placed(self.server, (f for f in found if f.code not in policy.ignore))

    def resends(self) -> list[Finding]:
        """Requests that were sent again, as a diagnosis of a test that failed for another reason."""
        return placed(self.server, find_resends(self.unswept, since=self.exchanges_before))


def name_of(server: FakeServer) -> str:
    """A server's kind and address."""
    return f"{type(server).__name__} {server.url}"


def placed(server: FakeServer, findings: Iterable[Finding]) -> list[Finding]:
    """Findings, with where they were seen."""
    return [replace(finding, server=name_of(server)) for finding in findings]


def _identity(connection: Connection) -> tuple[tuple[str, int], float]:
    """What stays of a connection when its ledger is reset."""
    return connection.peer, connection.opened_at


def _of_proxies(server: FakeServer, ledger: Ledger) -> frozenset[tuple[str, int]]:
    """Where connections come from that proxies have opened: they are open because a client's is, there.

    On a server's unix socket nobody has a name: there it is as many of the latest as proxies have opened to its path.
    """
    running = (other for other in started_servers() if other.is_running and not other.has_ended)
    named = frozenset(peer for other in running for peer in other.outgoing)
    to_its_path = sum(name == server.unix_socket for name, _ in named)
    if not to_its_path:
        return named
    unnamed = [c.peer for c in ledger.connections if c.is_open and c.peer[0] == "unix"]
    return named.union(unnamed[-to_its_path:])


def _left_open(ledger: Ledger, since: int, proxies: Collection[tuple[str, int]]) -> int:
    """How many connections their clients have not left, those of proxies aside."""
    if not since and not proxies:
        return ledger.held_connections
    left = (c for c in ledger.connections if c.number > since and c.peer not in proxies)
    return sum(c.is_open or c.is_abandoned for c in left)


def _settles(ledger: Ledger, since: int, proxies: Collection[tuple[str, int]], max_idle: int, within: float) -> bool:
    """Wait until nothing goes on and no more is open than may be; return whether it comes to that in time."""
    try:
        return ledger.wait_until(
            lambda now: _left_open(now, since, proxies) <= max_idle and not now.in_flight, timeout=within
        )
    except TimeoutError:
        return False
    except RuntimeError:
        raise ScenarioError(
            "assert_no_leaks would block the loop that this server runs in: leave it to the end of the test, or first "
            "'await server.ledger.until(lambda ledger: not ledger.open_connections)'"
        ) from None


def _gone(server: FakeServer) -> set[int]:
    """Tunnels whose clients have closed them altogether, which the server takes for the end of their input."""
    suspects = {c.peer[1]: c.number for c in server.ledger.connections if c.is_open and c.input_ended}
    return set(suspects.values()) - set(_held_of(server, suspects).values())


def _still_held(server: FakeServer, since: int, proxies: Collection[tuple[str, int]], grace: float) -> set[int]:
    """Numbers of connections that the server closed when it stopped, and whose sockets the client keeps."""
    left = (Closer.CLIENT_FIN, Closer.CLIENT_RST)  # while it stopped
    suspects = {
        c.peer[1]: c.number
        for c in server.ledger.connections
        if c.number > since and c.number in server.open_at_stop and c.closed_by not in left and c.peer not in proxies
    }
    suspects = _held_of(server, suspects)
    if not suspects:
        return set()
    gc.collect()  # before the grace begins: on a busy machine, a single look can take as long
    deadline, pause = time.monotonic() + grace, _FIRST_PAUSE
    while suspects := _held_of(server, suspects):
        if time.monotonic() >= deadline:
            break
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    return set(suspects.values())


def _held_of(server: FakeServer, suspects: dict[int, int]) -> dict[int, int]:
    """Those of these connections, by their clients' ports, whose sockets are held; looking costs, so not at none."""
    held = held_ports((server.address, server.port), suspects) if suspects else {}
    return {port: number for port, number in suspects.items() if port in held}
