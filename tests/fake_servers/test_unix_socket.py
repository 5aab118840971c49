"""A server that listens on a unix socket as well: the same service, the same ledger."""

import os
import socket

import pytest

from fake_servers import FakeServer, FakeServerError, ScenarioError
from fake_servers.faults import Disconnect, Refuse, Reset


@pytest.fixture
def path(tmp_path):
    # pytest's own directories are too deep for some platforms' limit
    path = f"/tmp/httpconc-{os.getpid()}-{abs(hash(tmp_path)) % 10**8}.sock"
    yield path
    assert not os.path.exists(path)


@pytest.fixture
def unix_server(add_routes, path, any_loop):
    with add_routes(FakeServer(unix_socket=path)) as server:
        yield server


def ask(path, request=b"GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n"):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(path)
        client.sendall(request)
        parts = []
        while data := client.recv(65536):
            parts.append(data)
    return b"".join(parts)


def test_both_ways_lead_to_the_same_service(unix_server, path, connect):
    assert unix_server.unix_socket == path
    assert ask(path).endswith(b"hello")
    assert ask(path).endswith(b"hello")
    assert connect(unix_server).ask("/hello").body == b"hello"
    peers = [connection.peer for connection in unix_server.ledger.connections]
    assert peers[:2] == [("unix", 1), ("unix", 2)]
    assert peers[2][0] == "127.0.0.1"


def test_stream_on_a_unix_socket_is_whole(unix_server, path):
    assert b"three" in ask(path, b"GET /stream HTTP/1.1\r\nConnection: close\r\n\r\n")


def test_large_answer_on_a_unix_socket_is_whole(unix_server, path):
    body = bytes(1 << 20)
    request = b"POST /echo HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert ask(path, request + body).endswith(body)


def test_faults_of_an_exchange_act_on_a_unix_socket(unix_server, path):
    unix_server.inject(Disconnect(after_bytes=9), times=1)
    unix_server.inject(Reset(after_bytes=9), times=1)
    assert ask(path) == b"HTTP/1.1 "
    assert ask(path) == b"HTTP/1.1 "  # a unix socket knows no RST
    assert ask(path).endswith(b"hello")


def test_faults_of_the_listener_concern_tcp_only(unix_server, path):
    unix_server.inject(Refuse(seconds=30), times=1)
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", unix_server.port)):
        pass
    assert ask(path).endswith(b"hello")


def test_path_in_use_is_an_error_and_leaves_no_port_behind(unix_server, path):
    other = FakeServer(unix_socket=path)
    with pytest.raises(FakeServerError, match="can't listen on"):
        other.start()
    assert not other.is_running
    assert ask(path).endswith(b"hello")


def test_socket_that_nobody_listens_on_is_taken_over(add_routes, path):
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(path)
    with add_routes(FakeServer(unix_socket=path)):
        assert ask(path).endswith(b"hello")


def test_file_in_the_way_is_left_alone(tmp_path):
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(FakeServerError):
        FakeServer(unix_socket=path).start()
    assert path.read_text() == "mine"


@pytest.mark.parametrize("path", ["", "/tmp/" + "x" * 200, "/tmp/a\0b"])
def test_path_that_no_socket_can_have_is_refused(path):
    with pytest.raises(ScenarioError, match="unix_socket="):
        FakeServer(unix_socket=path).start()


def test_server_can_be_started_again(add_routes, path):
    server = add_routes(FakeServer(unix_socket=path))
    for _ in range(2):
        with server:
            assert ask(path).endswith(b"hello")
        assert not os.path.exists(path)


@pytest.mark.asyncio
async def test_server_in_the_loop_listens_on_it_too(add_routes, path):
    import asyncio

    async with add_routes(FakeServer(unix_socket=path)):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"hello")
        writer.close()
        await writer.wait_closed()
