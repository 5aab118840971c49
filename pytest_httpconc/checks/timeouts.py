"""Timeouts: none at the socket (HC301), another than declared (HC302), one that a trickle outlasts (HC303)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fake_servers.errors import ScenarioError
from fake_servers.ledger import Exchange, Ledger, Outcome
from pytest_httpconc.findings import Finding
from pytest_httpconc.probe import Timeouts

__all__ = ["Declared", "find_wrong_timeouts"]

_TOLERANCE: Final = 0.01  # of the timeout; libraries take off what connecting took
_DELAY: Final = 0.25  # seconds that a busy machine may take to notice
_ROUNDED_ABOVE: Final = 5.0  # seconds; aiohttp rounds a longer total timeout up to a whole second of its loop's clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """The timeouts that a client is meant to have, in seconds; None is not looked at.

    Raises:
        ScenarioError: nothing is to be looked at.
    """

    connect: float | None = None
    read: float | None = None
    total: float | None = None

    def __post_init__(self) -> None:
        if self.connect is None and self.read is None and self.total is None:
            raise ScenarioError("assert_timeout() asks for nothing; give connect=, read= or total=, as in read=1830")


def find_wrong_timeouts(
    ledger: Ledger, declared: Declared, *, on: str = "*", seen: Mapping[int, Timeouts | None]
) -> list[Finding]:
    """Find timeouts that are missing (HC301), other than declared (HC302), or outlasted by a trickle (HC303).

    Args:
        ledger: what the server recorded.
        declared: what is meant to hold.
        on: which requests.
        seen: the timeouts of the client's socket, by the exchange's number, where it was seen.

    Raises:
        ScenarioError: nothing was seen that it can be judged by.
    """
    exchanges = ledger.matching(on)
    if not exchanges:
        raise ScenarioError(f"no request to {on} arrived, so no timeout was seen")
    found: list[Finding] = []
    for name, value in (("connect", declared.connect), ("read", declared.read)):
        if value is not None:
            found += _at_sockets(ledger, exchanges, name, value, seen)
    if declared.total is not None:
        found += _in_time(ledger, exchanges, declared.total)
    return found


def _at_sockets(
    ledger: Ledger, exchanges: Sequence[Exchange], name: str, value: float, seen: Mapping[int, Timeouts | None]
) -> list[Finding]:
    effective = {e.number: getattr(timeouts, name) for e in exchanges if (timeouts := seen.get(e.number)) is not None}
    if not effective:
        raise ScenarioError(
            f"{name}={value:g} can't be judged: no client's socket was seen. Only those of this process's Python are; "
            "a client in another process is judged by total="
        )
    if all(timeout == 0 for timeout in effective.values()):
        raise ScenarioError(
            f"{name}={value:g} can't be judged: the client's sockets don't block, so their timeouts are its own. Stall "
            "the server, on a virtual clock, and give total="
        )
    missing = [e for e in exchanges if effective.get(e.number, value) is None]
    wrong = [e for e in exchanges if _differs(effective.get(e.number, value), value)]
    found: list[Finding] = []
    if missing:
        evidence = [f"{_name(e)}: waited for with no {name} timeout" for e in missing]
        found.append(_finding("HC301", f"{name} timeout is none, declared are {value:g} s", evidence, missing, ledger))
    if wrong:
        evidence = [f"{_name(e)}: {name} timeout {effective[e.number]:g} s" for e in wrong]
        summary = f"{name} timeout is {effective[wrong[0].number]:g} s, declared are {value:g} s"
        found.append(_finding("HC302", summary, evidence, wrong, ledger))
    return found


def _differs(timeout: float | None, value: float) -> bool:
    return timeout is not None and timeout != 0 and abs(timeout - value) > _TOLERANCE * value


def _in_time(ledger: Ledger, exchanges: Sequence[Exchange], total: float) -> list[Finding]:
    latest = total * (1 + _TOLERANCE) + (_DELAY if total <= _ROUNDED_ABOVE else 1.0)
    given_up = [e for e in exchanges if e.outcome is Outcome.ABORTED_BY_CLIENT]
    long = [e for e in exchanges if _lasted(e) > latest]
    early = [
        e
        for e in given_up
        if _lasted(e) < total * (1 - _TOLERANCE) - _DELAY / 5 and not _may_have_waited(e, ledger.exchanges, total)
    ]
    going_on = sum(e.ended_at is None for e in exchanges)
    if not given_up and not long and going_on:
        raise ScenarioError(
            f"total={total:g} can't be judged yet: {going_on} calls are still in flight. In the server's loop, first "
            "'await server.ledger.until(lambda ledger: not ledger.in_flight)'"
        )
    if not given_up and not long:
        raise ScenarioError(
            f"total={total:g} can't be judged: no call was made to wait so long. Stall the server: "
            "server.inject(Stall()), or server.inject(Dribble(...)) for a slow trickle"
        )
    trickled = [e for e in long if e.first_byte_at is not None and e.first_byte_at < e.begun_at + total]
    late = [e for e in long if e not in trickled]
    found: list[Finding] = []
    if trickled:
        summary = f"a call lasted {_longest(trickled):g} s, its deadline is {total:g} s"
        found.append(_finding("HC303", summary, [_fate(e) for e in trickled], trickled, ledger))
    if late or early:
        summary = f"calls lasted {', '.join(sorted({f'{_lasted(e):g} s' for e in (*late, *early)}))}, not {total:g} s"
        found.append(_finding("HC302", summary, [_fate(e) for e in (*late, *early)], [*late, *early], ledger))
    return found


def _may_have_waited(exchange: Exchange, exchanges: Iterable[Exchange], total: float) -> bool:
    """Whether its deadline may have begun before it was sent: it waited in the pool, or is a further attempt."""
    return any(
        other.begun_at < exchange.begun_at and (other.ended_at is None or other.ended_at > exchange.begun_at - total)
        for other in exchanges
    )


def _lasted(exchange: Exchange) -> float:
    """Seconds from the request's head to the exchange's end; none yet where it goes on."""
    return 0.0 if exchange.ended_at is None else round(exchange.ended_at - exchange.begun_at, 3)


def _longest(exchanges: Iterable[Exchange]) -> float:
    return max(map(_lasted, exchanges))


def _name(exchange: Exchange) -> str:
    return f"exchange {exchange.number} on connection {exchange.connection}, {exchange.route}"


def _fate(exchange: Exchange) -> str:
    begun = "" if exchange.first_byte_at is None else f", its first byte came after {_first_byte(exchange):g} s"
    return f"{_name(exchange)}: {exchange.outcome} after {_lasted(exchange):g} s{begun}"


def _first_byte(exchange: Exchange) -> float:
    assert exchange.first_byte_at is not None, "the caller has looked"
    return round(exchange.first_byte_at - exchange.begun_at, 3)


def _finding(
    code: str, summary: str, evidence: Sequence[str], exchanges: Sequence[Exchange], ledger: Ledger
) -> Finding:
    involved = {e.connection for e in exchanges}
    connections = [c for c in ledger.connections if c.number in involved]
    return Finding(code=code, summary=summary, evidence=evidence, connections=connections, exchanges=exchanges)
