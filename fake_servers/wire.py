"""Responses as bytes on the wire, correct ones and, where a fault asks for it, broken ones (RFC 9112)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from contextlib import aclosing
from random import Random
from typing import Final

from fake_servers.answers import close
from fake_servers.faults import Fault, Malformed, WrongLength
from fake_servers.garbling import garbled, is_about_events
from fake_servers.http import Request, Response, Stream, Tunnel, encode, encode_head, has_body, persistence
from fake_servers.service import Answer

__all__ = ["Last", "encoded"]

# Fixed, so that every run sends the same; no byte of it can begin a status line.
_GARBAGE: Final = bytes(byte for byte in Random(0).randbytes(256) if byte not in b"Hh\r\n")
_CHUNKED: Final = ("Transfer-Encoding", "chunked")
_MOST_OF_BROKEN: Final = 1024 * 1024  #: where the length is not known


class Last(bytes):
    """The block after which a response is complete."""

    __slots__ = ()


async def encoded(
    request: Request, answer: Answer, fault: Fault | None, sleep: Callable[[float], Awaitable[None]]
) -> AsyncGenerator[bytes, None]:
    """Yield the answer's bytes in blocks: of a stream the head, each part, and last what ends it, perhaps nothing.

    Args:
        request: what is answered.
        answer: what the handler returned, a tunnel as the stream that it has become.
        fault: what is to go wrong inside.
        sleep: the server's.
    """
    if isinstance(fault, (Malformed, WrongLength)):
        source = _broken(request, answer, fault)
    elif isinstance(answer, Response):
        yield Last(encode(request, answer))
        return
    else:
        source = _in_blocks(request, answer, fault, sleep)
    async with aclosing(source) as blocks:
        async for block in blocks:
            yield block


def _in_blocks(
    request: Request, answer: Stream | Tunnel, fault: Fault | None, sleep: Callable[[float], Awaitable[None]]
) -> AsyncGenerator[bytes, None]:
    source = answer.parts if isinstance(answer, Tunnel) else answer.chunks
    if isinstance(answer, Stream) and not answer.has_events:
        return _streamed(request, answer, source)
    if isinstance(answer, Stream) and is_about_events(fault):
        # What is sent is not what was declared, and an event that completed a length would be the end of the body.
        answer = Stream(source, status=answer.status, headers=answer.headers)
    parts = source if fault is None else garbled(source, fault, sleep)
    return _tunnelled(answer, parts) if isinstance(answer, Tunnel) else _streamed(request, answer, parts)


async def _streamed(request: Request, stream: Stream, parts: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    chunked = stream.length is None and request.http_version != "1.0"
    if stream.length is None and not chunked:
        request.keep_alive = False  # to HTTP/1.0, the end of the connection is the end of the body
    framing = _CHUNKED if chunked else ("Content-Length", str(stream.length))
    framed = has_body("", stream.status) and (chunked or stream.length is not None)
    yield encode_head(stream.status, stream.headers, *([framing] if framed else ())) + persistence(request) + b"\r\n"
    ended = False
    if has_body(request.method, stream.status):
        async with aclosing(_body(parts, stream.length)) as chunks:
            async for chunk in chunks:
                ended = isinstance(chunk, Last)
                yield b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk
        if chunked:
            yield Last(b"0\r\n\r\n")
            return
    if not ended:
        yield Last()


async def _tunnelled(tunnel: Tunnel, parts: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    yield encode_head(tunnel.status, tunnel.headers) + b"\r\n"
    async with aclosing(_body(parts, None)) as chunks:
        async for chunk in chunks:
            yield chunk
    yield Last()


async def _body(parts: AsyncIterable[bytes], length: int | None) -> AsyncGenerator[bytes, None]:
    """The parts that are not empty, checked against the declared length; the source is closed on every way out.

    What completes the length is kept until the source has ended, so that nothing is sent behind it.
    """
    size = 0
    final = b""
    try:
        async for chunk in parts:
            size += len(chunk)
            if size == length:
                final += chunk
            elif chunk:
                yield bytes(chunk)
    finally:
        await close(parts)
    if length is not None and size != length:
        raise ValueError(f"the stream's length is {length} bytes, and its chunks have {size}")
    if final:
        yield Last(final)


async def _broken(request: Request, answer: Answer, fault: Malformed | WrongLength) -> AsyncGenerator[bytes, None]:
    """What the fault makes of an answer: of a stream whose length is known block by block, else at once."""
    if isinstance(fault, Malformed) and fault.part == "garbage":
        yield Last(_GARBAGE)
        return
    end = b"\r\n0\r\n\r\n" if isinstance(fault, Malformed) and fault.part == "chunk" else b""
    if not (isinstance(answer, Stream) and answer.length is not None):
        response = await _complete(answer)
        body = response.body if has_body(request.method, response.status) else b""
        yield Last(_broken_head(request, response, len(response.body), fault) + body + end)
        return
    yield _broken_head(request, answer, answer.length, fault)
    last = Last(end)
    if has_body(request.method, answer.status):
        async with aclosing(_body(answer.chunks, answer.length)) as chunks:
            async for chunk in chunks:
                if isinstance(chunk, Last):
                    last = Last(chunk + end)
                else:
                    yield chunk
    yield last


async def _complete(answer: Answer) -> Response:
    """An answer of unknown length with as much of its body as is waited for."""
    if isinstance(answer, Response):
        return answer
    if isinstance(answer, Tunnel):  # it ends when the client wants it to, so it is broken from the start
        await close(answer.parts)
        return Response(headers=answer.headers)
    async with aclosing(_body(answer.chunks, None)) as chunks:
        body = b""
        async for chunk in chunks:
            body += chunk
            if len(body) > _MOST_OF_BROKEN:  # a stream need not end
                break
    return Response(body, status=answer.status, headers=answer.headers)


def _broken_head(request: Request, answer: Response | Stream, length: int, fault: Malformed | WrongLength) -> bytes:
    """All that comes before a body of this length."""
    if isinstance(fault, WrongLength):
        declared = ("Content-Length", str(max(0, length + fault.delta)))
        return encode_head(answer.status, answer.headers, declared) + persistence(request) + b"\r\n"
    if fault.part == "chunk":
        return encode_head(answer.status, answer.headers, _CHUNKED) + b"\r\nZZ\r\n"
    framing = [("Content-Length", str(length))] if has_body("", answer.status) else []
    line, _, fields = encode_head(answer.status, answer.headers, *framing).partition(b"\r\n")
    if fault.part == "status":
        line = b"HTTP/1.1 two-hundred"
    else:
        fields = b"this line has no colon\r\n" + fields
    return line + b"\r\n" + fields + b"\r\n"
