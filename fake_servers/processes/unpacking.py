"""What a process is given to begin with, and packed things as they were."""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["SERVER", "Start", "unpack"]

SERVER: Final = "the server itself"  #: stands for it in what is packed


@dataclass(frozen=True, slots=True)
class Start:
    """How a process begins: the server it is to make, as packed orders, and what it is given.

    Args:
        made: how the server was made, packed: an order with its class in place of a method.
        orders: what it was told since, packed.
        tcp: the descriptor of the socket to listen on.
        unix: likewise of a unix socket, if there is one.
        authority: certificate and key, in PEM, of who signs the server's certificate, if it has one.
    """

    made: bytes
    orders: bytes
    tcp: int
    unix: int | None
    authority: tuple[bytes, bytes] | None


def unpack(data: bytes, server: object = None) -> Any:
    """What `packing.pack` has made bytes of, with ``server`` in the place of the one on the other side."""
    return _Unpacker(io.BytesIO(data), server).load()


class _Unpacker(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, server: object) -> None:
        super().__init__(file)
        self._server = server

    def persistent_load(self, name: str) -> object:
        return self._server
