"""Connections are counted once each, by state and by who has them."""

import os
import socket

import psutil
import pytest

from fake_servers import FakeServer, Moment, ScenarioError
from fake_servers.faults import Disconnect
from pytest_httpconc.monitoring import sockets
from pytest_httpconc.monitoring.snapshots import snapshot
from pytest_httpconc.monitoring.sockets import Socket, sockets_for
from pytest_httpconc.monitoring.targets import Target, parse
from pytest_httpconc.monitoring.trend import Trend
from pytest_httpconc.monitoring.watch import Watch

SERVER, CLIENT = ("10.0.0.1", 9527), ("10.0.0.2", 40000)
PORT = Target("port", 9527)
ME = f"[{os.getpid()}]"


def end(local, remote, state, pid=None):
    return Socket(local=local, remote=remote, state=state, pid=pid)


def count(*found, target=PORT):
    return snapshot(target, found, name_of={1: "server", 2: "client"}.__getitem__)


def test_connection_with_both_ends_here_counts_once():
    seen = count(
        end(SERVER, None, "LISTEN", 1),
        end(SERVER, CLIENT, "ESTABLISHED", 1),
        end(CLIENT, SERVER, "ESTABLISHED", 2),
        end(CLIENT, ("10.0.0.9", 443), "ESTABLISHED", 2),
    )
    assert (seen.held, seen.states, seen.is_listening) == (1, {"ESTABLISHED": 1}, True)
    assert [(h.name, h.side, h.held) for h in seen.holders] == [("client[2]", "client", 1), ("server[1]", "server", 1)]


def test_connection_that_the_client_abandoned_is_held_and_named():
    seen = count(end(SERVER, CLIENT, "FIN_WAIT2"), end(CLIENT, SERVER, "CLOSE_WAIT", 2))
    assert (seen.held, seen.states, seen.abandoned) == (1, {"CLOSE_WAIT": 1}, 1)


def test_connection_that_the_server_keeps_is_held_and_not_the_clients():
    seen = count(end(SERVER, CLIENT, "CLOSE_WAIT", 1), end(CLIENT, SERVER, "FIN_WAIT2"))
    assert (seen.held, seen.abandoned, seen.holders[0].name) == (1, 0, "server[1]")


def test_closed_connection_is_the_kernels_and_not_held():
    seen = count(end(CLIENT, SERVER, "TIME_WAIT"))
    assert (seen.held, seen.holders[0].name, seen.holders[0].held) == (0, "kernel", 0)


def test_socket_of_another_users_process_is_said_not_to_be_visible():
    seen = count(end(CLIENT, SERVER, "ESTABLISHED"))
    assert (seen.held, seen.holders[0].name) == (1, "not visible")


def test_process_has_both_its_sides():
    own = (end(SERVER, None, "LISTEN", 1), end(SERVER, CLIENT, "ESTABLISHED", 1))
    seen = count(*own, end(("10.0.0.1", 50000), ("10.0.0.9", 443), "ESTABLISHED", 1), target=Target("pid", 1))
    assert {(h.side, h.port) for h in seen.holders} == {("server", 9527), ("client", 443)}
    assert seen.held == 2


def test_connections_of_a_port_and_of_this_process_are_found():
    with FakeServer() as server, socket.create_connection((server.address, server.port)):
        server.ledger.wait_until(lambda ledger: ledger.open_connections)
        by_port, by_process = (
            snapshot(target, sockets_for(target), name_of=lambda pid: "python")
            for target in (Target("port", server.port), Target("pid", os.getpid()))
        )
    assert by_port.held == 1
    # The kernel may still keep connections of whoever had the port before.
    assert {holder.name for holder in by_port.holders if holder.held} == {f"python{ME}"}
    assert sum(holder.held for holder in by_process.holders if holder.port == server.port) == 2


def test_socket_that_is_not_closed_after_its_server_has_is_in_close_wait():
    with FakeServer() as server:
        server.inject(Disconnect(at=Moment.IDLE))
        with socket.create_connection((server.address, server.port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            while client.recv(4096):
                pass
            assert Watch(Target("port", server.port)).look().now.abandoned == 1


@pytest.mark.parametrize(("closes", "trend"), [(False, Trend.LEAK), (True, Trend.LEVEL)])
def test_client_that_never_closes_is_a_leak_and_one_that_does_is_not(closes, trend):
    with FakeServer() as server:
        own = Target("pid", os.getpid())  # where all ends are, so that the sockets of others need not be listed
        watch = Watch(Target("port", server.port))
        kept = []
        try:
            for number in range(26):
                kept.append(socket.create_connection((server.address, server.port)))
                server.ledger.wait_until(lambda ledger, number=number: ledger.total_connections > number)
                if closes:
                    kept.pop().close()
                seen = watch.look(lambda _: sockets_for(own))
        finally:
            for client in kept:
                client.close()
    assert seen.verdict.trend is trend


def test_processes_of_others_are_passed_over_where_the_system_shows_only_ones_own(monkeypatch):
    def deny(**_):
        raise psutil.AccessDenied

    monkeypatch.setattr(sockets.psutil, "net_connections", deny)
    with FakeServer() as server, socket.create_connection((server.address, server.port)):
        assert Watch(Target("port", server.port)).look().now.held == 1


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("9527", Target("port", 9527)),
        ("4711", Target("pid", 4711)),
        ("9999", Target("port", 9999)),
        ("100000", Target("pid", 100000)),
        ("port:4711", Target("port", 4711)),
        ("pid:9527", Target("pid", 9527)),
    ],
)
def test_number_is_a_port_unless_nobody_uses_that_and_it_is_a_process(text, target):
    assert parse(text, in_use={9527}.__contains__, is_process={4711, 9527, 100000}.__contains__) == target


@pytest.mark.parametrize("text", ["", "0", "-1", "http", "port:0", "port:65536", "ip:1", "pid:", "99999999", "pid:1:2"])
def test_what_is_neither_a_port_nor_a_process_is_refused(text):
    with pytest.raises(ScenarioError, match="port"):
        parse(text, in_use=lambda port: False, is_process=lambda pid: False)
