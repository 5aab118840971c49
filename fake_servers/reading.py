"""Reading requests: bytes in, requests out, with their sizes limited and their faults planned (RFC 9112)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, cast

import httptools

from fake_servers.delivery import Turn
from fake_servers.entries import ConnectionEntry, ExchangeEntry
from fake_servers.errors import FakeServerError
from fake_servers.faults import AtMoment, Fault
from fake_servers.http import Request
from fake_servers.records import Outcome
from fake_servers.service import Service

__all__ = ["RequestReader"]

_METHODS: Final = {name.encode(): name for name in ("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS")}


@lru_cache(maxsize=256)
def _decoded(url: bytes) -> str:
    return url.decode("utf-8", "surrogateescape")


class RequestReader:
    """The reading half of a connection. What it reads goes to the methods below that a connection fills in.

    It is deaf once nothing more is to be processed, and over once either side has ended the connection.
    """

    __slots__ = (
        "_body",
        "_body_size",
        "_deaf",
        "_expects",
        "_fed",
        "_head_blocks",
        "_headers",
        "_in_head",
        "_intercept",
        "_is_chunked",
        "_length",
        "_mixed",
        "_next_fault",
        "_over",
        "_owed",
        "_parser",
        "_reading",
        "_too_long",
        "_url",
        "entry",
        "service",
    )

    def __init__(self, service: Service) -> None:
        self.service = service
        self.entry: ConnectionEntry = cast(ConnectionEntry, None)  # until the connection is made
        self._parser = httptools.HttpRequestParser(self)
        self._reading: Turn | None = None
        self._intercept: Callable[[bytes], None] | None = None
        self._next_fault: AtMoment | None = None
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._body_size = 0
        self._fed = 0
        self._mixed = False
        self._head_blocks = 0
        self._in_head = False
        self._expects = False
        self._too_long = False
        self._is_chunked = False
        self._length = 0
        self._owed = 0
        self._over = False
        self._deaf = False

    # -- what a connection does with it -------------------------------------------------------------------

    def _head_arrived(self, turn: Turn) -> None:
        """The head of a request was read that meets a fault or waits to be invited to send its body."""
        raise NotImplementedError

    def _request_arrived(self, turn: Turn) -> None:
        """A request was read to its end."""
        raise NotImplementedError

    def _last_read(self) -> None:
        """The rest of a request was read whose exchange was over before."""
        raise NotImplementedError

    def _enqueue(self, turn: Turn) -> None:
        """A refusal is to be sent when its turn has come."""
        raise NotImplementedError

    def _meet(self, fault: Fault) -> None:
        """A fault acts between exchanges."""
        raise NotImplementedError

    def _offered(self, rest: bytes) -> bool:
        """An offer to switch protocols was read: return whether what came behind it is kept until it is answered."""
        raise NotImplementedError

    def abort(self, outcome: Outcome) -> None:
        """Close at once, whatever is going on."""
        raise NotImplementedError

    # -- the parser's callbacks ---------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._next_fault is not None:
            fault, self._next_fault = self._next_fault, None
            self._meet(fault)
        self._in_head = not self._deaf
        self._expects = self._too_long = self._is_chunked = False
        self._length = 0
        self._head_blocks = 1 - self._fed if self._mixed else 0
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))
        length = len(name)
        if length == 6 and name.lower() == b"expect":
            self._expects = value.lower() == b"100-continue"
        elif length == 14 and name.lower() == b"content-length":
            self._length = int(value) if value.isdigit() else 0
            self._too_long = self._length > self.service.limits.body
        elif length == 17 and name.lower() == b"transfer-encoding":
            self._is_chunked = True

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._deaf:
            return
        parser = self._parser
        service = self.service
        headers = tuple(self._headers)
        method = parser.get_method()
        request = Request(
            _METHODS.get(method) or method.decode("latin-1"),
            _decoded(self._url),
            headers,
            http_version=parser.get_http_version(),
            keep_alive=parser.should_keep_alive(),
        )
        entry = ExchangeEntry(self.entry, request.method, request.target, request.path, headers)
        request.exchange = entry
        plan = service.run.plan(request.method, request.path) if service.run.plans_requests else None
        self._reading = Turn(entry, request, plan)
        if self._body_size:
            self._body = []
            self._body_size = 0
        if plan is not None:
            entry.fault, entry.latency = plan.fault, plan.latency
            service.recorder.begun(entry)
        if (self._fed > service.limits.head or self._head_blocks > 0) and self._head_size > service.limits.head:
            self._refuse_head()
        elif self._too_long:
            self._refuse(413, f"a body of over {service.limits.body} bytes is not taken")
        elif parser.should_upgrade() and self._is_chunked:
            self._refuse(411, "a body that comes with an offer to switch protocols must have a Content-Length")
        else:
            self._owed = self._length if parser.should_upgrade() else 0
            if plan is not None or self._expects:
                self._head_arrived(self._reading)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)
        self._body_size += len(body)
        if self._body_size > self.service.limits.body and not self._deaf:
            self._refuse(413, f"a body of over {self.service.limits.body} bytes is not taken")

    def on_message_complete(self) -> None:
        if self._owed:  # the parser takes an offer to switch protocols for the end of the request
            return
        self._mixed = True
        turn = self._reading
        if turn is None:
            return
        self._reading = None
        if self._body_size or self._over:
            self._keep_body(turn, complete=True)
        else:
            turn.entry.body_complete = True
        if self._over:
            self._last_read()
        else:
            self._request_arrived(turn)
        if not turn.request.keep_alive:
            # What comes after "Connection: close" must not be processed (RFC 9112, section 9.6).
            self._deaf = True
            self._intercept = self._discard

    # -- feeding it ---------------------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        self._fed = len(data)
        self._mixed = False
        self._parse(data)
        if self._reading is not None and not self._reading.entry.number:
            self.service.recorder.begun(self._reading.entry)
        if self._in_head:
            # A line that does not end is not parsed, so the blocks of data that are all head are counted as well.
            self._head_blocks += len(data)
            if max(self._head_blocks, self._head_size) > self.service.limits.head:
                self._refuse_head()

    def _parse(self, data: bytes) -> None:
        if self._owed:
            data = self._read_owed(data)
            if self._owed or self._offered(data):
                return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserUpgrade, httptools.HttpParserError) as error:
            self._stumble(data, error)

    def _read_owed(self, data: bytes) -> bytes:
        """Read the body of a request that offers to switch protocols; return what comes behind it."""
        body, rest = data[: self._owed], data[self._owed :]
        self._owed -= len(body)
        if body:
            self.on_body(body)
        if not self._owed:
            self.on_message_complete()
        return rest

    def _stumble(self, data: bytes, error: Exception) -> None:
        """Deal with what stopped the parser."""
        while isinstance(error, httptools.HttpParserUpgrade):
            # An offer to switch protocols may be ignored (RFC 9110, section 7.8): then what follows is HTTP.
            data = data[error.args[0] :]
            self._parser = httptools.HttpRequestParser(self)
            if self._owed:
                data = self._read_owed(data)
            if self._owed or self._offered(data):
                return
            try:
                self._parser.feed_data(data)
            except (httptools.HttpParserUpgrade, httptools.HttpParserError) as another:
                error = another
            else:
                return
        if isinstance(error, httptools.HttpParserCallbackError):
            self.service.errors.append(FakeServerError(f"the engine failed: {error.__context__!r}"))
            self.abort(Outcome.HANDLER_FAILED)
        elif not self._deaf:
            self._refuse(400, f"malformed request: {error}")

    def _keep_body(self, turn: Turn, *, complete: bool) -> None:
        turn.request.body = b"".join(self._body)
        self.service.recorder.body_read(turn.entry, turn.request.body, complete=complete)

    @property
    def _head_size(self) -> int:
        return len(self._url) + sum(len(name) + len(value) for name, value in self._headers)

    def _refuse_head(self) -> None:
        self._refuse(431, f"a request head of over {self.service.limits.head} bytes is not taken")

    def _refuse(self, status: int, detail: str) -> None:
        """Answer with an error once everything before is answered, and read nothing more."""
        turn = self._reading or self._partial()
        if not turn.entry.number:
            self.service.recorder.begun(turn.entry)
        self._reading = None
        self._in_head = False
        self._owed = 0
        self._deaf = True
        self._intercept = self._discard
        turn.request.keep_alive = False
        refusal = self.service.describe(turn.request, status, detail)
        self._enqueue(Turn(turn.entry, turn.request, None, refusal))

    def _partial(self) -> Turn:
        """A request of which not even the head has come whole."""
        url, headers = (self._url, tuple(self._headers)) if self._in_head else (b"", ())
        method = self._parser.get_method().decode("latin-1") if url else ""
        request = Request(method, _decoded(url), headers)
        entry = ExchangeEntry(self.entry, method, request.target, request.path, headers)
        self.service.recorder.begun(entry)
        return Turn(entry, request, None)

    def _discard(self, data: bytes) -> None:
        """After FIN: take what still comes, so that closing does not turn into RST."""
        if self._reading is not None:
            self._feed(data)  # the rest of a request that was cut off tells which one it was
