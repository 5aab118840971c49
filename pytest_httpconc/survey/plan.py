"""Which faults each client meets, in which calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from fake_servers.faults import (
    Disconnect,
    Dribble,
    DuplicateEvent,
    Fault,
    FullBacklog,
    HalfClose,
    Malformed,
    MalformedEvent,
    MissingEvent,
    Moment,
    Redirect,
    Refuse,
    Reset,
    Stall,
    Status,
    WrongLength,
)
from pytest_httpconc.survey.adapters import Adapter
from pytest_httpconc.sweeps.responses import Shape

__all__ = ["BLOCKING_TIMEOUT", "LISTENER_FAULTS", "Call", "Trial", "comes_while_sending", "trials_of"]

Call = Literal["POST", "GET", "stream"]

#: Seconds that a blocking client is told to wait where the fault is silence: more than a busy machine makes it wait.
BLOCKING_TIMEOUT: Final = 3.0
LISTENER_FAULTS: Final = (Refuse, FullBacklog)

_PIECES: Final = 24
_FOR_EVER: Final = 3600.0  # seconds; the survey ends it sooner
_IN_HEADERS: Final = 30  # bytes; the status line has 17
_ENDS: Final[tuple[tuple[str, Any], ...]] = (("FIN", Disconnect), ("RST", Reset))
_AGAIN: Final = "?again=1"  # a relative reference (RFC 3986, section 5.4): the same path once more


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One fault in one call.

    Args:
        fault_name: what goes wrong, in words.
        fault: makes the fault for a response of this shape.
        call: which call meets it.
        first_meets: whether the fault is planned for a first call that succeeds, and its effect met by the next on
            the same connection.
        is_warm: whether an undisturbed call leaves an idle connection first.
        is_silent: whether only a timeout of the client's ends the call.
        times: how many requests meet it; without end when omitted.
    """

    fault_name: str
    fault: Callable[[Shape], Fault]
    call: Call = "POST"
    first_meets: bool = False
    is_warm: bool = False
    is_silent: bool = False
    times: int | None = None

    @property
    def name(self) -> str:
        """Fault and call: what it is found by."""
        return f"{self.call}: {self.fault_name}"


def comes_while_sending(fault: Fault) -> bool:
    """Whether it is chance how much of a request its client has sent when it meets the fault."""
    return isinstance(fault, Reset) and fault.at in {Moment.ACCEPT, Moment.REQUEST_HEAD, Moment.NEXT_REQUEST}


def trials_of(adapter: Adapter) -> list[Trial]:
    """All trials that make sense for a client."""
    planned = [*_ends(), *_stale(), *_silences(adapter), *_listeners(), *_answers(), *_broken()]
    return [*planned, *_streams()] if adapter.streams else planned


def _both(fault_name: str, fault: Fault, **how: Any) -> list[Trial]:
    calls: tuple[Call, ...] = ("POST", "GET")
    return [Trial(fault_name=fault_name, fault=lambda _: fault, call=call, **how) for call in calls]


def _post(fault_name: str, fault: Fault, **how: Any) -> Trial:
    return Trial(fault_name=fault_name, fault=lambda _: fault, **how)


def _ends() -> list[Trial]:
    """FIN and RST at every moment before a response is complete."""
    planned: list[Trial] = []
    for name, end in _ENDS:
        planned += _both(f"{name} on accept", end(at=Moment.ACCEPT))
        planned.append(_post(f"{name} before the body is read", end(at=Moment.REQUEST_HEAD)))
        planned += _both(f"{name} before execution", end(at=Moment.REQUEST))
        planned += _both(f"{name} after execution", end(at=Moment.EXECUTED))
        planned += _both(f"{name} after execution, connection reused", end(at=Moment.EXECUTED), is_warm=True)
        planned += _both(f"{name} in the headers", end(after_bytes=_IN_HEADERS))
        planned += [_in_body(name, end, "POST"), _in_body(name, end, "GET")]
    return planned


def _in_body(name: str, end: Any, call: Call) -> Trial:
    return Trial(
        fault_name=f"{name} in the body", fault=lambda shape: end(after_bytes=shape.head + shape.body // 2), call=call
    )


def _stale() -> list[Trial]:
    """Connections that end between two requests."""
    planned: list[Trial] = []
    for name, end in _ENDS:
        planned += _both(f"{name} while idle", end(at=Moment.IDLE), first_meets=True)
        planned += _both(f"{name} at the next request's first byte", end(at=Moment.NEXT_REQUEST), first_meets=True)
    return planned + _both("FIN while idle, next request executed", HalfClose(), first_meets=True)


def _silences(adapter: Adapter) -> list[Trial]:
    silent: dict[str, Any] = {"is_silent": True}
    return [
        _post("silence on accept", Stall(at=Moment.ACCEPT), **silent),
        *_both("silence after execution", Stall(at=Moment.EXECUTED), **silent),
        _post("silence in the headers", Stall(after_bytes=_IN_HEADERS), **silent),
        Trial(fault_name="silence in the body", fault=lambda shape: Stall(after_bytes=shape.head + 1), **silent),
        *_both("silence at the next request", Stall(at=Moment.NEXT_REQUEST), first_meets=True, **silent),
        Trial(fault_name="a trickle that outlasts the timeout", fault=_trickle(adapter), **silent),
    ]


def _trickle(adapter: Adapter) -> Callable[[Shape], Fault]:
    """So slow that the whole takes longer than the timeout, and no wait for a part of it anywhere near as long."""
    if adapter.is_async:
        return lambda _: Dribble(size=1, interval=4.0)  # on a virtual clock, whatever timeout the client has
    return lambda shape: Dribble(size=max(1, shape.size // _PIECES), interval=2 * BLOCKING_TIMEOUT / _PIECES)


def _listeners() -> list[Trial]:
    return [
        _post("connection refused", Refuse(_FOR_EVER)),
        _post("no answer to connecting", FullBacklog(_FOR_EVER), is_silent=True),
    ]


def _answers() -> list[Trial]:
    now = {"Retry-After": "0"}
    return [
        *_both("status 503, Retry-After: 0", Status(503, headers=now)),
        *_both("status 429, Retry-After: 0", Status(429, headers=now)),
        *_both("redirect 307", Redirect(_AGAIN), times=1),
    ]


def _broken() -> list[Trial]:
    return [
        _post("malformed status line", Malformed("status")),
        _post("malformed header", Malformed("header")),
        _post("malformed chunk", Malformed("chunk")),
        _post("no HTTP at all", Malformed("garbage")),
        _post("body 5 bytes shorter than declared", WrongLength(5)),
        _post("body 5 bytes longer than declared", WrongLength(-5)),
    ]


def _streams() -> list[Trial]:
    return [
        _stream("FIN after 2 events", Disconnect(after_events=2)),
        _stream("RST after 2 events", Reset(after_events=2)),
        _stream("FIN after all events, body not ended", Disconnect(after_events=-1)),
        _stream("last event missing", MissingEvent()),
        _stream("second event malformed", MalformedEvent(2)),
        _stream("fifth event twice", DuplicateEvent(5)),
        _stream("silence after 2 events", Stall(after_events=2), is_silent=True),
    ]


def _stream(fault_name: str, fault: Fault, **how: Any) -> Trial:
    return Trial(fault_name=fault_name, fault=lambda _: fault, call="stream", **how)
