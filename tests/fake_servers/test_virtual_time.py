"""A server in the test's own loop follows its clock: here a virtual one, so durations are exact."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from fake_servers import FakeServer, Moment, Stream
from fake_servers.faults import Dribble, HalfClose, Stall, Throttle

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


@pytest.fixture
def server(add_routes):
    return add_routes(FakeServer())


class Line:
    """A keep-alive client in the loop."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server

    async def __aenter__(self):
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._server.port)
        return self

    async def __aexit__(self, *_):
        self._writer.close()
        await self._writer.wait_closed()

    async def hello(self) -> bytes:
        self._writer.write(b"GET /hello HTTP/1.1\r\n\r\n")
        return await self._reader.readuntil(b"hello")


async def test_fifty_calls_of_ten_minutes_side_by_side_take_ten_minutes(server):
    loop = asyncio.get_running_loop()
    async with server:
        server.delay(600)
        unhurried = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=50), timeout=unhurried) as session:

            async def call() -> str:
                async with session.get(f"{server.url}/hello") as response:
                    return await response.text()

            begun_at = loop.time()
            assert await asyncio.gather(*(call() for _ in range(50))) == ["hello"] * 50
            assert loop.time() - begun_at == 600
        await server.ledger.until(lambda ledger: ledger.in_flight == 0)
        assert (server.ledger.speedup(), server.ledger.peak_in_flight, server.ledger.makespan()) == (50, 50, 600)
        assert {e.service_time for e in server.ledger.exchanges} == {600}


async def test_serial_calls_have_no_speedup(server):
    async with server, Line(server) as line:
        server.delay(600)
        for _ in range(3):
            await line.hello()
        assert (server.ledger.speedup(), server.ledger.peak_in_flight, server.ledger.makespan()) == (1, 1, 1800)


@pytest.mark.parametrize("moment", Moment)
async def test_stall_takes_exactly_its_seconds(server, moment):
    loop = asyncio.get_running_loop()
    server.inject(Stall(at=moment, seconds=600), times=1)
    async with server, Line(server) as line:
        begun_at = loop.time()
        for _ in range(3):
            await line.hello()
        assert loop.time() - begun_at == 600


async def test_stall_at_the_head_leaves_the_latency_as_it_is(server):
    loop = asyncio.get_running_loop()
    server.inject(Stall(at=Moment.REQUEST_HEAD, seconds=100), times=1)
    server.delay(10)
    async with server, Line(server) as line:
        begun_at = loop.time()
        await line.hello()
        assert loop.time() - begun_at == 110


@pytest.mark.parametrize(
    ("fault", "duration"), [(Dribble(size=1, interval=1), 83), (Dribble(size=40, interval=5), 10), (Throttle(10), 8.3)]
)
async def test_paced_response_takes_as_long_as_its_bytes(server, fault, duration):
    loop = asyncio.get_running_loop()
    async with server, Line(server) as line:
        server.inject(fault)
        begun_at = loop.time()
        response = await line.hello()
        assert len(response) == 84
        assert loop.time() - begun_at == pytest.approx(duration, abs=1e-6)


async def test_delays_add_up_and_are_scaled(add_routes):
    loop = asyncio.get_running_loop()
    async with add_routes(FakeServer(time_scale=0.01)) as server, Line(server) as line:
        server.delay(100)
        server.delay(200)
        begun_at = loop.time()
        await line.hello()
        assert loop.time() - begun_at == 3


async def test_hold_gives_up_after_its_seconds(server):
    loop = asyncio.get_running_loop()
    async with server, Line(server) as line:
        hold = server.hold(until_in_flight=2, give_up=60)
        begun_at = loop.time()
        await line.hello()
        assert loop.time() - begun_at == 60
        assert (hold.gave_up, hold.reached, hold.most_together) == (True, False, 1)
        await line.hello()
        assert loop.time() - begun_at == 60


async def test_client_timeout_fires_on_time(server):
    loop = asyncio.get_running_loop()
    async with server, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3600)) as session:
        server.inject(Stall(at=Moment.REQUEST))
        begun_at = loop.time()
        with pytest.raises(asyncio.TimeoutError):
            await session.get(f"{server.url}/hello")
        assert loop.time() - begun_at == pytest.approx(3600, abs=1)
        await server.ledger.until(lambda ledger: not ledger.in_flight)
        assert server.ledger.exchanges[0].outcome == "aborted by client"


async def test_half_closed_exchange_is_seen_in_the_same_loop(server):
    async with server, Line(server) as line:
        server.inject(HalfClose(), times=1)
        await line.hello()
        with pytest.raises(asyncio.IncompleteReadError):
            await line.hello()
        await server.ledger.until(lambda ledger: ledger.executions() == 2)


async def test_parts_of_a_stream_arrive_when_they_are_sent(server):
    loop = asyncio.get_running_loop()

    async def parts():
        for _ in range(3):
            yield b"one"
            yield b"two"
            await asyncio.sleep(10)

    server.route("GET /slow")(lambda request: Stream(parts()))
    async with server, aiohttp.ClientSession() as session:
        for _ in range(2):
            begun_at = loop.time()
            async with session.get(f"{server.url}/slow") as response:
                arrived = [(loop.time() - begun_at, data) async for data in response.content.iter_any()]
            assert b"".join(data for at, data in arrived if at == 10) == b"onetwo"
            assert {at for at, _ in arrived} == {0, 10, 20}


async def test_ledger_instants_are_the_loops(server):
    loop = asyncio.get_running_loop()
    async with server, Line(server) as line:
        server.delay(5)
        begun_at = loop.time()
        await line.hello()
        [exchange] = server.ledger.exchanges
        assert (exchange.received_at - begun_at, exchange.finished_at - begun_at) == (0, 5)


async def test_until_times_out_in_the_loops_seconds(server):
    loop = asyncio.get_running_loop()
    async with server:
        begun_at = loop.time()
        with pytest.raises(TimeoutError, match=r"it did not hold within 900 s: <Ledger: 0 connections"):
            await server.ledger.until(lambda ledger: ledger.count() == 1, timeout=900)
        assert loop.time() - begun_at == 900
