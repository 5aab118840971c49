"""A connection over TLS: the same as without, behind a layer that seals and opens its bytes (RFC 8446).

The layer stands between the engine and its transport, so that every fault acts as it does without TLS: bytes
are counted as the engine sees them, and a disconnect is a closure alert and FIN.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Final

from fake_servers import certificates
from fake_servers.engine import ServerConnection
from fake_servers.faults import Fault, WrongCertificate
from fake_servers.records import Closer, Outcome
from fake_servers.service import Service

__all__ = ["TlsConnection"]

_BLOCK: Final = 256 * 1024
_MOST_BEFORE_HANDSHAKE: Final = 64 * 1024


class TlsConnection(ServerConnection):
    """The server's end of one accepted connection over TLS; a fault at its acceptance meets the handshake."""

    __slots__ = ("_address", "_incoming", "_opening", "_outgoing", "_said_goodbye", "_shaken", "_tls")

    def __init__(
        self, service: Service, peer: tuple[str, int], loop: asyncio.AbstractEventLoop, *, address: str
    ) -> None:
        super().__init__(service, peer, loop)
        self._address = address
        self._shaken = asyncio.Event()
        self._opening = False
        self._said_goodbye = False
        self._wrap(certificates.right(address))

    def _wrap(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def _meet(self, fault: Fault) -> None:
        if isinstance(fault, WrongCertificate):
            self._wrap(certificates.wrong(self._address, fault.reason))
        else:
            super()._meet(fault)

    def data_received(self, data: bytes) -> None:
        if self._incoming.pending > _MOST_BEFORE_HANDSHAKE and not self._shaken.is_set():
            return  # nobody has so much to say before the handshake
        self._incoming.write(data)
        if self._shaken.is_set() or not (self._stalled or self._over):
            self._open_sealed()

    def write(self, data: bytes) -> None:
        if not (self._over or self._mute):
            self.entry.bytes_out += len(data)
            if self.service.recorder.tap is not None:
                self.service.recorder.sent(self.entry, data)
            self._seal(data)

    def _go_on(self) -> None:
        super()._go_on()
        if not self._over:
            self._open_sealed()

    def _seal(self, data: bytes) -> None:
        unsealed = memoryview(data)
        while unsealed:
            unsealed = unsealed[self._tls.write(unsealed) :]
        self._pass_on()

    def _open_sealed(self) -> None:
        """Read whatever has come as a whole: steps of the handshake, requests, the client's closure alert."""
        self._opening = True
        try:
            if not self._shaken.is_set():
                self._tls.do_handshake()
                self._shaken.set()
            while data := self._tls.read(_BLOCK):
                super().data_received(data)
            self._client_closes()
        except ssl.SSLWantReadError:
            if not self._over:
                self._pass_on()
        except ssl.SSLZeroReturnError:
            self._client_closes()
        except ssl.SSLError:  # the client refuses the certificate, or what it speaks is no TLS
            if not self._over:
                self._pass_on()
                self._end_exchanges(Outcome.ABORTED_BY_CLIENT)
                self.shut(Closer.SERVER)
        finally:
            self._opening = False

    def _pass_on(self) -> None:
        sealed = self._outgoing.read()
        if sealed:
            self.transport.write(sealed)

    def _client_closes(self) -> None:
        if not self.eof_received():
            self._say_goodbye()
            self.transport.close()

    def _send_fin(self, by: Closer, pause: float = 0.0) -> None:
        if self._opening:  # after its own alert, OpenSSL would not open what is still unread
            self._loop.call_soon(self._send_fin, by)
        else:
            self._say_goodbye()
            super()._send_fin(by, pause)

    def _end_sending(self) -> None:
        if self._opening:
            self._loop.call_soon(self._end_sending)
        else:
            self._say_goodbye()
            super()._end_sending()

    def _say_goodbye(self) -> None:
        if self._said_goodbye or self.transport.is_closing():
            return
        self._said_goodbye = True
        with contextlib.suppress(ssl.SSLError):  # it wants the client's alert, which need not come
            self._tls.unwrap()
        self._pass_on()
