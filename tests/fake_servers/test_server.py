"""`FakeServer` itself: its arguments, its reset, and what it says of itself."""

from __future__ import annotations

import pytest

from fake_servers import FakeServer, FakeServerError, Moment, ScenarioError
from fake_servers.faults import Disconnect, Stall, Status
from fake_servers.started import started_servers


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"host": "moon"}, "host='moon' is not known"),
        ({"port": -1}, "port=-1 is out of range"),
        ({"port": 65536}, "port=65536 is out of range"),
        ({"port": "80"}, "port='80' is out of range"),
        ({"port": True}, "port=True is out of range"),
        ({"address": ""}, "address='' is none"),
        ({"address": "\u00fc..b"}, "address='\u00fc..b' is none"),
        ({"address": None}, "address=None is none"),
        ({"address": "a..b", "tls": True}, "can't stand in a certificate"),
        ({"time_scale": 0}, "time_scale=0 is out of range"),
        ({"time_scale": float("nan")}, "time_scale=nan is out of range"),
        ({"time_scale": "1"}, "time_scale='1' is out of range"),
    ],
)
def test_wrong_argument_is_refused_with_what_is_allowed(options, reason):
    with pytest.raises(ScenarioError) as refusal:
        FakeServer(**options)
    assert reason in str(refusal.value)


def test_server_of_a_loop_is_not_started_in_a_thread():
    with pytest.raises(ScenarioError, match="use 'async with' in a coroutine"):
        FakeServer(host="loop").start()


def test_server_has_no_url_before_it_is_started():
    server = FakeServer()
    with pytest.raises(FakeServerError, match="use 'with' or call start"):
        _ = server.url
    assert (server.port, server.is_running, repr(server)) == (0, False, "<FakeServer not started>")


def test_server_says_where_it_is(server):
    assert server.url == f"http://127.0.0.1:{server.port}"
    assert repr(server) == f"<FakeServer at {server.url}>"


def test_started_servers_are_known_in_order():
    with FakeServer() as first, FakeServer() as second:
        known = started_servers()
        assert known.index(first) < known.index(second)
    assert FakeServer() not in started_servers()


@pytest.mark.usefixtures("any_loop")
def test_reset_forgets_scenario_and_ledger_and_keeps_the_port(server, raw, over):
    port = server.port
    server.inject(Status(503))
    raw.ask("/hello")
    over()
    server.reset()
    assert (server.port, server.scenario.injections, server.holds) == (port, (), ())
    assert (server.ledger.exchanges, server.ledger.count(), server.ledger.peak_in_flight) == ((), 0, 0)
    assert raw.ask("/hello").status == 200


@pytest.mark.usefixtures("any_loop")
def test_reset_counts_idle_connections_anew_and_closes_busy_ones(server, connect, over, gate):
    busy, idle, gone, also_idle, half_sent = clients = [connect() for _ in range(5)]
    for client in clients:
        client.ask("/hello")
    over(5)
    gone.finish()
    busy.get("/gate")
    half_sent.send(b"GET /he")
    server.ledger.wait_until(lambda ledger: ledger.open_connections == 4 and ledger.executions("GET /gate") == 1)
    while server.ledger.connections[4].bytes_in == server.ledger.connections[1].bytes_in:
        server._host.call(lambda listener: None)
    server.reset()
    assert gate.cancelled.wait(10)
    assert [(c.number, c.peer, c.exchanges, c.bytes_in) for c in server.ledger.connections] == [
        (number, client.sock.getsockname(), 0, 0) for number, client in enumerate([idle, also_idle], 1)
    ]
    assert (server.ledger.open_connections, server.ledger.peak_connections, server.ledger.in_flight) == (2, 2, 0)
    assert also_idle.ask("/hello").status == 200
    [exchange] = over()
    assert (exchange.number, exchange.connection, exchange.sequence) == (1, 2, 1)
    for client in (busy, half_sent):
        with pytest.raises((EOFError, ConnectionResetError)):
            client.reply()
    assert (server.ledger.count(), server.ledger.open_connections) == (1, 2)


@pytest.mark.usefixtures("any_loop")
@pytest.mark.parametrize("fault", [Stall(at=Moment.IDLE), Disconnect(at=Moment.IDLE)])
def test_reset_drops_connections_that_a_fault_holds(server, raw, over, fault):
    server.inject(fault)
    raw.ask("/hello")
    over()
    server.reset()
    assert server.ledger.connections == ()
    with pytest.raises((EOFError, ConnectionResetError)):
        raw.reply()


def test_reset_keeps_the_seed_and_forgets_errors(connect):
    server = FakeServer(seed=7)
    server.route("GET /broken")(lambda request: None)
    with server:
        connect(server).ask("/broken")
        assert len(server.errors) == 1
        server.reset()
        assert (server.errors, server.scenario.seed) == ((), 7)


def test_reset_before_the_start_forgets_as_well():
    server = FakeServer()
    server.inject(Status(503))
    server.reset()
    assert server.scenario.injections == ()


@pytest.mark.asyncio
async def test_reset_works_in_a_loop():
    async with FakeServer() as server:
        server.inject(Status(503))
        server.reset()
        assert server.scenario.injections == ()
