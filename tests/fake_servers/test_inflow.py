"""A client that sends more than is wanted now, and leaves: its leaving is noticed, and its bytes are not kept."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

import pytest

from fake_servers import FakeServer, Moment, Response, Stream, Tunnel
from fake_servers.faults import Disconnect, Stall

MUCH = bytes(4 * 1024 * 1024)


def send_much(client, data=MUCH):
    """As much as the server takes, and the kernel's buffers with it."""
    client.sock.settimeout(0.2)
    with contextlib.suppress(OSError):
        client.sock.sendall(data)


def is_over(ledger):
    return ledger.connections and not (ledger.connections[0].is_open or ledger.connections[0].is_abandoned)


async def at_once(reader):
    yield b"bye"


@pytest.fixture
def opened(server):
    server.route("GET /at-once")(lambda request: Tunnel(at_once))

    @server.route("GET /slow")
    async def slow(request):
        await asyncio.sleep(3600)
        return Response()

    return server


@pytest.mark.parametrize("seconds", [None, 3600])
def test_client_that_floods_a_stall_and_leaves(opened, connect, seconds):
    opened.inject(Stall(at=Moment.ACCEPT, seconds=seconds))
    client = connect()
    send_much(client)
    client.finish()
    opened.ledger.wait_until(is_over)


def test_client_that_pipelines_a_thousand_requests_behind_a_slow_one_and_leaves(opened, raw):
    raw.get("/slow")
    send_much(raw, b"GET /slow HTTP/1.1\r\n\r\n" * 1000)
    raw.finish()
    opened.ledger.wait_until(is_over)
    assert opened.ledger.in_flight == 0


def test_client_that_floods_a_tunnel_that_is_over_and_leaves(opened, raw):
    raw.get("/at-once")
    raw.until(b"\r\n\r\n")
    send_much(raw)
    raw.finish()
    opened.ledger.wait_until(is_over)


def test_connection_that_was_cut_while_it_was_paused_is_read_to_its_end(opened, connect):
    opened.inject(Stall(at=Moment.IDLE, seconds=0.1), times=1)
    opened.inject(Disconnect(at=Moment.NEXT_REQUEST))
    client = connect()
    client.ask("/hello")
    send_much(client)
    client.finish()
    opened.ledger.wait_until(is_over)


@pytest.mark.parametrize("streams", [False, True])
def test_bytes_that_are_no_tls_end_what_is_in_flight(streams):
    async def parts():
        while True:
            yield b"data"
            await asyncio.sleep(0.01)

    with FakeServer(tls=True) as server:

        @server.route("GET /")
        async def root(request):
            if streams:
                return Stream(parts())
            await asyncio.sleep(3600)
            return Response()

        context = ssl.create_default_context(cafile=server.ca_path)
        with (
            socket.create_connection((server.address, server.port), timeout=10) as below,
            below.dup() as line,
            context.wrap_socket(below, server_hostname="127.0.0.1") as client,
        ):
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            server.ledger.wait_until(lambda ledger: ledger.in_flight == 1)
            line.sendall(b"this is no record of TLS, and nothing can be made of it")
            server.ledger.wait_until(lambda ledger: ledger.in_flight == 0)
        server.ledger.wait_until(is_over)
        assert server.ledger.exchanges[0].outcome == "aborted by client"
