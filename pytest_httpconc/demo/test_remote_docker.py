"""The tests that `httpconc demo` runs: what anyone would write for a client of a remote command server."""

import pytest

from fake_servers import FakeDockerServer, Moment
from fake_servers.faults import Disconnect
from pytest_httpconc import HttpConc
from pytest_httpconc.clients.docker import RemoteDockerEnvironment
from pytest_httpconc.clients.legacy.docker import (
    LeakyEnvironment,
    PerCallEnvironment,
    RetryingEnvironment,
    ShortTimeoutEnvironment,
)

Client = type[RemoteDockerEnvironment]


class HurriedEnvironment(ShortTimeoutEnvironment):
    """`ShortTimeoutEnvironment` at a hundredth of its 30 seconds, beside a server at a hundredth of its time."""

    request_limit = 0.3


HurriedEnvironment.__name__ = "ShortTimeoutEnvironment"


def clients(*, legacy: Client, expected: str) -> pytest.MarkDecorator:
    """The repaired client, which must be cleared, and the wrong one, which must be caught."""
    return pytest.mark.parametrize(("client", "expected"), [(RemoteDockerEnvironment, ""), (legacy, expected)])


@clients(legacy=RetryingEnvironment, expected="HC201")
def test_commands_run_once(fake_docker: FakeDockerServer, httpconc: HttpConc, client: Client, expected: str) -> None:
    """The connection breaks once the command was executed: the command must not run twice."""
    fake_docker.inject(Disconnect(at=Moment.EXECUTED), on="POST /execute", times=1)
    with client(server_url=fake_docker.url, image="python:3.11-slim") as environment:
        environment.execute("echo data >> log.txt")
    httpconc.assert_at_most_once(fake_docker, on="POST /execute")


@clients(legacy=PerCallEnvironment, expected="HC103")
def test_commands_share_a_connection(
    fake_docker: FakeDockerServer, httpconc: HttpConc, client: Client, expected: str
) -> None:
    """Ten commands one after the other: one connection serves them all."""
    with client(server_url=fake_docker.url, image="python:3.11-slim") as environment:
        for number in range(10):
            environment.execute(f"echo {number}")
    httpconc.assert_connections(fake_docker, at_most=1)


@clients(legacy=LeakyEnvironment, expected="HC101")
def test_nothing_stays_open(fake_docker: FakeDockerServer, client: Client, expected: str) -> None:
    """A test that says nothing about connections: none may be open when it ends."""
    with client(server_url=fake_docker.url, image="python:3.11-slim") as environment:
        assert environment.execute("pwd") == {"output": "/\n", "returncode": 0}


@clients(legacy=HurriedEnvironment, expected="the build was given up: aborted by client")
def test_long_commands_are_waited_for(client: Client, expected: str) -> None:
    """A build takes 60 seconds: the client must wait for it."""
    with FakeDockerServer(time_scale=0.01) as server:
        server.script("make build", output="ok\n", duration=60.0)
        with client(server_url=server.url, image="python:3.11-slim") as environment:
            result = environment.execute("make build")
        (build,) = server.ledger.matching("POST /execute")
    if result["returncode"] != 0:
        pytest.fail(f"the build was given up: {build.outcome}", pytrace=False)
