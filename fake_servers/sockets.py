"""What asyncio's transports do not offer: FIN at a known instant, RST, and how much the kernel has yet to send."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from typing import Final

__all__ = ["end_sending", "reset_on_close", "unsent"]

_SIOCOUTQNSD: Final = 0x894B  # Linux, tcp(7): bytes in the send queue that were not sent yet
_NO_LINGER: Final = struct.pack("ii", 1, 0)


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


def unsent(transport: asyncio.Transport) -> int:
    """How many written bytes have not left this host's send queues, as far as the platform tells."""
    waiting = transport.get_write_buffer_size()
    borrowed = _borrow(transport)
    if waiting or borrowed is None or not sys.platform.startswith("linux"):
        return waiting
    import fcntl

    answer = fcntl.ioctl(borrowed.fileno(), _SIOCOUTQNSD, b"\0\0\0\0")
    borrowed.detach()
    return int(struct.unpack("i", answer)[0])


def _borrow(transport: asyncio.Transport) -> socket.socket | None:
    """A socket object on the transport's own descriptor, to be detached after use; uvloop's has no setsockopt."""
    held = transport.get_extra_info("socket")
    if held is None or held.fileno() < 0:
        return None
    return socket.socket(held.family, held.type, held.proto, fileno=held.fileno())
