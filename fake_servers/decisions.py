"""What a scenario has decided once, to be met again: chance is not drawn anew."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fake_servers.faults import AtListener, Fault
from fake_servers.records import Connection, Exchange
from fake_servers.scenario import Injection, Plan, Scenario, ScenarioRun, acts_on_bytes

__all__ = ["DecidedRun", "Decisions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """What each exchange and each connection of a run has met, in order.

    Args:
        scenario: what goes on where the decisions end.
        requests: by method and path, what each request has met.
        connections: what each connection has met when it was accepted.
        listener: the listener's faults, each with how many connections had been accepted before.
    """

    scenario: Scenario = field(default_factory=Scenario)
    requests: Mapping[tuple[str, str], tuple[Plan, ...]] = field(default_factory=dict)
    connections: tuple[Fault | None, ...] = ()
    listener: tuple[tuple[int, AtListener], ...] = ()

    @classmethod
    def of(
        cls,
        scenario: Scenario,
        connections: Iterable[Connection],
        exchanges: Iterable[Exchange],
        listener: Iterable[tuple[int, AtListener]] = (),
    ) -> Decisions:
        """The decisions that a ledger's records tell of."""
        requests: defaultdict[tuple[str, str], list[Plan]] = defaultdict(list)
        for exchange in exchanges:
            if exchange.raw_headers:  # of a request whose head never came, nothing was planned
                requests[exchange.method, exchange.path].append(Plan(exchange.fault, exchange.latency))
        return cls(
            scenario=scenario,
            requests={key: tuple(plans) for key, plans in requests.items()},
            connections=tuple(_at_accept(connection.fault) for connection in connections),
            listener=tuple(listener),
        )


def _at_accept(fault: Fault | None) -> Fault | None:
    """What was planned for a connection before anything was read, and not for the bytes that it carried."""
    return None if acts_on_bytes(fault) else fault


class DecidedRun(ScenarioRun):
    """A run in which the k-th request of a method and path meets what it once met, and a connection likewise.

    What comes after the last decision meets the decisions' scenario, as it would have gone on. The run's own injections
    are counted, so that those which nothing matches are told, and act on nothing; where answers are held is its own.
    """

    def __init__(self, scenario: Scenario, decisions: Decisions) -> None:
        super().__init__(scenario)
        self._decisions = decisions
        self._goes_on = ScenarioRun(decisions.scenario)
        self._asked: Counter[tuple[str, str]] = Counter()
        self._accepted = 0
        self._listener_due = list(decisions.listener)
        self.plans_requests = True

    def remove(self, injection: Injection) -> None:
        super().remove(injection)
        self.plans_requests = True

    def plan(self, method: str, path: str) -> Plan | None:
        own = super().plan(method, path)
        further = self._goes_on.plan(method, path)
        decided = self._decisions.requests.get((method, path), ())
        number = self._asked[method, path]
        self._asked[method, path] += 1
        plan = (decided[number] if number < len(decided) else further) or Plan(None, 0.0)
        held_at = own.held_at if own is not None else ()
        if plan.fault is None and not plan.latency and not held_at:
            return None
        return plan._replace(held_at=held_at)

    def plan_plain(self) -> Plan:
        super().plan_plain()
        return self._goes_on.plan_plain()

    def plan_connection(self) -> Fault | None:
        super().plan_connection()
        further = self._goes_on.plan_connection()
        number, self._accepted = self._accepted, self._accepted + 1
        decided = self._decisions.connections
        return decided[number] if number < len(decided) else further

    def listener_faults(self, accepted: int) -> list[AtListener]:
        acted = self.listener_acted
        super().listener_faults(accepted)
        due = [fault for after, fault in self._listener_due if accepted >= after]
        self._listener_due = [(after, fault) for after, fault in self._listener_due if accepted < after]
        self.listener_acted = (*acted, *((accepted, fault) for fault in due))
        return due
