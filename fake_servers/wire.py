"""Responses as bytes on the wire, correct ones and, where a fault asks for it, broken ones (RFC 9112)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from random import Random
from typing import Final

from fake_servers.faults import Fault, Malformed, WrongLength
from fake_servers.http import Request, Response, Stream, encode, encode_head, has_body, persistence
from fake_servers.service import Answer

__all__ = ["encoded"]

# Fixed, so that every run sends the same; no byte of it can begin a status line.
_GARBAGE: Final = bytes(byte for byte in Random(0).randbytes(256) if byte not in b"Hh\r\n")


async def encoded(request: Request, answer: Answer, fault: Fault | None) -> AsyncGenerator[bytes, None]:
    """Yield the answer's bytes in blocks, the head first."""
    if isinstance(fault, (Malformed, WrongLength)):
        yield _broken(request, await _complete(answer), fault)
    elif isinstance(answer, Response):
        yield encode(request, answer)
    else:
        async with aclosing(_streamed(request, answer)) as blocks:
            async for block in blocks:
                yield block


async def _streamed(request: Request, stream: Stream) -> AsyncGenerator[bytes, None]:
    chunked = stream.length is None and request.http_version != "1.0"
    if stream.length is None and not chunked:
        request.keep_alive = False  # to HTTP/1.0, the end of the connection is the end of the body
    framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(stream.length))
    framed = has_body("", stream.status) and (chunked or stream.length is not None)
    headers = (*stream.headers, framing) if framed else stream.headers
    yield encode_head(stream.status, headers) + persistence(request) + b"\r\n"
    if has_body(request.method, stream.status):
        async for chunk in _body(stream):
            yield b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk
        if chunked:
            yield b"0\r\n\r\n"


async def _body(stream: Stream) -> AsyncGenerator[bytes, None]:
    """The stream's parts, checked against its declared length; its source is closed on every way out."""
    size = 0
    source = stream.chunks
    try:
        async for chunk in source:
            size += len(chunk)
            if chunk:
                yield bytes(chunk)
    finally:
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()
    if stream.length is not None and size != stream.length:
        raise ValueError(f"the stream's length is {stream.length} bytes, and its chunks have {size}")


async def _complete(answer: Answer) -> Response:
    if isinstance(answer, Response):
        return answer
    body = b"".join([chunk async for chunk in _body(answer)])
    return Response(body, status=answer.status, headers=answer.headers)


def _broken(request: Request, response: Response, fault: Malformed | WrongLength) -> bytes:
    body = response.body if has_body(request.method, response.status) else b""
    if isinstance(fault, WrongLength):
        length = max(0, len(response.body) + fault.delta)
        headers = (*response.headers, ("Content-Length", str(length)))
        return encode_head(response.status, headers) + persistence(request) + b"\r\n" + body
    if fault.part == "garbage":
        return _GARBAGE
    if fault.part == "chunk":
        headers = (*response.headers, ("Transfer-Encoding", "chunked"))
        return encode_head(response.status, headers) + b"\r\nZZ\r\n" + body + b"\r\n0\r\n\r\n"
    line, _, fields = response.head.partition(b"\r\n")
    if fault.part == "status":
        line = b"HTTP/1.1 two-hundred"
    else:
        fields = b"this line has no colon\r\n" + fields
    return line + b"\r\n" + fields + b"\r\n" + body
