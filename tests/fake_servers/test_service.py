"""Handlers of every kind, and handlers that go wrong."""

from __future__ import annotations

import asyncio
import functools
import json

import pytest

from fake_servers import FakeServer, FakeServerError, Response, Stream

pytestmark = pytest.mark.usefixtures("any_loop")


def seen_task() -> Response:
    """Whether the code that asks runs in a task."""
    return Response.json(asyncio.current_task() is not None)


async def runs_in_task_without_await(request):
    return seen_task()


async def runs_in_task_with_await(request):
    await asyncio.sleep(0)
    return seen_task()


async def runs_in_task_with_async_for(request):
    async for _ in _one():
        pass
    return seen_task()


async def runs_in_task_with_async_with(request):
    async with asyncio.Lock():
        return seen_task()


async def _one():
    await asyncio.sleep(0)
    yield 1


async def waits_in_comprehension(request):
    parts = [part async for part in _one()]
    assert parts == [1]
    return seen_task()


def returns_coroutine(request):
    return runs_in_task_with_await(request)


@functools.wraps(runs_in_task_without_await)
async def wrapped_by_one_that_waits(request):
    await asyncio.sleep(0)
    return await runs_in_task_without_await(request)


class Callable:
    async def __call__(self, request):
        await asyncio.sleep(0)
        return seen_task()

    async def method(self, request):
        return seen_task()


@pytest.mark.parametrize(
    ("handler", "in_task"),
    [
        (lambda request: seen_task(), False),
        (runs_in_task_without_await, False),
        (Callable().method, False),
        (runs_in_task_with_await, True),
        (runs_in_task_with_async_for, True),
        (runs_in_task_with_async_with, True),
        (waits_in_comprehension, True),
        (returns_coroutine, True),
        (wrapped_by_one_that_waits, True),
        (Callable(), True),
        (functools.partial(runs_in_task_with_await), True),
    ],
    ids=lambda value: getattr(value, "__qualname__", type(value).__name__),
)
def test_handlers_that_never_wait_need_no_task(raw, server, handler, in_task):
    server.route("GET /task")(handler)
    reply = raw.ask("/task")
    assert (reply.status, json.loads(reply.body)) == (200, in_task)


@pytest.mark.asyncio
async def test_handlers_that_never_wait_make_no_task(add_routes):
    loop = asyncio.get_running_loop()
    async with add_routes(FakeServer()) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await server.ledger.until(lambda ledger: ledger.open_connections == 1)
        await asyncio.sleep(0)
        made = []
        loop.set_task_factory(
            lambda loop, coro, **options: made.append(coro) or asyncio.Task(coro, loop=loop, **options)
        )
        writer.write(
            b"GET /hello HTTP/1.1\r\n\r\nPOST /echo HTTP/1.1\r\nContent-Length: 2\r\n\r\nabGET /none HTTP/1.1\r\n\r\n"
        )
        for _ in range(3):
            await reader.readuntil(b"\r\n\r\n")
        loop.set_task_factory(None)
        writer.close()
        await writer.wait_closed()
    assert made == []


def call_broken(handler, connect, replies, *, and_raise=None):
    """Call a handler twice, in a ``with`` block whose end raises what went wrong."""
    with FakeServer() as server:
        server.route("GET /broken")(handler)
        client = connect(server)
        replies.extend(client.ask("/broken") for _ in range(2))
        assert len(server.errors) == 2
        if and_raise is not None:
            raise and_raise


def raises(request):
    raise ValueError("out of stock")


async def raises_later(request):
    await asyncio.sleep(0)
    raise ValueError("out of stock")


async def returns_nothing(request):
    pass


async def returns_nothing_later(request):
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (raises, "ValueError('out of stock')"),
        (raises_later, "ValueError('out of stock')"),
        (returns_nothing, "returned None and not a Response"),
        (returns_nothing_later, "returned None and not a Response"),
        (lambda request: None, "returned None and not a Response"),
        (lambda request: {"id": 1}, "returned {'id': 1} and not a Response"),
    ],
    ids=["raises", "raises later", "nothing", "nothing later", "sync nothing", "a dict"],
)
def test_broken_handler_answers_500_and_fails_the_test(handler, reason, connect):
    replies = []
    with pytest.raises(FakeServerError) as failure:
        call_broken(handler, connect, replies)
    assert [reply.status for reply in replies] == [500, 500]
    assert reason in json.loads(replies[0].body)["detail"]
    assert reason in str(failure.value)
    assert str(failure.value).startswith("the handler of GET /broken failed: ")


def test_error_of_a_handler_keeps_its_cause(connect):
    with pytest.raises(FakeServerError) as failure:
        call_broken(raises, connect, [])
    assert isinstance(failure.value.__cause__, ValueError)


def test_failure_of_the_test_itself_is_not_hidden_by_the_servers(connect):
    with pytest.raises(ZeroDivisionError):
        call_broken(raises, connect, [], and_raise=ZeroDivisionError())


def test_broken_handler_harms_no_other_connection(connect):
    server = FakeServer()
    server.route("GET /broken")(raises)
    server.route("GET /fine")(lambda request: Response.text("fine"))
    server.start()
    assert connect(server).ask("/broken").status == 500
    assert connect(server).ask("/fine").body == b"fine"
    server.stop()
    assert len(server.errors) == 1


def test_stream_of_a_subclass_and_response_of_a_subclass_are_answers(raw, server):
    class MyResponse(Response):
        pass

    class MyStream(Stream):
        pass

    async def parts():
        yield b"ok"

    server.route("GET /response")(lambda request: MyResponse(b"ok"))
    server.route("GET /mystream")(lambda request: MyStream(parts()))
    assert [raw.ask(path).body for path in ("/response", "/mystream")] == [b"ok", b"ok"]
