"""The private channel between a server's two sides: a socket pair, and messages behind their length."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import pickle
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, BinaryIO, Final, cast

__all__ = ["RING", "Channel", "Ended", "Messages"]

RING: Final = 0  #: in place of a request's number: something was recorded
_LENGTH: Final = struct.Struct("!Q")
_LONGEST_SEND: Final = struct.pack("ll", 5, 0)  # a timeval: socket(7), SO_SNDTIMEO


class Ended(Exception):
    """The other side has ended the channel."""


class Channel:
    """The asking side: a thread reads the answers, and hands each to who waits for it.

    Args:
        sock: this side's end.
        changed: called, in that thread, when the other side rings, and when it has ended the channel.
    """

    def __init__(self, sock: socket.socket, changed: Callable[[], None]) -> None:
        self._socket = sock
        self._changed = changed
        self._numbers = itertools.count(RING + 1)
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[Any]] = {}
        self._has_ended = False
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _LONGEST_SEND)
        self._thread = threading.Thread(target=self._read, name="fake-server-channel", daemon=True)
        self._thread.start()

    def request(self, name: str, *arguments: Any) -> Future[Any]:
        """Ask for something; the result raises `Ended` if the channel ends before there is an answer."""
        answer: Future[Any] = Future()
        with self._lock:
            number = next(self._numbers)
            self._waiting[number] = answer
            try:
                if self._has_ended:
                    raise Ended
                self._socket.sendall(_framed((number, name, arguments)))
            except (OSError, Ended):
                self._waiting.pop(number).set_exception(Ended())
        return answer

    def close(self) -> None:
        """End the channel."""
        with contextlib.suppress(OSError):  # the other side was first
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _read(self) -> None:
        with self._socket.makefile("rb") as file:
            while message := self._message(file):
                self._take(*pickle.loads(message))
        self._end()

    def _message(self, file: BinaryIO) -> bytes | None:
        """The next message; None when there is none, or not all of it, because the other side has ended."""
        try:
            header = file.read(_LENGTH.size)
            if len(header) < _LENGTH.size:
                return None
            (length,) = _LENGTH.unpack(header)
            message = file.read(length)
        except OSError:
            return None
        return message if len(message) == length else None

    def _take(self, number: int, is_well: bool, value: Any) -> None:
        if number == RING:
            self._changed()
            return
        with self._lock:
            answer = self._waiting.pop(number)
        if is_well:
            answer.set_result(value)
        else:
            answer.set_exception(value)

    def _end(self) -> None:
        with self._lock:
            self._has_ended = True
            waiting = list(self._waiting.values())
            self._waiting.clear()
        for answer in waiting:
            answer.set_exception(Ended())
        self._changed()


class Messages(asyncio.Protocol):
    """The answering side, in a loop.

    Args:
        take: called with each request: its number, its name and its arguments.
        ended: called when the other side has ended the channel.
    """

    def __init__(self, take: Callable[[int, str, tuple[Any, ...]], None], ended: Callable[[], None]) -> None:
        self._transport: asyncio.WriteTransport = cast(asyncio.WriteTransport, None)  # until connection_made
        self._take = take
        self._ended = ended
        self._read = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self._read += data
        while len(self._read) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._read)[0]
            if len(self._read) < end:
                return
            message = bytes(self._read[_LENGTH.size : end])
            del self._read[:end]
            self._take(*pickle.loads(message))

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended()

    def answer(self, number: int, value: Any) -> None:
        """Answer a request."""
        self._transport.write(_framed((number, True, value)))

    def fail(self, number: int, error: BaseException) -> None:
        """Answer a request by an error."""
        self._transport.write(_framed((number, False, error)))

    def ring(self) -> None:
        """Tell that something was recorded."""
        self._transport.write(_framed((RING, True, None)))


def _framed(message: object) -> bytes:
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(data)) + data
