"""What these tests share: servers with a few routes, a client that speaks bytes, and handlers to wait for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
import threading
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings

from fake_servers import FakeServer, Response, Stream

settings.register_profile("fake_servers", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fake_servers")

PATIENCE = 10.0


class Reply(NamedTuple):
    """One response as it came over the wire."""

    version: str
    status: int
    headers: dict[str, str]
    body: bytes
    raw: bytes


class RawClient:
    """A client that sends what it is told to, byte by byte, and reads what comes."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.connect(("127.0.0.1", port))
        self.sock.settimeout(PATIENCE)
        self._buffer = b""

    def send(self, *parts: bytes) -> None:
        self.sock.sendall(b"".join(parts))

    def get(self, path: str, *headers: str, method: str = "GET", version: str = "1.1") -> None:
        lines = (f"{method} {path} HTTP/{version}", "Host: x", *headers, "", "")
        self.send("\r\n".join(lines).encode())

    def post(self, path: str, body: bytes, *headers: str) -> None:
        lines = (f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers, "", "")
        self.send("\r\n".join(lines).encode(), body)

    def ask(self, path: str, *headers: str, method: str = "GET", version: str = "1.1") -> Reply:
        self.get(path, *headers, method=method, version=version)
        return self.reply(method=method)

    def reply(self, *, method: str = "GET") -> Reply:
        """Read exactly one response."""
        head = self.until(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")[:-2]
        version, status = lines[0].split(" ")[:2]
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        raw_body, body = b"", b""
        if int(status) < 200 or int(status) in {204, 304} or method == "HEAD":
            pass
        elif headers.get("transfer-encoding") == "chunked":
            raw_body, body = self._chunks()
        elif "content-length" in headers:
            raw_body = body = self.exactly(int(headers["content-length"]))
        else:
            raw_body = body = self.until_close()
        return Reply(version.removeprefix("HTTP/"), int(status), headers, body, head + raw_body)

    def exactly(self, size: int) -> bytes:
        """Read this many bytes."""
        while len(self._buffer) < size:
            self._more()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def until_size(self, size: int) -> bytes:
        """Read at least this many bytes, which may be many."""
        parts, length = [self._buffer], len(self._buffer)
        self._buffer = b""
        while length < size:
            data = self.sock.recv(1 << 20)
            if not data:
                raise EOFError(f"the server closed after {length} bytes")
            parts.append(data)
            length += len(data)
        return b"".join(parts)

    def until_close(self) -> bytes:
        """Read up to the server's FIN; an RST raises."""
        while True:
            data = self.sock.recv(65536)
            if not data:
                taken, self._buffer = self._buffer, b""
                return taken
            self._buffer += data

    def until_reset(self) -> bytes:
        """Read up to the server's RST; a FIN fails."""
        with contextlib.suppress(ConnectionResetError):
            while True:
                data = self.sock.recv(65536)
                if not data:
                    raise AssertionError(f"the server sent FIN and not RST, after {self._buffer!r}")
                self._buffer += data
        taken, self._buffer = self._buffer, b""
        return taken

    def hears_nothing(self) -> bool:
        """Whether nothing has come so far, neither bytes nor an end."""
        self.sock.setblocking(False)
        try:
            return not self._buffer and self.sock.recv(1) is None
        except BlockingIOError:
            return True
        finally:
            self.sock.settimeout(PATIENCE)

    def finish(self) -> None:
        """Send FIN and leave."""
        self.sock.close()

    def reset(self) -> None:
        """Leave with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _chunks(self) -> tuple[bytes, bytes]:
        raw, parts = b"", []
        while True:
            line = self.until(b"\r\n")
            size = int(line, 16)
            data = self.exactly(size + 2)
            raw += line + data
            if not size:
                return raw, b"".join(parts)
            parts.append(data[:-2])

    def until(self, mark: bytes) -> bytes:
        """Read up to a mark, and with it."""
        while mark not in self._buffer:
            self._more()
        taken, _, self._buffer = self._buffer.partition(mark)
        return taken + mark

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(f"the server closed after {self._buffer!r}")
        self._buffer += data


class Gate:
    """A handler that waits until the test opens it, and tells whether it was cancelled."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self._open = False
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def __call__(self, request: object) -> Response:
        event = asyncio.Event()
        self._waiting.append((asyncio.get_running_loop(), event))
        try:
            if not self._open:
                await event.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return Response.text("at last")

    def open(self) -> None:
        """Let go all that wait, and all that come."""
        self._open = True
        while self._waiting:
            loop, event = self._waiting.pop()
            loop.call_soon_threadsafe(event.set)


async def _parts(*parts: bytes):
    for part in parts:
        yield part


def _add_routes(server: FakeServer) -> FakeServer:
    @server.route("GET /hello")
    async def hello(request):
        return Response.text("hello")

    @server.route("POST /echo")
    async def echo(request):
        return Response(request.body)

    @server.route("GET /nothing")
    async def nothing(request):
        return Response(status=204)

    @server.route("GET /stream")
    async def stream(request):
        return Stream(_parts(b"one ", b"", b"two ", b"three"))

    @server.route("GET /sized-stream")
    async def sized_stream(request):
        return Stream(_parts(b"one ", b"two ", b"three"), length=13)

    return server


@pytest.fixture(scope="session", autouse=True)
def _no_implicit_loop():
    """Keep pytest-asyncio from making a loop, by asking for the current one, that nobody closes."""
    asyncio.set_event_loop(None)


@pytest.fixture(params=["uvloop", "asyncio"])
def any_loop(request, monkeypatch):
    """Ask for it to run a test on both kinds of loop that a server's thread may have."""
    if request.param == "asyncio":
        monkeypatch.setitem(sys.modules, "uvloop", None)
    return request.param


@pytest.fixture
def add_routes():
    return _add_routes


@pytest.fixture
def server():
    with _add_routes(FakeServer()) as server:
        yield server


@pytest.fixture
def gate(server):
    """A gate at ``GET /gate``."""
    gate = server.route("GET /gate")(Gate())
    yield gate
    gate.open()


@pytest.fixture
def new_gate():
    return Gate


@pytest.fixture
def connect(server):
    """Make raw clients of the server, which are closed in the end; the first argument may be another server."""
    clients: list[RawClient] = []

    def make(to: FakeServer = server, **options) -> RawClient:
        clients.append(RawClient(to.port, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.sock.close()


@pytest.fixture
def raw(connect):
    """One raw client of the server."""
    return connect()


@pytest.fixture
def over(server):
    """Wait until that many exchanges are over, and return them all; of connections likewise."""

    def wait(count: int = 1, *, closed: int = 0):
        server.ledger.wait_until(
            lambda ledger: (
                sum(e.ended_at is not None for e in ledger.exchanges) >= count
                and sum(not c.is_open for c in ledger.connections) >= closed
            ),
            timeout=PATIENCE,
        )
        return server.ledger.exchanges

    return wait
