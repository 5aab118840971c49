"""One connection to the upstream, for one of the client's: bytes, back-pressure, and how it ended."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from typing import Final, cast

from fake_servers.deadlines import timeout
from fake_servers.errors import UpstreamEnded
from fake_servers.proxy.upstream import Upstream
from fake_servers.sockets import reset_on_close
from fake_servers.words import Word

__all__ = ["End", "Link", "Unreachable", "pump"]

_MOST_UNREAD: Final = 256 * 1024
_BLOCK: Final = 64 * 1024


class End(Word):
    """How the upstream has ended a connection."""

    FIN = "FIN"
    RST = "RST"


class Unreachable(Exception):
    """There is no connection to the upstream; the message says why."""


class Link(asyncio.Protocol):
    """A connection to the upstream. It is opened once: nothing that was sent on it is ever sent again.

    Args:
        changed: called when bytes have come, and when the upstream has ended it.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self.end: End | None = None
        self.lost = asyncio.Event()
        self.was_broken = False  #: whether it was lost by an RST, be it after the upstream's FIN
        self.local: tuple[str, int] | None = None  #: see `_local_name`
        self._changed = changed
        self._transport: asyncio.Transport | None = None
        self._problem: str | None = None
        self._opened = asyncio.Event()
        self._received = bytearray()
        self._news = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    async def open(self, upstream: Upstream, context: ssl.SSLContext | None, *, within: float) -> bool:
        """Connect; return whether that succeeded within so many seconds."""
        loop = asyncio.get_running_loop()
        try:
            async with timeout(within):
                if upstream.scheme == "unix":
                    await loop.create_unix_connection(lambda: self, upstream.host)
                else:
                    await loop.create_connection(lambda: self, upstream.host, upstream.port, ssl=context)
        except asyncio.TimeoutError:
            self.refuse(f"no connection to it in {within:g} s")
        except (OSError, UnicodeError) as error:  # the latter for a name that can be no host's
            self.refuse(_reason(error))
            if isinstance(error, ConnectionResetError):  # it was accepted, and ended before it was seen to be open
                self._ended(End.RST)
        self._opened.set()
        return self._problem is None

    def refuse(self, problem: str) -> None:
        """There will be no connection."""
        self._problem = problem
        self._opened.set()

    async def ready(self) -> None:
        """Wait until it is open.

        Raises:
            Unreachable: it could not be opened.
        """
        await self._opened.wait()
        if self._problem is not None:
            raise Unreachable(self._problem)

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, be it that one side has sent FIN."""
        return self._transport is not None and not self.lost.is_set()

    @property
    def received(self) -> bytes:
        """What has come and was not read."""
        return bytes(self._received)

    # -- the transport's callbacks ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.local = _local_name(transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > _MOST_UNREAD and self._transport is not None:
            self._transport.pause_reading()
        self._tell()

    def eof_received(self) -> bool:
        self._ended(End.FIN)
        return self._transport is not None and self._transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self.was_broken = exc is not None
        self.lost.set()
        self._writable.set()
        self._ended(End.FIN if exc is None else End.RST)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _ended(self, end: End) -> None:
        self.end = self.end or end
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._changed()

    # -- reading and writing ------------------------------------------------------------------------------

    async def read(self) -> bytes:
        """What has come, once something has; empty when the upstream has ended it: ``end`` says how."""
        while not self._received and self.end is None:
            self._news.clear()
            await self._news.wait()
        data = bytes(self._received)
        self._received.clear()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        return data

    def write(self, data: bytes) -> None:
        """Send bytes, unless it is over."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait while the upstream is too slow in taking what was written."""
        await self._writable.wait()

    def write_eof(self) -> None:
        """Send FIN after what was written; over TLS, which can't be half closed by asyncio, close."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def close(self) -> None:
        """Close it after what was written."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Close it with RST."""
        if self._transport is not None and not self._transport.is_closing():
            reset_on_close(self._transport)
            self._transport.abort()

    def abort(self) -> None:
        """Close it now."""
        if self._transport is not None:
            self._transport.abort()

    def raise_end(self, rest: bytes = b"") -> None:
        """Pass on that the upstream has ended it in mid-exchange, with what it had sent of a head.

        Raises:
            UpstreamEnded: always.
        """
        raise UpstreamEnded(reset=self.end is End.RST, rest=rest)


def _local_name(transport: asyncio.BaseTransport) -> tuple[str, int]:
    """The address and port by which a server of this machine knows it.

    To a unix socket, where there are none, the name that the server has given that, and the number of our own inode.
    """
    name = transport.get_extra_info("sockname")
    if isinstance(name, tuple):
        return name[:2]
    return transport.get_extra_info("peername"), os.fstat(transport.get_extra_info("socket").fileno()).st_ino


def _reason(error: OSError | UnicodeError) -> str:
    """Why connecting has failed, in the system's words where it has some."""
    if isinstance(error, ConnectionError) and error.errno is not None:
        return os.strerror(error.errno)
    return str(error)


async def pump(reader: asyncio.StreamReader, link: Link) -> None:
    """Send on what a client sends, with back-pressure from the upstream, and its FIN at the end."""
    while data := await reader.read(_BLOCK):
        link.write(data)
        await link.drain()
    link.write_eof()
