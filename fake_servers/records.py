"""What the ledger holds: one frozen record for each connection and each exchange."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from multidict import CIMultiDict, CIMultiDictProxy

from fake_servers.faults import Fault
from fake_servers.http import Fields, RawHeaders, decode_headers, path_of
from fake_servers.words import Word

__all__ = ["Answered", "Closer", "Connection", "Exchange", "Outcome", "Progress"]


class Closer(Word):
    """Who closed a connection, and how."""

    CLIENT_FIN = "client FIN"
    CLIENT_RST = "client RST"
    SERVER = "server"
    FAULT = "fault"
    UPSTREAM_FIN = "upstream FIN"
    UPSTREAM_RST = "upstream RST"


class Outcome(Word):
    """What became of an exchange."""

    IN_PROGRESS = "in progress"
    ANSWERED = "answered"
    ABORTED_BY_CLIENT = "aborted by client"
    ENDED_BY_FAULT = "ended by fault"
    ENDED_BY_UPSTREAM = "ended by upstream"
    HANDLER_FAILED = "handler failed"
    SERVER_STOPPED = "server stopped"


class Progress(Word):
    """How far a request had come when its exchange ended, in order."""

    PART_READ = "part read"
    ALL_READ = "all read"
    EXECUTED = "executed"
    PART_ANSWERED = "answered in part"
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a handler answered, whatever a fault then made of it.

    Args:
        status: of the response.
        headers: its header fields, without those that follow from the body.
        parts: of its body, each with the seconds since the head of the request was read; a plain response has one.
        is_stream: whether the body was produced while it was sent.
        is_whole: whether all of it was kept; of very much, the rest is not.
        length: of the body, where a stream has declared it.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    parts: tuple[tuple[float, bytes], ...] = ()
    is_stream: bool = False
    is_whole: bool = True
    length: int | None = None

    def freeze(self) -> Answered:
        """Itself: it is a record already."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One accepted connection.

    Instants are seconds on the server's clock; ``peer`` is the client's address and port, on a unix socket
    ``"unix"`` and a running number; ``exchanges`` counts the requests that came on it; ``bytes_in`` and
    ``bytes_out`` are as the server saw them. It is closed when either side has sent FIN or RST, and abandoned
    while the server has closed it and its client still holds it, in CLOSE_WAIT. In a tunnel, the input of one that
    is open may have ended, be it that its client has closed it altogether. ``fault`` is what was planned to go wrong
    when it was accepted.
    """

    number: int
    peer: tuple[str, int] = ("127.0.0.1", 0)
    opened_at: float = 0.0
    closed_at: float | None = None
    closed_by: Closer | None = None
    is_abandoned: bool = False
    input_ended: bool = False
    exchanges: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    fault: Fault | None = None

    @property
    def is_open(self) -> bool:
        """Whether neither side has closed it."""
        return self.closed_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request on a connection and what became of it.

    Args:
        number: counted over all connections, from 1.
        connection: the connection's number.
        sequence: counted on the connection; above 1, the connection was reused.
        method: as sent; empty when the client left before it was known.
        target: as sent, with any query.
        raw_headers: the header fields as received.
        body: what was received of the body, at most 64 KiB of it.
        body_size: how many bytes of body were received.
        body_digest: a digest of the whole body where ``body`` is cut short.
        body_complete: whether the body was received to its end, be it after the exchange was over.
        begun_at: request head read.
        received_at: request read to its end; None if it never was.
        executed_at: the handler was entered; None if it never was.
        first_byte_at: the response's first byte was sent.
        finished_at: the response was sent to its end.
        ended_at: the exchange was over, whatever its outcome.
        waited: seconds of it spent waiting for a slot of the server's own.
        status: of the response, as far as one was begun.
        response_fields: the response's header fields, likewise; not those of framing.
        fault: what was planned to go wrong.
        latency: seconds that were planned to be added before the response.
        answer: what the handler answered; None where it did not, or where that was not kept.
        rest: what the server behind this one had sent of a head when it broke off.
        outcome: what became of it.
    """

    number: int
    connection: int
    sequence: int = 1
    method: str = "GET"
    target: str = "/"
    raw_headers: RawHeaders = ()
    body: bytes = b""
    body_size: int = 0
    body_digest: bytes | None = None
    body_complete: bool = True
    begun_at: float = 0.0
    received_at: float | None = None
    executed_at: float | None = None
    first_byte_at: float | None = None
    finished_at: float | None = None
    ended_at: float | None = None
    waited: float = 0.0
    status: int | None = None
    response_fields: Fields = ()
    fault: Fault | None = None
    latency: float = 0.0
    answer: Answered | None = None
    rest: bytes = b""
    outcome: Outcome = Outcome.IN_PROGRESS

    @property
    def path(self) -> str:
        """The target's path, without query and, in absolute form, without host."""
        return path_of(self.target)

    @property
    def route(self) -> str:
        """Method and path, as a pattern names them."""
        return f"{self.method} {self.path}"

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The request's header fields, by case-insensitive name."""
        return decode_headers(self.raw_headers)

    @property
    def response_headers(self) -> CIMultiDictProxy[str]:
        """The response's header fields, by case-insensitive name."""
        return CIMultiDictProxy(CIMultiDict(self.response_fields))

    @property
    def fingerprint(self) -> str:
        """Method, target and body in one short word: equal for a request that is sent again."""
        digest = blake2b(digest_size=8)
        digest.update(f"{self.method} {self.target}\n".encode("utf-8", "surrogateescape"))
        digest.update(self.body if self.body_digest is None else self.body_digest)
        return digest.hexdigest()

    @property
    def progress(self) -> Progress:
        """How far the request has come."""
        if self.finished_at is not None:
            return Progress.ANSWERED
        if self.first_byte_at is not None:
            return Progress.PART_ANSWERED
        if self.executed_at is not None:
            return Progress.EXECUTED
        return Progress.PART_READ if self.received_at is None else Progress.ALL_READ

    @property
    def service_time(self) -> float | None:
        """Seconds from request received to response finished, less any wait for a slot of the server's own."""
        if self.received_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.received_at - self.waited
