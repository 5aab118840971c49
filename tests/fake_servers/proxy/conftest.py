"""Proxies before fake servers, and before an upstream that says what the test tells it to, byte by byte."""

from __future__ import annotations

import contextlib
import socket
import struct

import pytest

from fake_servers import ChaosProxy, FakeServer

PATIENCE = 10.0


class Peer:
    """The upstream's end of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(PATIENCE)
        self.heard = b""

    def hears(self, mark: bytes = b"\r\n\r\n") -> bytes:
        """Read up to a mark, and return all that has come so far."""
        while mark not in self.heard:
            data = self.sock.recv(65536)
            assert data, f"the proxy closed after {self.heard!r}"
            self.heard += data
        heard, self.heard = self.heard, b""
        return heard

    def says(self, *parts: bytes) -> None:
        self.sock.sendall(b"".join(parts))

    def ends(self, how: str) -> None:
        """Close with FIN or RST."""
        if how == "RST":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def hears_end(self) -> str:
        """Read up to the proxy's FIN or RST, and say which it was."""
        with contextlib.suppress(ConnectionResetError):
            while data := self.sock.recv(65536):
                self.heard += data
            return "FIN"
        return "RST"


class Scripted:
    """An upstream whose part the test plays."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.settimeout(PATIENCE)
        self.port = self.listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._peers: list[Peer] = []

    def accept(self) -> Peer:
        self._peers.append(Peer(self.listening.accept()[0]))
        return self._peers[-1]

    def close(self) -> None:
        self.listening.close()
        for peer in self._peers:
            peer.sock.close()


@pytest.fixture
def real(add_routes):
    """A real server, as far as the proxy is concerned."""
    with add_routes(FakeServer()) as real:
        yield real


@pytest.fixture
def server(real):
    """The proxy before it: what raw clients connect to, and whose exchanges are waited for."""
    with ChaosProxy(real) as proxy:
        yield proxy


@pytest.fixture
def scripted():
    upstream = Scripted()
    yield upstream
    upstream.close()


@pytest.fixture
def proxied(scripted, connect):
    """Make a proxy before the scripted upstream, with a client's connection and the upstream's end of it."""
    with contextlib.ExitStack() as stack:

        def make(scheme: str = "http", **options):
            upstream = f"{scheme}://127.0.0.1:{scripted.port}"
            proxy = stack.enter_context(ChaosProxy(upstream, **options))
            client = connect(proxy)
            return proxy, client, scripted.accept()

        yield make
