"""Where servers run, and that nothing of them stays behind."""

from __future__ import annotations

import asyncio
import socket
import threading

import psutil
import pytest

from fake_servers import FakeServer, FakeServerError, Moment, Response, ScenarioError
from fake_servers.faults import Reset, Stall


def left_behind(server: FakeServer) -> list[object]:
    """The server's threads, and this process's sockets that have its port on their side."""
    threads = [thread.name for thread in threading.enumerate() if thread.name.endswith(f"-{server.port}")]
    sockets = [c for c in psutil.Process().net_connections("tcp") if c.laddr and c.laddr.port == server.port]
    return [*threads, *sockets]


@pytest.fixture(params=["thread", "loop"])
def host(request):
    return request.param


@pytest.mark.usefixtures("any_loop")
def test_stopping_ends_whatever_goes_on_and_leaves_nothing(add_routes, connect, new_gate):
    server = add_routes(FakeServer())
    gate = server.route("GET /gate")(new_gate())
    server.inject(Stall(at=Moment.ACCEPT), after=8, times=1)
    server.inject(Stall(at=Moment.REQUEST_HEAD), on="POST /echo", times=1)
    server.inject(Stall(after_bytes=3), on="POST /echo", times=1)
    server.inject(Stall(at=Moment.IDLE), on="POST /echo", times=1)
    server.inject(Reset(at=Moment.NEXT_REQUEST), on="POST /echo", times=1)
    server.hold(until_in_flight=2, give_up=1000, on="GET /stream")
    server.delay(1000, on="GET /nothing")
    server.start()
    assert left_behind(server)
    clients = [connect(server) for _ in range(9)]
    clients[0].get("/gate")
    for client in clients[1:5]:
        client.post("/echo", b"body")
    clients[5].get("/stream")
    clients[6].get("/nothing")
    clients[7].send(b"GET /hel")
    server.ledger.wait_until(lambda ledger: ledger.count() == 7 and ledger.total_connections == 9)
    server.stop()  # raises where its thread does not end
    assert left_behind(server) == []
    assert gate.cancelled.is_set()
    assert (server.ledger.open_connections, server.ledger.in_flight, server.errors) == (0, 0, ())
    assert "in progress" not in {e.outcome for e in server.ledger.exchanges}
    assert set(server.open_at_stop) == set(range(1, 10))


@pytest.mark.asyncio
async def test_stopping_in_a_loop_leaves_no_task_and_no_socket(add_routes):
    server = add_routes(FakeServer())
    server.hold(until_in_flight=2, give_up=1000, on="GET /stream")
    async with server:
        lines = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
        lines[0][1].write(b"GET /stream HTTP/1.1\r\n\r\n")
        lines[1][1].write(b"POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nab")
        await server.ledger.until(lambda ledger: ledger.count() == 2)
    assert left_behind(server) == []
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert [e.outcome for e in server.ledger.exchanges] == ["server stopped"] * 2
    for _, writer in lines:
        writer.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("rounds", range(4))
async def test_connections_accepted_a_moment_before_the_stop_are_closed_too(rounds):
    server = await FakeServer().start_in_loop()
    clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    for _ in range(rounds):
        await asyncio.sleep(0)
    await server.stop_in_loop()
    assert (left_behind(server), server.ledger.open_connections) == ([], 0)
    for client in clients:
        client.close()


@pytest.mark.asyncio
async def test_connection_accepted_a_moment_before_a_reset_is_counted_after_it():
    async with FakeServer() as server:
        with socket.create_connection(("127.0.0.1", server.port)):
            await server.ledger.until(lambda ledger: ledger.total_connections == 1)
            server.reset()
            await server.ledger.until(lambda ledger: ledger.total_connections == 1)
        await server.ledger.until(lambda ledger: ledger.open_connections == 0)


@pytest.mark.usefixtures("any_loop")
def test_many_servers_run_side_by_side(add_routes, connect):
    servers = [add_routes(FakeServer()).start() for _ in range(10)]
    assert len({server.port for server in servers}) == 10
    assert [connect(server).ask("/hello").body for server in servers] == [b"hello"] * 10
    for server in servers:
        server.ledger.wait_until(lambda ledger: ledger.executions() == 1 and ledger.in_flight == 0)
        server.stop()
    assert [left_behind(server) for server in servers] == [[]] * 10


@pytest.mark.asyncio
async def test_servers_of_both_kinds_run_beside_each_other(add_routes, host, connect):
    async with add_routes(FakeServer(host=host)) as first, add_routes(FakeServer()) as second:
        bodies = await asyncio.gather(
            *(asyncio.to_thread(lambda s=s: connect(s).ask("/hello").body) for s in (first, second))
        )
        assert bodies == [b"hello"] * 2
        assert bool([t for t in threading.enumerate() if t.name == f"fake-server-{first.port}"]) == (host == "thread")
    assert (first.is_running, second.is_running) == (False, False)


def test_server_can_be_stopped_and_started_again_on_its_port(add_routes, connect):
    server = add_routes(FakeServer())
    ports = set()
    for _ in range(3):
        with server:
            ports.add(server.port)
            assert connect(server).ask("/hello").status == 200
    assert len(ports) == 1
    assert server.ledger.executions() == 3


def test_stopping_twice_changes_nothing(server):
    server.stop()
    server.stop()
    assert not server.is_running


def test_starting_twice_is_refused(server):
    with pytest.raises(FakeServerError, match=f"running already, at {server.url}"):
        server.start()
    assert server.is_running


@pytest.mark.asyncio
async def test_starting_twice_in_a_loop_is_refused():
    async with FakeServer() as server:
        with pytest.raises(FakeServerError, match="running already"):
            await server.start_in_loop()
        with pytest.raises(FakeServerError, match=r"stop it with 'await server\.stop_in_loop\(\)'"):
            server.stop()
        assert server.is_running


def test_port_in_use_is_refused(server):
    rival = FakeServer(port=server.port)
    with pytest.raises(FakeServerError, match=f"can't listen on 127.0.0.1:{server.port}: Address already in use"):
        rival.start()
    assert not rival.is_running


def test_handler_that_blocks_the_thread_is_named_when_the_server_stops(monkeypatch, connect):
    monkeypatch.setattr("fake_servers.hosts._LONGEST_STOP", 0.05)
    blocked, free = threading.Event(), threading.Event()

    def block(request):
        blocked.set()
        free.wait(10)
        return Response()

    server = FakeServer()
    server.route("GET /block")(block)
    server.start()
    [thread] = [t for t in threading.enumerate() if t.name == f"fake-server-{server.port}"]
    connect(server).get("/block")
    assert blocked.wait(10)
    with pytest.raises(FakeServerError, match=r"does not answer; a handler blocks it at .*threading\.py"):
        server.reset()
    with pytest.raises(FakeServerError, match=r"does not end; a handler blocks it at .*threading\.py"):
        server.stop()
    free.set()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.usefixtures("any_loop")
def test_faults_may_be_injected_by_a_handler(server, connect, raw):
    @server.route("GET /poison")
    def poison(request):
        server.inject(Reset(at=Moment.REQUEST), on="GET /hello")
        return Response.text("done")

    assert raw.ask("/poison").body == b"done"
    raw.get("/hello")
    assert raw.until_reset() == b""


def test_server_of_a_loop_is_not_changed_from_another_thread():
    async def main():
        async with FakeServer() as server:
            with pytest.raises(ScenarioError, match="runs in a loop of another thread"):
                await asyncio.to_thread(server.reset)
            server.reset()

    asyncio.run(main())


def test_server_is_not_stopped_by_its_own_handler():
    with FakeServer() as server:
        refused = []

        @server.route("GET /")
        def root(request):
            try:
                server.stop()
            except ScenarioError as error:
                refused.append(str(error))
            return Response()

        with socket.create_connection((server.address, server.port), timeout=10) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        assert refused == ["a server can't be stopped by its own handler; stop it in the thread that started it"]
        assert server.is_running
