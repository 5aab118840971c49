"""What handlers see of HTTP: the request they are given, and the response or stream they return."""

from __future__ import annotations

import json as jsonlib
from asyncio import StreamReader
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

from multidict import CIMultiDict, CIMultiDictProxy

from fake_servers.errors import ScenarioError

__all__ = ["HeaderSource", "RelayedFields", "Request", "Response", "Stream", "Tunnel"]

HeaderSource = Mapping[str, str] | Iterable[tuple[str, str]]
RawHeaders = tuple[tuple[bytes, bytes], ...]
Fields = tuple[tuple[str, str], ...]

_NO_BODY: Final = frozenset({204, 304})
_encode_json: Final = jsonlib.JSONEncoder().encode


class RelayedFields(tuple[tuple[str, str], ...]):
    """Header fields that a parser has read from another server's answer, to be sent on whatever they hold."""

    __slots__ = ()


class Request:
    """One request as the server received it.

    ``method`` and ``target`` are as sent; ``path`` is the target without its query; ``body`` is complete
    when a handler sees it.
    """

    __slots__ = (
        "_headers",
        "body",
        "exchange",
        "http_version",
        "keep_alive",
        "method",
        "path",
        "raw_headers",
        "target",
    )

    def __init__(
        self,
        method: str,
        target: str,
        raw_headers: RawHeaders,
        *,
        body: bytes = b"",
        http_version: str = "1.1",
        keep_alive: bool = True,
    ) -> None:
        self.method = method
        self.target = target
        self.path = path_of(target)
        self.raw_headers = raw_headers
        self.body = body
        self.http_version = http_version
        self.keep_alive = keep_alive
        self.exchange: object = None  #: what the ledger writes about it; for the server's own use
        self._headers: CIMultiDictProxy[str] | None = None

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The header fields, by case-insensitive name."""
        if self._headers is None:
            self._headers = decode_headers(self.raw_headers)
        return self._headers

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; of a repeated name, the last value."""
        query = self.target.partition("#")[0].partition("?")[2]
        return dict(parse_qsl(query, keep_blank_values=True))

    def json(self) -> Any:
        """Decode the body as JSON.

        Raises:
            ValueError: the body is not JSON in UTF-8.
        """
        return jsonlib.loads(self.body)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target} ({len(self.body)} bytes)>"


class Response:
    """A complete response: a status, header fields and a body. Build a new one rather than changing it.

    Args:
        body: what to send; a ``str`` is sent as UTF-8.
        status: 200 to 599.
        headers: header fields beside ``Content-Length``, which is always set from the body.
        content_type: the ``Content-Type``; none is sent when omitted.

    No ``Date`` is sent: the same response is the same bytes in every run, so that a cut after byte k means
    the same thing in each.

    Raises:
        ScenarioError: the status is out of range, or a header field holds a line break.
    """

    __slots__ = ("_head", "body", "headers", "status")

    def __init__(
        self,
        body: bytes | str = b"",
        *,
        status: int = 200,
        headers: HeaderSource | None = None,
        content_type: str | None = None,
    ) -> None:
        self.status = check_status(status)
        self.headers = _content_type(content_type) if headers is None else header_pairs(headers, content_type)
        self.body = body.encode() if isinstance(body, str) else bytes(body)
        self._head: bytes | None = None

    @classmethod
    def json(cls, value: Any, *, status: int = 200, headers: HeaderSource | None = None) -> Response:
        """A response whose body is ``value`` as JSON."""
        body = _encode_json(value).encode()
        return cls(body, status=status, headers=headers, content_type="application/json")

    @classmethod
    def text(cls, value: str, *, status: int = 200, headers: HeaderSource | None = None) -> Response:
        """A response whose body is ``value`` as plain text in UTF-8."""
        return cls(value, status=status, headers=headers, content_type="text/plain; charset=utf-8")

    def with_headers(self, headers: HeaderSource) -> Response:
        """This response with further header fields."""
        return Response(self.body, status=self.status, headers=(*self.headers, *header_pairs(headers)))

    @property
    def head(self) -> bytes:
        """The status line and header fields as they go onto the wire, without the final empty line."""
        if self._head is None:
            head = encode_head(self.status, self.headers)
            self._head = head if self.status in _NO_BODY else b"%bContent-Length: %d\r\n" % (head, len(self.body))
        return self._head

    def __repr__(self) -> str:
        return f"<Response {self.status} ({len(self.body)} bytes)>"


class Stream:
    """A response whose body is produced while it is sent, with back-pressure from the client.

    Args:
        chunks: yields the body's parts; an empty part is passed over. It is closed when the client goes.
            Where the body is a stream of events, each part is one: faults count them.
        status: 200 to 599.
        headers: further header fields.
        content_type: the ``Content-Type``; none is sent when omitted.
        length: the body's size in bytes where it is known. Otherwise the body is sent in chunks, and to an
            HTTP/1.0 client up to the end of the connection (RFC 9112, sections 6.3 and 7.1).
        has_events: whether faults in events count the parts, and do not pass this body over.

    Raises:
        ScenarioError: the status is out of range, or a header field holds a line break.
    """

    __slots__ = ("chunks", "has_events", "headers", "length", "status")

    def __init__(
        self,
        chunks: AsyncIterable[bytes],
        *,
        status: int = 200,
        headers: HeaderSource | None = None,
        content_type: str | None = None,
        length: int | None = None,
        has_events: bool = True,
    ) -> None:
        if length is not None and length < 0:
            raise ScenarioError(f"length={length!r} is no size; allowed are None or bytes from 0 up, as in length=9")
        self.chunks = chunks
        self.status = check_status(status)
        self.headers = header_pairs(headers, content_type)
        self.length = length
        self.has_events = has_events

    def __repr__(self) -> str:
        size = "unknown length" if self.length is None else f"{self.length} bytes"
        return f"<Stream {self.status} ({size})>"


class Tunnel:
    """A response after whose head the connection carries bytes both ways and no more HTTP, until it is closed.

    Args:
        serve: takes what the client sends, up to its FIN, and yields what is sent back; the server closes
            the connection when it ends.
        status: 101, or 200 to 599.
        headers: further header fields.
        content_type: the ``Content-Type``; none is sent when omitted.

    Raises:
        ScenarioError: the status is out of range, or a header field holds a line break.
    """

    __slots__ = ("headers", "parts", "serve", "status")

    def __init__(
        self,
        serve: Callable[[StreamReader], AsyncIterable[bytes]],
        *,
        status: int = 101,
        headers: HeaderSource | None = None,
        content_type: str | None = None,
    ) -> None:
        self.serve = serve
        self.parts: AsyncIterable[bytes] = _nothing()  #: what is sent back, once the connection is open for it
        self.status = status if status == 101 else check_status(status)
        self.headers = header_pairs(headers, content_type)

    def open(self, incoming: StreamReader) -> None:
        """Begin to serve, with what the client sends from now on."""
        self.parts = self.serve(incoming)

    def __repr__(self) -> str:
        return f"<Tunnel {self.status}>"


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


def has_body(method: str, status: int) -> bool:
    """Whether a response of this status to this method has a body on the wire (RFC 9112, section 6.3)."""
    return method != "HEAD" and status not in _NO_BODY


def encode(request: Request, response: Response) -> bytes:
    """A response as it goes onto the wire in answer to this request."""
    kept = request.keep_alive and request.http_version != "1.0"
    body = response.body if has_body(request.method, response.status) else b""
    return b"%b%b\r\n%b" % (response.head, b"" if kept else persistence(request), body)


def persistence(request: Request) -> bytes:
    """The header field that says whether the connection stays open, where the version's default does not."""
    if request.keep_alive:
        return b"Connection: keep-alive\r\n" if request.http_version == "1.0" else b""
    return b"Connection: close\r\n"


def encode_head(status: int, headers: Fields, *framing: tuple[str, str]) -> bytes:
    """A status line and header fields as bytes, without the empty line that ends them."""
    is_another_each_time = isinstance(headers, RelayedFields)
    return (_head if is_another_each_time else _kept_head)(status, headers + framing)


def _head(status: int, fields: Fields) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return status_line(status) + lines.encode("latin-1")


_kept_head = lru_cache(maxsize=1024)(_head)


@cache
def status_line(status: int) -> bytes:
    """The status line of an HTTP/1.1 response, with its line end."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode("ascii")


def decode_headers(raw_headers: RawHeaders) -> CIMultiDictProxy[str]:
    """Header fields as received, readable by case-insensitive name."""
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw_headers]
    return CIMultiDictProxy(CIMultiDict(pairs))


def header_pairs(headers: HeaderSource | None, content_type: str | None = None) -> tuple[tuple[str, str], ...]:
    """Header fields from a mapping or from pairs, checked for characters that would end a line."""
    if isinstance(headers, RelayedFields) and content_type is None:
        return headers
    if headers is None:
        items: Iterable[tuple[str, str]] = ()
    else:
        items = headers.items() if isinstance(headers, Mapping) else headers
    pairs = tuple((str(name), str(value)) for name, value in items)
    if content_type is not None:
        pairs = (("Content-Type", content_type), *pairs)
    for name, value in pairs:
        if not name or any(mark in name + value for mark in "\r\n\0"):
            raise ScenarioError(f"header field {name!r}: {value!r} must have a name and no line break")
        if not (name + value).isascii():
            raise ScenarioError(f"header field {name!r}: {value!r} must be ASCII; encode the value first")
    return pairs


@lru_cache(maxsize=256)
def _content_type(value: str | None) -> tuple[tuple[str, str], ...]:
    return header_pairs(None, value)


def check_status(status: int) -> int:
    """Refuse a status that is not a final response's."""
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise ScenarioError(f"status={status!r} is not a final status; allowed are 200 to 599, as in status=503")
    return status


@lru_cache(maxsize=256)
def path_of(target: str) -> str:
    """The path of a request target in origin form or absolute form (RFC 9112, section 3.2)."""
    path = target.partition("?")[0]
    if path.startswith("/") or "://" not in path:
        return path
    _, slash, rest = path.partition("://")[2].partition("/")
    return slash + rest or "/"
