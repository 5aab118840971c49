"""The listening socket: refusing, ignoring, and accepting again."""

from __future__ import annotations

import errno
import socket

import pytest

from fake_servers import FakeServer, FakeServerError
from fake_servers.faults import FullBacklog, Refuse

pytestmark = pytest.mark.usefixtures("any_loop")


def connect_error(port: int, timeout: float | None = None) -> int:
    """What connecting fails with; 0 if it does not."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        return sock.connect_ex(("127.0.0.1", port))


def test_connections_are_refused_for_a_while_and_then_served(server, connect):
    server.inject(Refuse(seconds=0.05))
    assert connect_error(server.port) == errno.ECONNREFUSED
    while connect_error(server.port):
        pass
    assert connect().ask("/hello").status == 200


def test_connections_that_exist_are_served_while_others_are_refused(server, raw):
    raw.ask("/hello")
    server.inject(Refuse(seconds=1000))
    assert raw.ask("/hello").status == 200
    assert connect_error(server.port) == errno.ECONNREFUSED


def test_port_stays_the_servers_while_it_refuses(server):
    server.inject(Refuse(seconds=1000))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as rival, pytest.raises(OSError, match="in use"):
        rival.bind(("127.0.0.1", server.port))


def test_refusal_comes_after_some_connections(server, connect, over):
    server.inject(Refuse(seconds=1000), after=2)
    clients = [connect() for _ in range(2)]
    assert [client.ask("/hello").status for client in clients] == [200, 200]
    assert connect_error(server.port) == errno.ECONNREFUSED
    assert server.ledger.total_connections == 2


@pytest.mark.parametrize("second", [Refuse(seconds=0.05), FullBacklog(seconds=0.05)])
@pytest.mark.parametrize("first", [Refuse(seconds=0.02), FullBacklog(seconds=0.02)])
def test_faults_that_overlap_last_as_long_as_the_longest(first, second, server, connect):
    server.inject(first)
    server.inject(second)
    while connect_error(server.port, timeout=10):
        pass
    assert connect().ask("/hello").status == 200
    assert server.errors == ()


def test_full_backlog_lets_connects_hang_and_then_served(server, connect):
    server.inject(FullBacklog(seconds=0.1))
    client = connect()
    assert client.ask("/hello").status == 200
    assert [c.peer for c in server.ledger.connections] == [client.sock.getsockname()]


def test_full_backlog_makes_a_connect_time_out(server):
    server.inject(FullBacklog(seconds=1000))
    assert connect_error(server.port, timeout=0.05) == errno.EAGAIN
    assert server.ledger.total_connections == 0


@pytest.mark.parametrize("fault", [Refuse(seconds=1000), FullBacklog(seconds=1000)])
def test_scenario_may_begin_with_the_listeners_fault(fault, add_routes):
    server = add_routes(FakeServer())
    server.inject(fault)
    with server:
        assert connect_error(server.port, timeout=0.05) in {errno.ECONNREFUSED, errno.EAGAIN}


@pytest.mark.parametrize("fault", [Refuse(seconds=1000), FullBacklog(seconds=1000)])
def test_server_stops_and_starts_again_in_the_middle_of_it(fault, add_routes, connect):
    server = add_routes(FakeServer()).start()
    server.inject(fault)
    server.stop()
    with server:
        assert connect(server).ask("/hello").status == 200


def test_hundreds_of_connections_at_once_are_all_accepted(server, connect):
    clients = [connect() for _ in range(300)]
    assert {client.ask("/hello").status for client in clients} == {200}
    assert server.ledger.peak_connections == 300


def test_address_that_is_not_this_machines_is_refused():
    with pytest.raises(FakeServerError, match=r"can't listen on 192\.0\.2\.1"):
        FakeServer(address="192.0.2.1").start()
