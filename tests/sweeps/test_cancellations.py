"""Calls cancelled at every suspension: real clients, and small ones each with one bug."""

from __future__ import annotations

import asyncio
import sys

import aiohttp
import httpx
import looptime
import pytest
import uvloop

from fake_servers import FakeServer, Response, ScenarioError
from pytest_httpconc import CheckFailed

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


def echoes(server):
    server.route("POST /")(lambda request: Response(request.body))
    return server


@pytest.fixture
def server(fake_http):
    return echoes(fake_http)


def run(main, new_loop=asyncio.new_event_loop):
    loop = new_loop()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def codes(failure):
    return sorted(finding.code for finding in failure.value.findings)


def by_aiohttp(server):
    async def call(session, nonce):
        async with session.post(server.url, data=nonce.encode()) as response:
            return await response.text()

    return call, lambda: aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=2))


def by_httpx(server):
    async def call(client, nonce):
        return (await client.post(server.url, content=nonce.encode())).text

    return call, lambda: httpx.AsyncClient(verify=False, limits=httpx.Limits(max_connections=2))


@pytest.mark.parametrize("new_loop", LOOPS)
@pytest.mark.parametrize("contenders", [0, 1, 2])
def test_aiohttp_passes(server, httpconc, new_loop, contenders):
    result = run(httpconc.sweep_cancellations(server, *by_aiohttp(server), contenders), new_loop)
    assert result.points >= 3
    assert result.steps >= 2 * result.points
    assert result.nonces
    assert "each answer was its caller's" in repr(result)
    httpconc.assert_at_most_once(server)


@pytest.mark.parametrize("new_loop", LOOPS)
def test_server_may_be_in_the_same_loop(httpconc, new_loop):
    async def main():
        async with FakeServer() as server:
            echoes(server)
            return await httpconc.sweep_cancellations(server, *by_aiohttp(server), 1)

    assert run(main(), new_loop).points >= 3


def test_cancellations_are_visited_on_a_virtual_clock(httpconc):
    async def main():
        begun_at = asyncio.get_running_loop().time()
        async with FakeServer() as server:
            echoes(server).delay(10.0)
            result = await httpconc.sweep_cancellations(server, *by_aiohttp(server), 2)
        return result, asyncio.get_running_loop().time() - begun_at

    result, seconds = run(main(), looptime.new_event_loop)
    assert result.steps >= 2 * result.points
    assert seconds >= 10 * result.steps


@pytest.mark.parametrize("new_loop", LOOPS)
@pytest.mark.parametrize("contenders", [0, 2])
@pytest.mark.httpconc(grace=0.3)
def test_httpx_leaks_a_connection_that_is_cancelled_when_it_is_made(server, httpconc, new_loop, contenders):
    with pytest.raises(CheckFailed) as failure:
        run(httpconc.sweep_cancellations(server, *by_httpx(server), contenders), new_loop)
    assert codes(failure) == ["HC701"]
    assert "cancelled at suspension 4, while it waits" in str(failure.value)
    assert "no request was ever sent on it" in str(failure.value)


# -- small clients, each with one bug --------------------------------------------------------------------------


class Line:
    """A client with one connection, that hangs up when a call on it comes to nothing."""

    def __init__(self, server):
        self.server = server
        self.lock = asyncio.Lock()
        self.streams = None

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        self.hang_up()

    def hang_up(self):
        if self.streams is not None:
            self.streams[1].close()
        self.streams = None

    async def exchange(self, text):
        if self.streams is None:
            self.streams = await asyncio.open_connection(self.server.address, self.server.port)
        reader, writer = self.streams
        writer.write(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
        await reader.readuntil(b"\r\n\r\n")
        return (await reader.readexactly(len(text))).decode()

    async def echo(self, text):
        async with self.lock:
            try:
                return await self.exchange(text)
            except BaseException:
                self.hang_up()
                raise


def sweep(httpconc, server, kind, contenders=1, **options):
    async def call(line, nonce):
        return await line.echo(nonce)

    return run(httpconc.sweep_cancellations(server, call, lambda: kind(server), contenders, **options))


def swept(httpconc, server, kind, contenders=1, **options):
    with pytest.raises(CheckFailed) as failure:
        sweep(httpconc, server, kind, contenders, **options)
    return failure


def test_the_client_without_a_bug_passes(server, httpconc):
    assert sweep(httpconc, server, Line, 2).steps > 20


def test_late_answer_for_the_next_caller_is_caught(server, httpconc):
    class Late(Line):
        async def echo(self, text):
            async with self.lock:
                return await self.exchange(text)

    failure = swept(httpconc, server, Late)
    assert "HC501" in codes(failure)
    finding = next(f for f in failure.value.findings if f.code == "HC501")
    assert "returned 'nonce-" in finding.summary


def test_failing_step_can_be_run_alone(server, httpconc):
    class Late(Line):
        async def echo(self, text):
            async with self.lock:
                return await self.exchange(text)

    (first, *_) = swept(httpconc, server, Late).value.findings
    number = int(first.summary.split(":")[0].removeprefix("step "))
    alone = swept(httpconc, server, Late, only=number)
    assert alone.value.findings[0].summary.split(",")[0] == first.summary.split(",")[0]
    assert sweep(httpconc, server, Line, only=number).steps == 1


def test_swallowed_cancellation_is_caught(server, httpconc):
    class Swallows(Line):
        async def echo(self, text):
            try:
                return await Line.echo(self, text)
            except asyncio.CancelledError:
                return text

    failure = swept(httpconc, server, Swallows)
    assert codes(failure) == ["HC702"]
    assert "swallowed its cancellation and returned" in str(failure.value)


def test_cancellation_turned_into_another_error_is_caught(server, httpconc):
    class Turns(Line):
        async def echo(self, text):
            try:
                return await Line.echo(self, text)
            except asyncio.CancelledError:
                raise RuntimeError("interrupted") from None

    assert "swallowed its cancellation and raised RuntimeError" in str(swept(httpconc, server, Turns).value)


@pytest.mark.httpconc(grace=0.2)
def test_lost_slot_is_a_finding_and_no_hang(server, httpconc):
    class Loses(Line):
        async def echo(self, text):
            await self.lock.acquire()
            try:
                answer = await self.exchange(text)
            except BaseException:
                self.hang_up()
                raise
            self.lock.release()
            return answer

    failure = swept(httpconc, server, Loses, 0)
    assert codes(failure) == ["HC702"]
    assert "a call made afterwards did not end within" in str(failure.value)


@pytest.mark.httpconc(grace=0.2)
def test_slot_that_is_lost_only_to_a_waiter_needs_a_contender(server, httpconc):
    class Hands(Line):
        """Hands its one slot to the next in the queue, who may have been cancelled in the meantime."""

        def __init__(self, server):
            Line.__init__(self, server)
            self.busy, self.queue = False, []

        async def echo(self, text):
            if self.busy:
                turn = asyncio.get_running_loop().create_future()
                self.queue.append(turn)
                await turn
            self.busy = True
            try:
                return await self.exchange(text)
            except BaseException:
                self.hang_up()
                raise
            finally:
                self.pass_on()

        def pass_on(self):
            if self.queue:
                turn = self.queue.pop(0)
                if not turn.done():
                    turn.set_result(None)
            else:
                self.busy = False

    assert sweep(httpconc, server, Hands, 0).findings == ()
    assert "HC702" in codes(swept(httpconc, server, Hands, 1))


@pytest.mark.httpconc(grace=0.2)
def test_leaked_connection_is_caught_with_its_line(server, httpconc):
    kept = []

    class Leaks(Line):
        async def echo(self, text):
            async with self.lock:
                self.streams = None
                answer = await self.exchange(text)
                self.hang_up()
                return answer

        async def exchange(self, text):
            self.streams = streams = await asyncio.open_connection(self.server.address, self.server.port)
            kept.append(streams)
            return await self.answer(text, *streams)

        async def answer(self, text, reader, writer):
            writer.write(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
            await reader.readuntil(b"\r\n\r\n")
            return (await reader.readexactly(len(text))).decode()

        async def __aexit__(self, *error):
            pass

    async def call(line, nonce):
        return await line.echo(nonce)

    async def main():
        try:
            await httpconc.sweep_cancellations(server, call, lambda: Leaks(server), 0)
        finally:
            for _, writer in kept:
                writer.close()
                await writer.wait_closed()

    with pytest.raises(CheckFailed) as failure:
        run(main())
    assert codes(failure) == ["HC701"]
    assert "test_cancellations.py" in str(failure.value)


# -- what is given ---------------------------------------------------------------------------------------------


def test_without_a_nonce_the_result_says_that_answers_were_not_looked_at(server, httpconc):
    async def call(session):
        async with session.post(server.url, data=b"1") as response:
            return await response.read()

    result = run(httpconc.sweep_cancellations(server, call, aiohttp.ClientSession))
    assert not result.nonces
    assert "no nonce" in repr(result)


def test_session_of_the_callers_own_may_keep_its_connections(server, httpconc):
    async def main():
        async with aiohttp.ClientSession() as session:
            call, _ = by_aiohttp(server)

            async def own(nonce):
                return await call(session, nonce)

            await httpconc.sweep_cancellations(server, own, contenders=2)

    run(main())


@pytest.mark.parametrize("only", [0, True, "7", 9_999])
def test_step_that_does_not_exist_is_refused(server, httpconc, only):
    with pytest.raises(ScenarioError, match="only="):
        sweep(httpconc, server, Line, only=only)


@pytest.mark.parametrize("contenders", [-1, True, 1.5])
def test_contenders_that_are_no_count_are_refused(server, httpconc, contenders):
    with pytest.raises(ScenarioError, match="contenders="):
        sweep(httpconc, server, Line, contenders)


def test_call_that_can_not_be_cancelled_is_refused(server, httpconc):
    with pytest.raises(ScenarioError, match="async def"):
        run(httpconc.sweep_cancellations(server, lambda: None))


def test_call_that_fails_undisturbed_is_refused(server, httpconc):
    async def call():
        raise ValueError("no")

    with pytest.raises(ScenarioError, match="one that succeeds"):
        run(httpconc.sweep_cancellations(server, call))


if sys.version_info >= (3, 12):  # eager tasks are new there

    def test_eager_tasks_change_nothing(server, httpconc):
        async def main():
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
            return await httpconc.sweep_cancellations(server, *by_aiohttp(server), 1)

        assert run(main()).points >= 3
