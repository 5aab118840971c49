"""The ledger's queries, on records made by hand and on a server's."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from fake_servers import Connection, Exchange, FakeServer, Ledger, ScenarioError
from fake_servers.entries import ExchangeEntry
from fake_servers.ledger import Outcome
from fake_servers.recorder import Recorder
from fake_servers.records import Closer, Progress


def answered(number: int, start: float, end: float, *, on: str = "POST /run", **other) -> Exchange:
    """An exchange that was received, executed and answered."""
    method, target = on.split(" ")
    return Exchange(
        number=number,
        connection=other.pop("connection", number),
        method=method,
        target=target,
        begun_at=start,
        received_at=start,
        executed_at=start,
        first_byte_at=end,
        finished_at=end,
        ended_at=end,
        status=200,
        outcome=Outcome.ANSWERED,
        **other,
    )


SIDE_BY_SIDE = [answered(n, 10.0, 12.0) for n in range(1, 6)]
SERIAL = [answered(n, 2.0 * n, 2.0 * n + 2.0) for n in range(1, 6)]
MIXED = [
    answered(1, 0, 4, on="GET /a/1"),
    answered(2, 1, 3, on="GET /a/2"),
    answered(3, 2, 6, on="POST /b"),
    answered(4, 4, 6, on="GET /a/1", waited=1.5),
]


def test_empty_ledger_counts_nothing():
    ledger = Ledger.of()
    assert (ledger.count(), ledger.executions(), ledger.peak(), ledger.in_flight) == (0, 0, 0, 0)
    assert (ledger.makespan(), ledger.speedup(), ledger.service_time()) == (0, 0, 0)
    assert (ledger.connections, ledger.exchanges) == ((), ())


@pytest.mark.parametrize(
    ("exchanges", "peak", "makespan", "service_time", "speedup"),
    [(SIDE_BY_SIDE, 5, 2, 10, 5), (SERIAL, 1, 10, 10, 1), (MIXED, 3, 6, 10.5, 1.75), ([answered(1, 5, 5)], 1, 0, 0, 1)],
    ids=["side by side", "serial", "mixed", "instant"],
)
def test_concurrency_follows_from_the_records(exchanges, peak, makespan, service_time, speedup):
    ledger = Ledger.of(exchanges=exchanges)
    assert (ledger.peak_in_flight, ledger.peak(), ledger.makespan()) == (peak, peak, makespan)
    assert (ledger.service_time(), ledger.speedup()) == (service_time, speedup)


@pytest.mark.parametrize(
    ("on", "count", "peak", "makespan", "service_time"),
    [
        ("GET /a/1", 2, 1, 6, 4.5),
        ("GET /a/*", 3, 2, 6, 6.5),
        ("* /b", 1, 1, 4, 4),
        ("GET /c", 0, 0, 0, 0),
        ("*", 4, 3, 6, 10.5),
    ],
)
def test_queries_may_be_about_a_route(on, count, peak, makespan, service_time):
    ledger = Ledger.of(exchanges=MIXED)
    assert (ledger.count(on), ledger.executions(on), len(ledger.matching(on))) == (count, count, count)
    assert (ledger.peak(on), ledger.makespan(on), ledger.service_time(on)) == (peak, makespan, service_time)


@pytest.mark.parametrize("on", ["GET /a/*", "*"])
def test_instant_exchanges_count_towards_the_peak(on):
    assert Ledger.of(exchanges=[answered(n, 5, 5, on=f"GET /a/{n}") for n in (1, 2)]).peak(on) == 1
    long = answered(3, 4, 6, on="GET /a/3")
    assert Ledger.of(exchanges=[long, answered(1, 5, 5, on="GET /a/1")]).peak(on) == 2


def test_unfinished_exchanges_are_in_flight():
    waiting = Exchange(number=1, connection=1, begun_at=1, received_at=1, executed_at=1)
    half_read = Exchange(number=2, connection=2, begun_at=1)
    ledger = Ledger.of(exchanges=[waiting, half_read, answered(3, 2, 3)])
    assert (ledger.in_flight, ledger.peak_in_flight, ledger.count(), ledger.executions()) == (1, 2, 3, 2)


def test_progress_names_how_far_an_exchange_came():
    stages = [{}, {"received_at": 1}, {"executed_at": 1}, {"first_byte_at": 1}, {"finished_at": 1}]
    made = {}
    progress = []
    for stage in stages:
        made |= stage
        progress.append(Exchange(number=1, connection=1, **made).progress)
    assert progress == list(Progress)


def test_connections_are_counted_open_and_together():
    connections = [
        Connection(number=1, opened_at=0, closed_at=4, closed_by=Closer.CLIENT_FIN),
        Connection(number=2, opened_at=1),
        Connection(number=3, opened_at=5),
    ]
    ledger = Ledger.of(connections)
    assert (ledger.total_connections, ledger.open_connections, ledger.peak_connections) == (3, 2, 2)
    assert ledger.connections == tuple(connections)


def test_connection_that_is_not_given_is_made_up_and_open():
    ledger = Ledger.of(exchanges=[answered(1, 3, 4, connection=7)])
    assert ledger.connections == (Connection(number=7, opened_at=3, exchanges=1),)


@pytest.mark.parametrize(
    ("other", "same"),
    [({"target": "/x?a=1"}, False), ({"method": "PUT"}, False), ({"body": b"z"}, False), ({"number": 9}, True)],
)
def test_fingerprint_is_equal_for_what_is_sent_again(other, same):
    first = {"number": 1, "connection": 1, "method": "POST", "target": "/x", "body": b"y"}
    assert (Exchange(**first).fingerprint == Exchange(**(first | other)).fingerprint) == same


def test_fingerprint_sees_past_the_part_of_a_body_that_is_kept(raw, over):
    for last in (b"1", b"1", b"2"):
        raw.post("/echo", b"x" * 100_000 + last)
        raw.reply()
    first, again, other = (e.fingerprint for e in over(3))
    assert first == again != other
    assert {(len(e.body), e.body_size) for e in over(3)} == {(65_536, 100_001)}


def test_pattern_of_another_form_is_refused():
    with pytest.raises(ScenarioError, match="is not a pattern"):
        Ledger.of().count("post /x")


def test_details_are_kept_of_the_last_and_counts_for_ever():
    now = 0.0
    recorder = Recorder(lambda: now, keep=3)
    ledger = Ledger(recorder)
    for number in range(1, 11):
        connection = recorder.connection_opened(("127.0.0.1", number))
        entry = ExchangeEntry(connection, "GET", f"/{number % 2}", f"/{number % 2}", ())
        now += 1
        recorder.received(entry)
        recorder.executed(entry)
        now += 1
        recorder.answered(entry, 200)
        recorder.connection_closed(connection, Closer.CLIENT_FIN)
    assert [e.number for e in ledger.exchanges] == [c.number for c in ledger.connections] == [8, 9, 10]
    assert (ledger.count(), ledger.executions("GET /1"), ledger.total_connections) == (10, 5, 10)
    assert (ledger.makespan(), ledger.service_time(), ledger.open_connections, ledger.peak_connections) == (
        19,
        10,
        0,
        1,
    )


def test_wait_until_wakes_from_another_thread(server, connect):
    ready = threading.Event()
    found = []

    def wait() -> None:
        ready.set()
        found.append(server.ledger.wait_until(lambda ledger: ledger.executions("GET /hello") == 3, timeout=10))

    waiter = threading.Thread(target=wait)
    waiter.start()
    ready.wait(10)
    for _ in range(3):
        connect().ask("/hello")
    waiter.join(10)
    assert found == [True]


def test_wait_until_says_what_the_ledger_holds_when_time_is_up(server, raw, over):
    raw.ask("/hello")
    over()
    expected = r"within 0.01 s: <Ledger: 1 connections \(1 open\), 1 exchanges \(0 in flight\), 1 executions>"
    with pytest.raises(TimeoutError, match=expected):
        server.ledger.wait_until(lambda ledger: ledger.count() == 2, timeout=0.01)


def test_waiting_leaves_nothing_behind(server):
    with pytest.raises(ZeroDivisionError):
        server.ledger.wait_until(lambda ledger: 1 / 0)
    assert server._recorder.watched == []


@pytest.mark.asyncio
async def test_wait_until_refuses_to_block_the_servers_own_loop():
    async with FakeServer() as server:
        with pytest.raises(RuntimeError, match=r"await ledger\.until"):
            server.ledger.wait_until(lambda ledger: True)
    assert server.ledger.wait_until(lambda ledger: True)


@pytest.mark.asyncio
async def test_until_lets_the_loop_go_on(add_routes):
    async with add_routes(FakeServer()) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /hello HTTP/1.1\r\n\r\n")
        assert await server.ledger.until(lambda ledger: ledger.executions() == 1)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await server.ledger.until(lambda ledger: ledger.open_connections == 0)


@pytest.mark.asyncio
async def test_until_waits_for_a_server_in_another_thread(server, connect):
    waiting = asyncio.ensure_future(server.ledger.until(lambda ledger: ledger.executions() == 1))
    await asyncio.to_thread(lambda: connect().ask("/hello"))
    assert await waiting


def test_ledger_is_read_while_it_is_written(server, connect):
    clients = [connect() for _ in range(4)]
    threads = [threading.Thread(target=lambda c=c: [c.ask("/hello") for _ in range(100)]) for c in clients]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        exchanges = server.ledger.exchanges
        assert [e.number for e in exchanges] == list(range(1, len(exchanges) + 1))
        assert server.ledger.in_flight <= 4
    server.ledger.wait_until(lambda ledger: ledger.in_flight == 0)
    assert (server.ledger.count(), server.ledger.peak_connections) == (400, 4)


def test_instants_of_an_exchange_are_in_order(server, raw, over):
    server.delay(0.01)
    before = time.monotonic()
    raw.ask("/hello")
    [e] = over()
    instants = [before, e.begun_at, e.received_at, e.executed_at, e.first_byte_at, e.finished_at, time.monotonic()]
    assert instants == sorted(instants)
    assert e.ended_at == e.finished_at
