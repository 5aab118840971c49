"""What asyncio's transports do not offer: FIN at a known instant, RST, and how much the kernel has yet to send."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import select
import socket
import struct
import sys
from typing import Final

__all__ = [
    "describe_descriptor_limit",
    "end_sending",
    "has_left",
    "raise_descriptor_limit",
    "reset_on_close",
    "unread",
    "unsent",
]

_SIOCOUTQNSD: Final = 0x894B  # Linux, tcp(7): bytes in the send queue that were not sent yet
_SIOCOUTQ: Final = 0x5411  # Linux, unix(7) and tcp(7): bytes that the other side has not read, or not acknowledged
_NO_LINGER: Final = struct.pack("ii", 1, 0)


def describe_descriptor_limit() -> str:
    """How many files this process may have open, in words (getrlimit(2), RLIMIT_NOFILE)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return f"This process may have {soft:,} files open, and {hard:,} if it asks for them"


def raise_descriptor_limit() -> None:
    """Let this process open as many files as it may: raise the soft limit to the hard one (getrlimit(2))."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # macOS takes no infinite one
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def end_sending(transport: asyncio.Transport) -> None:
    """Send FIN now, behind the transport's back, which is to write nothing more.

    Told ``write_eof``, uvloop would send it in a later round of the loop; and told both, it would take the second
    shutdown's failure, where the client has left in the meantime, as a reason to read nothing more.
    """
    borrowed = _borrow(transport)
    if borrowed is not None:
        with contextlib.suppress(OSError):  # the client may have closed or reset it already
            borrowed.shutdown(socket.SHUT_WR)
        borrowed.detach()


def reset_on_close(transport: asyncio.Transport) -> None:
    """Have the connection end with RST when the transport closes its socket (socket(7), SO_LINGER)."""
    borrowed = _borrow(transport)
    if borrowed is not None:
        borrowed.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        borrowed.detach()


def has_left(transport: asyncio.Transport) -> bool:
    """Whether the other side has sent FIN or RST, be there unread data before it; where Linux's poll(2) tells."""
    held = transport.get_extra_info("socket")
    if held is None or held.fileno() < 0 or not hasattr(select, "POLLRDHUP"):
        return False
    poll = select.poll()
    poll.register(held.fileno(), select.POLLRDHUP)
    return bool(poll.poll(0))


def unsent(transport: asyncio.Transport) -> int:
    """How many written bytes have not left this host's send queues, as far as the platform tells."""
    waiting = transport.get_write_buffer_size()
    borrowed = _borrow(transport)
    if borrowed is None:
        return waiting
    is_tcp, descriptor = borrowed.family == socket.AF_INET, borrowed.detach()
    if waiting or not is_tcp or not sys.platform.startswith("linux"):
        return waiting
    return _queue_size(descriptor, _SIOCOUTQNSD)


def unread(transport: asyncio.Transport) -> int:
    """How many sent bytes the client has not read, where it is on this host and the platform tells; else 0."""
    borrowed = _borrow(transport)
    if borrowed is None:
        return 0
    is_tcp, descriptor = borrowed.family == socket.AF_INET, borrowed.detach()
    if not sys.platform.startswith("linux"):
        return 0
    if not is_tcp:
        return _queue_size(descriptor, _SIOCOUTQ)
    return _received_by(transport.get_extra_info("peername"), transport.get_extra_info("sockname"))


def _queue_size(descriptor: int, queue: int) -> int:
    import fcntl

    return int(struct.unpack("i", fcntl.ioctl(descriptor, queue, b"\0\0\0\0"))[0])


def _received_by(local: tuple[str, int], remote: tuple[str, int]) -> int:
    """How many bytes wait in the receive queue of a socket of this host (proc(5), /proc/net/tcp)."""
    wanted = [_in_proc(*local), _in_proc(*remote)]
    try:
        with open("/proc/net/tcp", encoding="ascii") as table:
            rows = (line.split() for line in table)
            found = next((row[4] for row in rows if row[1:3] == wanted), "0:0")
    except OSError:
        return 0
    return int(found.partition(":")[2], 16)


def _in_proc(address: str, port: int) -> str:
    return f"{struct.unpack('=I', socket.inet_aton(address))[0]:08X}:{port:04X}"


def _borrow(transport: asyncio.Transport) -> socket.socket | None:
    """A socket object on the transport's own descriptor, to be detached after use; uvloop's has no setsockopt."""
    held = transport.get_extra_info("socket")
    if held is None or held.fileno() < 0:
        return None
    return socket.socket(held.family, held.type, held.proto, fileno=held.fileno())
