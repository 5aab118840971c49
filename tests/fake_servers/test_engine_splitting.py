"""However a byte stream is split into blocks, the exchanges and the answers are the same."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fake_servers import FakeServer, Ledger, Response, Scenario
from fake_servers.engine import ServerConnection
from fake_servers.recorder import Recorder
from fake_servers.scenario import ScenarioRun
from fake_servers.service import Limits, Route, Service


class Wire(asyncio.Transport):
    """A transport that keeps what is written, and takes everything at once."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.ended = ""
        self.reads = asyncio.Event()
        self.reads.set()

    def write(self, data: bytes) -> None:
        assert not self.ended, "nothing is written after the end"
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = self.ended or "FIN"

    def abort(self) -> None:
        self.ended = "abort"

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.ended == "abort"

    def pause_reading(self) -> None:
        self.reads.clear()

    def resume_reading(self) -> None:
        self.reads.set()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


async def answer_later(request):
    for _ in range(len(request.body) % 3):
        await asyncio.sleep(0)
    return Response(request.body, status=201)


def new_service() -> Service:
    run = ScenarioRun(Scenario())
    service = Service(
        Recorder(time.monotonic),
        run,
        limits=Limits(head=300, body=100),
        time_scale=1.0,
        describe=lambda request, status, message: Response(message, status=status),
    )
    service.router.add("* /echo", Route(lambda request: Response(request.body)))
    service.router.add("* /later", Route(answer_later))
    return service


async def converse(blocks: list[bytes]):
    """Everything that can be seen of a connection that receives these blocks."""
    service = new_service()
    connection = ServerConnection(service, ("127.0.0.1", 1), asyncio.get_running_loop())
    wire = Wire()
    connection.connection_made(wire)
    for block in blocks:
        await wire.reads.wait()
        connection.data_received(block)
    while service.tasks:
        await asyncio.wait(service.tasks)
    connection.eof_received()
    exchanges = [
        (e.number, e.sequence, e.route, e.body, e.status, e.outcome, e.progress)
        for e in (entry.freeze() for entry in service.recorder.exchanges)
    ]
    assert service.errors == []
    assert Ledger(service.recorder).in_flight == 0
    return wire.written, wire.ended, exchanges


def request_bytes(method: str, path: str, fields: list[str], body: bytes, *, chunked: bool) -> bytes:
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    head = "\r\n".join((f"{method} {path} HTTP/1.1", framing, *fields, "", "")).encode()
    if not chunked:
        return head + body
    middle = len(body) // 2
    parts = [part for part in (body[:middle], body[middle:]) if part]
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


requests = st.builds(
    request_bytes,
    st.sampled_from(["GET", "POST", "HEAD", "DELETE"]),
    st.sampled_from(["/echo", "/later", "/none", "http://x/echo?a=b"]),
    st.lists(st.sampled_from(["A: b", "Connection: close", "Expect: 100-continue", "Long: " + "x" * 280]), max_size=2),
    st.binary(max_size=110),
    chunked=st.booleans(),
)
endings = st.sampled_from(
    [b"", b"", b"GET /echo HT", b"nonsense\r\n\r\n", b"POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\n12"]
)
streams = st.builds(lambda parts, ending: b"".join(parts) + ending, st.lists(requests, max_size=6), endings)


def split(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[start:end] for start, end in pairwise(edges)]


@settings(max_examples=150)
@given(streams, st.lists(st.integers(0, 5000), max_size=12))
@example(b"GET /echo HTTP/1.1\r\n\r\n" * 20 + b"GET /echo HT", [3, 440])
def test_blocks_make_no_difference(stream, cuts):
    assert asyncio.run(converse(split(stream, cuts))) == asyncio.run(converse([stream]))


@settings(max_examples=25)
@given(streams)
def test_single_bytes_make_no_difference(stream):
    assert asyncio.run(converse([bytes([byte]) for byte in stream])) == asyncio.run(converse([stream]))


tokens = st.sampled_from(
    [
        b"GET ",
        b"POST /echo",
        b" HTTP/1.1\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"Content-Length: 5\r\n",
        b": ",
        b"\0",
        b"CONNECT x:1",
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"5\r\n",
        b"Upgrade: x\r\nConnection: upgrade\r\n",
        b"http://[::1",
        b"\xff/",
    ]
)
junk = st.lists(st.one_of(tokens, st.binary(max_size=20)), max_size=15)


@settings(max_examples=200)
@given(junk)
def test_arbitrary_bytes_are_no_error_of_the_servers(blocks):
    written, _, exchanges = asyncio.run(converse(blocks))
    assert written == b"" or written.startswith(b"HTTP/1.1 ")
    assert all(number == index for index, (number, *_) in enumerate(exchanges, 1))


@pytest.mark.usefixtures("any_loop")
def test_arbitrary_bytes_on_one_connection_harm_no_other(connect, add_routes):
    with add_routes(FakeServer()) as server:
        bystander = connect(server)

        @settings(max_examples=30)
        @given(junk)
        def try_it(blocks):
            vandal = connect(server)
            try:
                vandal.send(*blocks)
            finally:
                vandal.reset()
            assert bystander.ask("/hello").body == b"hello"

        try_it()
        server.ledger.wait_until(lambda ledger: ledger.open_connections == 1 and ledger.in_flight == 0)
        assert server.errors == ()
