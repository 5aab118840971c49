"""What goes wrong: every fault on one page, each a small frozen value that says what the client sees.

``Disconnect``, ``Reset`` and ``Stall`` act at a `Moment` of an exchange or a connection. The others shape
or replace one response, or act on the listening socket.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

from fake_servers.errors import ScenarioError
from fake_servers.http import HeaderSource, Response, check_status, header_pairs
from fake_servers.words import Word

__all__ = [
    "Disconnect",
    "Dribble",
    "DuplicateEvent",
    "Fault",
    "FullBacklog",
    "HalfClose",
    "Heartbeats",
    "Malformed",
    "MalformedEvent",
    "MissingEvent",
    "Moment",
    "Redirect",
    "Refuse",
    "Reset",
    "Stall",
    "Status",
    "Throttle",
    "WrongCertificate",
    "WrongLength",
]

MalformedPart = Literal["status", "header", "chunk", "garbage"]
WrongReason = Literal["name", "expired", "untrusted"]


class Moment(Word):
    """Where in a connection or an exchange a fault acts; a closed list, in order of time."""

    ACCEPT = "accept"  #: connection accepted, nothing read
    REQUEST_HEAD = "request head"  #: request head read, body not
    REQUEST = "request"  #: whole request read, not executed
    EXECUTED = "executed"  #: executed, nothing sent
    RESPONSE = "response"  #: ``after_bytes`` bytes of the response sent
    IDLE = "idle"  #: response complete, connection idle
    NEXT_REQUEST = "next request"  #: first byte of the next request on the connection arrived


class Fault:
    """A planned deviation from correct, prompt service."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AtMoment(Fault):
    """A fault that acts at one moment.

    Args:
        at: the moment; `Moment.EXECUTED` when omitted, `Moment.RESPONSE` when ``after_bytes`` is given.
        after_bytes: for `Moment.RESPONSE`, how many bytes of the response go out first (head and body are
            counted alike); 1 when omitted. Beyond its end, the fault acts after the complete response.
        after_events: for `Moment.RESPONSE` in place of ``after_bytes``, how many events of a streamed body
            go out first; -1 is all of them, but not the end of the body.
    """

    at: Moment = None  # type: ignore[assignment]  # filled in below: a caller may leave it out, a reader never sees None
    after_bytes: int | None = None
    after_events: int | None = None

    def __post_init__(self) -> None:
        in_response = self.after_bytes is not None or self.after_events is not None
        if self.at is None:
            object.__setattr__(self, "at", Moment.RESPONSE if in_response else Moment.EXECUTED)
        if not isinstance(self.at, Moment):
            names = ", ".join(f"Moment.{moment.name}" for moment in Moment)
            raise ScenarioError(f"at={self.at!r} is not a moment; allowed are {names}")
        for name in ("after_bytes", "after_events"):
            given = getattr(self, name)
            if self.at is not Moment.RESPONSE and given is not None:
                raise ScenarioError(
                    f"{name}={given!r} counts what was sent of the response, so it goes with at=Moment.RESPONSE "
                    f"and not with at=Moment.{self.at.name}"
                )
        if self.at is Moment.RESPONSE:
            self._check_place()

    def _check_place(self) -> None:
        if self.after_events is None:
            size = 1 if self.after_bytes is None else self.after_bytes
            object.__setattr__(self, "after_bytes", _whole("after_bytes", size, minimum=0))
        elif self.after_bytes is None:
            _whole("after_events", self.after_events, minimum=-1)
        else:
            raise ScenarioError("after_bytes and after_events are two ways to say where; give one of them")

    def __str__(self) -> str:
        where = f"at={self.at.name}"
        if self.at is Moment.RESPONSE:
            counted = "after_bytes" if self.after_events is None else "after_events"
            where = f"{counted}={getattr(self, counted)}"
        return f"{type(self).__name__}({where})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect(AtMoment):
    """The server closes with FIN: the client reads the end of the stream, early if a response is due.

    Seen as ``RemoteDisconnected``, ``ServerDisconnectedError``, ``IncompleteRead`` or, inside headers, by
    some clients as an empty success. Bytes that the client sends afterwards are taken and dropped, so the
    client sees FIN for certain and not, by chance, RST.
    """

    __str__ = AtMoment.__str__


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(AtMoment):
    """The server closes with RST: the client's next operation fails with ``ECONNRESET``.

    What was sent before has reached the client's socket.
    """

    __str__ = AtMoment.__str__


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall(AtMoment):
    """The server goes silent and keeps the connection open: a client with no read timeout hangs.

    Args:
        seconds: how long; for ever when omitted. Afterwards service goes on where it stopped.
    """

    seconds: float | None = None

    def __post_init__(self) -> None:
        AtMoment.__post_init__(self)
        if self.seconds is not None:
            _seconds("seconds", self.seconds)

    def __str__(self) -> str:
        length = "for ever" if self.seconds is None else f"seconds={self.seconds:g}"
        return f"{AtMoment.__str__(self)[:-1]}, {length})"


@dataclass(frozen=True, slots=True)
class Paced(Fault):
    """A fault that sends the response correctly but slowly, ``size`` bytes every ``interval`` seconds."""

    @property
    def pace(self) -> tuple[int, float]:
        """Bytes a piece, and seconds between pieces."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Dribble(Paced):
    """The response trickles: a read timeout longer than ``interval`` never fires, however long it takes.

    Args:
        size: bytes a piece, 1 or more.
        interval: seconds between pieces, more than 0.
    """

    size: int = 1
    interval: float = 0.05

    def __post_init__(self) -> None:
        _whole("size", self.size, minimum=1)
        _seconds("interval", self.interval, above=0)

    @property
    def pace(self) -> tuple[int, float]:
        return self.size, self.interval


@dataclass(frozen=True, slots=True)
class Throttle(Paced):
    """The response comes at ``rate`` bytes a second, evenly, as over a slow line."""

    rate: float = 1024

    def __post_init__(self) -> None:
        _seconds("rate", self.rate, above=0, unit="bytes a second", example="1024")

    @property
    def pace(self) -> tuple[int, float]:
        size = max(1, int(self.rate // 20))
        return size, size / self.rate


@dataclass(frozen=True, slots=True)
class HalfClose(Fault):
    """After a complete response that promised to keep the connection, the server sends FIN but reads on.

    A client that reuses the connection has its next request received and executed, and never answered:
    it sees the end of the stream instead, so a resend executes twice.
    """


@dataclass(frozen=True, slots=True)
class WrongLength(Fault):
    """``Content-Length`` is off by ``delta`` bytes.

    Above 0, fewer bytes come than were declared, then FIN: a careful client reports an incomplete body.
    Below 0, more bytes come than were declared: what is over spoils the next response on the connection.
    """

    delta: int = -5

    def __post_init__(self) -> None:
        if isinstance(self.delta, bool) or not isinstance(self.delta, int) or self.delta == 0:
            raise ScenarioError(
                f"delta={self.delta!r} is no wrong length; allowed are whole numbers but 0, as in WrongLength(-5)"
            )


@dataclass(frozen=True, slots=True)
class Malformed(Fault):
    """The response breaks HTTP's grammar in one ``part``; the connection is closed after it.

    ``"status"``: a status line with no number. ``"header"``: a header line with no colon. ``"chunk"``: a
    chunk size that is no number. ``"garbage"``: bytes that were never HTTP.
    """

    part: MalformedPart = "status"

    def __post_init__(self) -> None:
        if self.part not in get_args(MalformedPart):
            allowed = ", ".join(repr(part) for part in get_args(MalformedPart))
            raise ScenarioError(f"part={self.part!r} is not known; allowed are {allowed}")


@dataclass(frozen=True, slots=True)
class WrongCertificate(Fault):
    """The handshake of a server with ``tls=True`` offers a certificate that a client must refuse.

    Args:
        reason: ``"name"`` (it is another host's), ``"expired"`` or ``"untrusted"`` (an unknown authority's).
    """

    reason: WrongReason = "name"

    def __post_init__(self) -> None:
        if self.reason not in get_args(WrongReason):
            allowed = ", ".join(repr(reason) for reason in get_args(WrongReason))
            raise ScenarioError(f"reason={self.reason!r} is not known; allowed are {allowed}")


@dataclass(frozen=True, slots=True)
class InEvents(Fault):
    """A fault in the events of a streamed body, each of which is one part of the stream.

    Args:
        event: which one, from 1; -1 is the last. A stream with fewer events, and a response that is no
            stream, stay as they are.
    """

    event: int = 1

    def __post_init__(self) -> None:
        if self.event != -1:
            _whole("event", self.event, minimum=1)


@dataclass(frozen=True, slots=True)
class DuplicateEvent(InEvents):
    """One event is sent twice: a client that adds up the parts of an answer has a part of it twice."""


@dataclass(frozen=True, slots=True)
class MalformedEvent(InEvents):
    """One event breaks off in the middle, and the next follows: its data is no JSON."""


@dataclass(frozen=True, slots=True)
class MissingEvent(InEvents):
    """One event is left out, the last when omitted: a stream that ends without ``data: [DONE]``.

    For the last to be known, each event waits for the next.
    """

    event: int = -1


@dataclass(frozen=True, slots=True)
class Heartbeats(Fault):
    """After the last event the body does not end: comments, which are no events, come for ever.

    A client that waits for the end of the body, and not for the last event, never returns, and its read
    timeout never fires.

    Args:
        interval: seconds between them, above 0.
    """

    interval: float = 0.05

    def __post_init__(self) -> None:
        _seconds("interval", self.interval, above=0)


@dataclass(frozen=True, slots=True)
class Substitute(Fault):
    """A fault that answers in the handler's place: the request is not executed."""

    def response(self, describe: Callable[[int, str], Response]) -> Response:
        """What is answered instead; ``describe`` is how this server words an error, from status and message."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Status(Substitute):
    """The server answers with this status and does not execute the request.

    Args:
        status: 200 to 599.
        headers: further header fields, such as ``{"Retry-After": "2"}``.
        body: the body; when omitted, an error in the shape of the server's own, and in general
            ``{"detail": ...}`` as JSON.
    """

    status: int
    headers: HeaderSource = field(default=(), hash=False)
    body: bytes | None = None

    def __post_init__(self) -> None:
        check_status(self.status)
        object.__setattr__(self, "headers", header_pairs(self.headers))

    def response(self, describe: Callable[[int, str], Response]) -> Response:
        if self.body is not None:
            return Response(self.body, status=self.status, headers=self.headers)
        return describe(self.status, f"injected status {self.status}").with_headers(self.headers)

    def __str__(self) -> str:
        return f"Status({self.status})"


@dataclass(frozen=True, slots=True)
class Redirect(Substitute):
    """The server answers with a redirect and does not execute the request.

    Args:
        location: the ``Location``.
        status: 300 to 399; 307 and 308 tell the client to send method and body again.
    """

    location: str
    status: int = 307

    def __post_init__(self) -> None:
        if not isinstance(self.status, int) or not 300 <= self.status <= 399:
            raise ScenarioError(f"status={self.status!r} is no redirect; allowed are 300 to 399, as in status=307")
        header_pairs({"Location": self.location})

    def response(self, describe: Callable[[int, str], Response]) -> Response:
        return Response(status=self.status, headers={"Location": self.location})


@dataclass(frozen=True, slots=True)
class AtListener(Fault):
    """A fault of the listening socket: it meets connections, and no request is ever seen.

    Args:
        seconds: how long it lasts.
    """

    seconds: float = 1.0

    def __post_init__(self) -> None:
        _seconds("seconds", self.seconds)


@dataclass(frozen=True, slots=True)
class Refuse(AtListener):
    """New connections are refused for ``seconds``: the client sees ``ECONNREFUSED`` at once."""


@dataclass(frozen=True, slots=True)
class FullBacklog(AtListener):
    """New connections hang for ``seconds``: the client sees its connect timeout, or waits (Linux only)."""

    def __post_init__(self) -> None:
        AtListener.__post_init__(self)
        if not sys.platform.startswith("linux"):
            raise ScenarioError(
                f"FullBacklog needs Linux, whose kernel drops what meets a full backlog; this is {sys.platform}"
            )


def _seconds(
    name: str, value: float, *, above: float | None = None, unit: str = "seconds", example: str = "0.5"
) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or (value < 0 if above is None else value <= above):
        allowed = f"{unit} from 0 up" if above is None else f"{unit} above {above:g}"
        raise ScenarioError(f"{name}={value!r} is out of range; allowed are {allowed}, as in {name}={example}")


def _whole(name: str, value: int, *, minimum: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ScenarioError(
            f"{name}={value!r} is out of range; allowed are whole numbers from {minimum} up, as in {name}=17"
        )
    return value
