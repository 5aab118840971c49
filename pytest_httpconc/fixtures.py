"""The fixtures: servers that run for one test, and the checks. What they give is imported where a test asks for it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import pytest

from pytest_httpconc.tested import TEST, policy_of, see_clients

if TYPE_CHECKING:
    from fake_servers import (
        ChaosProxy,
        FakeAgentServer,
        FakeDockerServer,
        FakeEvalServer,
        FakeLLMServer,
        FakeServer,
    )
    from fake_servers.proxy.upstream import HasUrl
    from pytest_httpconc.assertions import HttpConc

    AnyServer = TypeVar("AnyServer", bound=FakeServer)


@pytest.fixture
def fake_http(request: pytest.FixtureRequest) -> FakeServer:
    """A `FakeServer` with no routes yet, stopped when the test is over."""
    from fake_servers import FakeServer

    return _serve(request, FakeServer)


@pytest.fixture
def fake_docker(request: pytest.FixtureRequest) -> FakeDockerServer:
    """A `FakeDockerServer`, stopped when the test is over."""
    from fake_servers import FakeDockerServer

    return _serve(request, FakeDockerServer)


@pytest.fixture
def fake_eval(request: pytest.FixtureRequest) -> FakeEvalServer:
    """A `FakeEvalServer` with any number of GPUs, stopped when the test is over."""
    from fake_servers import FakeEvalServer

    return _serve(request, FakeEvalServer)


@pytest.fixture
def fake_llm(request: pytest.FixtureRequest) -> FakeLLMServer:
    """A `FakeLLMServer` that echoes without delay, stopped when the test is over."""
    from fake_servers import FakeLLMServer

    return _serve(request, FakeLLMServer)


@pytest.fixture
def fake_agent(request: pytest.FixtureRequest) -> FakeAgentServer:
    """A `FakeAgentServer` that works at three questions at a time, without delay, stopped when the test is over."""
    from fake_servers import FakeAgentServer

    return _serve(request, FakeAgentServer)


@pytest.fixture
def chaos_proxy(request: pytest.FixtureRequest) -> Callable[..., ChaosProxy]:
    """Start a `ChaosProxy`, as in ``chaos_proxy("http://127.0.0.1:8000")``; it is stopped when the test is over.

    It takes the URL of the server, or a server that has one, and the keywords of `ChaosProxy`.
    """
    from fake_servers import ChaosProxy

    item: pytest.Item = request.node
    host = policy_of(item).server_host
    in_loop = AsyncExitStack()
    is_async = _is_async(item)  # now: what runs it puts a plain function in its place
    if host == "loop" or is_async:  # one of its proxies may ask for the loop
        _run_within(item, in_loop)

    def start(upstream: str | HasUrl, **options: Any) -> ChaosProxy:
        runs_in_loop = options.get("host", host) == "loop"
        if runs_in_loop and not is_async:
            _refuse_loop(item)
        proxy = ChaosProxy(upstream, **{"host": host, **options})
        item.stash[TEST].owned.append(proxy)
        if runs_in_loop:
            in_loop.push_async_exit(proxy.start_here())
        else:
            proxy.start()
        return proxy

    see_clients()
    return start


@pytest.fixture
def httpconc(request: pytest.FixtureRequest) -> Iterator[HttpConc]:
    """The checks, as ``httpconc.assert_...``."""
    from pytest_httpconc import probe
    from pytest_httpconc.assertions import HttpConc

    probe.install()
    probe.look_at_timeouts(True)
    checks = HttpConc(policy_of(request.node), request.node.stash[TEST].watched)
    yield checks
    probe.look_at_timeouts(False)
    checks.require_awaited()


def _serve(request: pytest.FixtureRequest, kind: type[AnyServer]) -> AnyServer:
    """Start a server for a test; it is stopped after every other fixture is gone, when it was looked at."""
    see_clients()
    item: pytest.Item = request.node
    host = policy_of(item).server_host
    server = kind(host=host)
    item.stash[TEST].owned.append(server)
    if host == "loop":
        _run_within(item, server)
    else:
        server.start()
    return server


def _run_within(item: pytest.Item, servers: AbstractAsyncContextManager[object]) -> None:
    """Have servers run while the test's coroutine runs, in its loop."""
    if not _is_async(item):
        _refuse_loop(item)
    body = item.obj  # type: ignore[attr-defined]  # pytest.Function has it

    @functools.wraps(body)
    async def within_servers(*args: object, **kwargs: object) -> None:
        async with servers:
            await body(*args, **kwargs)

    item.obj = within_servers  # type: ignore[attr-defined]  # likewise


def _is_async(item: pytest.Item) -> bool:
    return inspect.iscoroutinefunction(getattr(item, "obj", None))


def _refuse_loop(item: pytest.Item) -> NoReturn:
    pytest.fail(f"host='loop' needs an async test, and {item.name} is none; use host='thread'", pytrace=False)
