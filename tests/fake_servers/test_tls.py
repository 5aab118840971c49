"""HTTPS: the same service, faults and ledger behind a handshake, and faults of the handshake itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl

import aiohttp
import httpx
import pytest
import requests

from fake_servers import FakeDockerServer, FakeServer, FakeServerError, Moment, ScenarioError, Stream
from fake_servers.faults import Disconnect, HalfClose, Reset, Stall, WrongCertificate

BIG = bytes(range(256)) * 4096


@pytest.fixture
def secure(handlers):
    with FakeServer(tls=True) as server:
        for on, handler in handlers.items():
            server.route(on)(handler)
        yield server


@pytest.fixture
def handlers():
    from fake_servers import Response

    async def parts():
        for number in range(3):
            yield b"part %d;" % number

    return {
        "POST /echo": lambda request: Response(request.body),
        "GET /big": lambda request: Response(BIG),
        "GET /stream": lambda request: Stream(parts()),
        "GET /close": lambda request: Response("bye", headers={"X": "y"}),
    }


@pytest.fixture
def trusting(secure):
    return ssl.create_default_context(cafile=secure.ca_path)


@pytest.fixture
def connect(secure, trusting):
    opened = []

    def connect(context=trusting):
        raw = socket.create_connection((secure.address, secure.port), timeout=10)
        opened.append(raw)
        opened.append(context.wrap_socket(raw, server_hostname=secure.address))
        return opened[-1]

    yield connect
    for sock in opened:
        sock.close()


def read_all(sock):
    data = b""
    while block := sock.recv(65536):
        data += block
    return data


def test_real_clients_reuse_a_connection(secure):
    with requests.Session() as session:
        session.trust_env, session.verify = False, secure.ca_path
        assert session.post(f"{secure.url}/echo", data=BIG).content == BIG
        assert session.get(f"{secure.url}/big").content == BIG
        assert session.get(f"{secure.url}/stream").text == "part 0;part 1;part 2;"
    with httpx.Client(verify=ssl.create_default_context(cafile=secure.ca_path)) as client:
        assert client.post(f"{secure.url}/echo", content=BIG).content == BIG
        assert client.get(f"{secure.url}/big").content == BIG
    secure.ledger.wait_until(lambda ledger: not ledger.open_connections)
    assert [c.exchanges for c in secure.ledger.connections] == [3, 2]
    assert {c.closed_by for c in secure.ledger.connections} == {"client FIN"}


def test_server_in_the_loop_speaks_tls_too():
    async def main():
        async with FakeDockerServer(tls=True) as server:
            context = ssl.create_default_context(cafile=server.ca_path)
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
                for _ in range(3):
                    async with session.get(f"{server.url}/health") as response:
                        assert (await response.json())["status"] == "healthy"
            await server.ledger.until(lambda ledger: not ledger.open_connections)
            assert [c.exchanges for c in server.ledger.connections] == [3]

    asyncio.run(main())


def test_localhost_is_a_name_of_it_too(secure):
    url = f"https://localhost:{secure.port}/big"
    assert requests.get(url, verify=secure.ca_path).content == BIG


def test_server_without_tls_has_no_certificate(server):
    with pytest.raises(FakeServerError, match="make it with tls=True"):
        _ = server.ca_path
    assert server.url.startswith("http://")


@pytest.mark.parametrize("tls", ["yes", None, 2])
def test_tls_is_on_or_off(tls):
    with pytest.raises(ScenarioError, match="allowed are True and False"):
        FakeServer(tls=tls)


@pytest.mark.parametrize("size", [0, 1, 17, 40, 47])
def test_cut_counts_the_bytes_of_http(secure, connect, size):
    secure.inject(Disconnect(after_bytes=size))
    client = connect()
    client.sendall(b"GET /close HTTP/1.1\r\n\r\n")
    assert len(read_all(client)) == size
    assert secure.ledger.connections[0].bytes_out == size


def test_reset_is_a_reset(secure, connect):
    secure.inject(Reset(at=Moment.EXECUTED))
    client = connect()
    client.sendall(b"GET /close HTTP/1.1\r\n\r\n")
    with socket.socket(fileno=os.dup(client.fileno())) as below:
        below.settimeout(10)
        with pytest.raises(ConnectionResetError):  # ssl itself takes RST for the end of the stream
            read_all(below)


def test_half_close_ends_with_an_alert_after_the_response(secure, connect):
    secure.inject(HalfClose())
    client = connect()
    client.sendall(b"GET /close HTTP/1.1\r\n\r\n")
    assert read_all(client).endswith(b"bye")
    client.sendall(b"GET /close HTTP/1.1\r\n\r\n")
    secure.ledger.wait_until(lambda ledger: ledger.executions() == 2)


def test_client_that_closes_its_side_is_answered_with_an_alert(secure, connect, trusting):
    client = connect()
    client.sendall(b"GET /close HTTP/1.1\r\n\r\n")
    client.recv(65536)
    client.unwrap().close()
    secure.ledger.wait_until(lambda ledger: not ledger.open_connections)
    assert secure.ledger.connections[0].closed_by == "client FIN"


@pytest.mark.parametrize(("fault", "error"), [(Disconnect, (ssl.SSLError, ConnectionError)), (Reset, ConnectionError)])
def test_server_that_leaves_before_the_handshake(secure, connect, fault, error):
    secure.inject(fault(at=Moment.ACCEPT), times=1)
    with pytest.raises(error):
        connect()
    assert requests.get(f"{secure.url}/big", verify=secure.ca_path).content == BIG
    assert secure.ledger.connections[0].closed_by == "fault"


def test_handshake_that_stalls_goes_on_afterwards(secure):
    secure.inject(Stall(at=Moment.ACCEPT, seconds=0.05))
    assert requests.get(f"{secure.url}/big", verify=secure.ca_path).content == BIG


def test_handshake_that_stalls_for_ever_runs_into_the_clients_timeout(secure):
    secure.inject(Stall(at=Moment.ACCEPT), times=1)
    with pytest.raises(requests.Timeout):
        requests.get(secure.url, verify=secure.ca_path, timeout=0.1)
    secure.ledger.wait_until(lambda ledger: not ledger.open_connections)
    assert secure.ledger.count() == 0


@pytest.mark.parametrize("reason", ["name", "expired", "untrusted"])
def test_wrong_certificate_is_refused_by_clients_that_look(secure, reason):
    secure.inject(WrongCertificate(reason), times=1)
    wanted = {"name": "mismatch", "expired": "expired", "untrusted": "verify failed"}[reason]
    with pytest.raises(requests.exceptions.SSLError, match=wanted):
        requests.get(f"{secure.url}/big", verify=secure.ca_path)
    assert requests.get(f"{secure.url}/big", verify=secure.ca_path).content == BIG
    secure.ledger.wait_until(lambda ledger: not ledger.open_connections)
    assert [c.exchanges for c in secure.ledger.connections] == [0, 1]


def test_wrong_certificate_is_seen_where_a_client_does_not_look(secure, connect):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    secure.inject(WrongCertificate("untrusted"), times=1)
    first, second = (connect(context).getpeercert(binary_form=True) for _ in range(2))
    assert first != second


@pytest.mark.parametrize("reason", ["old", None])
def test_wrong_certificate_for_no_known_reason_is_refused(reason):
    with pytest.raises(ScenarioError, match="allowed are 'name', 'expired', 'untrusted'"):
        WrongCertificate(reason)


def test_wrong_certificate_needs_a_handshake(server):
    with pytest.raises(ScenarioError, match="make the server with tls=True"):
        server.inject(WrongCertificate())


@pytest.mark.parametrize("nonsense", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(70_000), b"\x00" * 9])
def test_what_is_no_tls_is_turned_away_and_others_are_served(secure, nonsense):
    with socket.create_connection((secure.address, secure.port), timeout=10) as plain:
        plain.sendall(nonsense)
        read_all(plain)
    assert requests.get(f"{secure.url}/big", verify=secure.ca_path).content == BIG
    secure.ledger.wait_until(lambda ledger: not ledger.open_connections)
    assert secure.errors == ()


@pytest.mark.parametrize("together", [True, False])
def test_request_that_is_cut_at_its_head_is_still_known_by_its_body(secure, trusting, together):
    secure.inject(Disconnect(at=Moment.REQUEST_HEAD))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(incoming, outgoing, server_hostname=secure.address)
    with socket.create_connection((secure.address, secure.port), timeout=10) as line:
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
                break
            line.sendall(outgoing.read())
            incoming.write(line.recv(65536))
        client.write(b"POST /echo HTTP/1.1\r\nContent-Length: 4\r\n\r\n")
        if not together:
            line.sendall(outgoing.read())
        client.write(b"body")  # in a record of its own
        line.sendall(outgoing.read())
        secure.ledger.wait_until(lambda ledger: ledger.exchanges and ledger.exchanges[0].body_complete)
        read_all(line)
    assert secure.ledger.exchanges[0].body == b"body"


def test_what_comes_before_a_handshake_is_not_kept_without_limit(secure, trusting):
    secure.inject(Stall(at=Moment.ACCEPT), times=1)
    with socket.create_connection((secure.address, secure.port), timeout=0.5) as line, contextlib.suppress(OSError):
        for _ in range(64):
            line.sendall(bytes(65536))
    (connection,) = secure._service.connections or [None]
    assert connection is None or connection._incoming.pending < 1_000_000
