"""The remote-docker client against the server, whatever happens to the connection."""

import json

import pytest
import requests

from fake_servers import FakeDockerServer, Moment
from fake_servers.faults import Disconnect, HalfClose, Malformed, Redirect, Refuse, Reset, Stall, Status, WrongLength
from pytest_httpconc import CheckFailed
from pytest_httpconc.clients.docker import ContainerStartError, RemoteDockerEnvironment
from pytest_httpconc.clients.legacy.docker import (
    LeakyEnvironment,
    PerCallEnvironment,
    RetryingEnvironment,
    ShortTimeoutEnvironment,
)

EXECUTE = "POST /execute"
AT_ANY_MOMENT = [kind(at=moment) for kind in (Disconnect, Reset) for moment in Moment if moment is not Moment.ACCEPT]


def environment(server, kind=RemoteDockerEnvironment, **settings):
    return kind(server_url=server.url, image="python:3.11-slim", start_pause=0.0, **settings)


def test_one_connection_serves_a_whole_life(fake_docker, httpconc):
    with environment(fake_docker) as env:
        outputs = [env.execute(f"echo {number}")["output"] for number in range(5)]
    assert outputs == [f"{number}\n" for number in range(5)]
    assert [(e.route, e.sequence) for e in fake_docker.ledger.exchanges] == [
        ("POST /start", 1),
        *((EXECUTE, number) for number in range(2, 7)),
        ("POST /cleanup", 7),
    ]
    httpconc.assert_connections(fake_docker, at_most=1)
    httpconc.assert_no_leaks(fake_docker)


def test_requests_are_as_the_protocol_says(fake_docker):
    with environment(fake_docker, env={"A": "1"}, forward_env=["B"]) as env:
        container = env.container_id
        env.execute("true", cwd="/tmp", timeout=600)
    start, execute, cleanup = fake_docker.ledger.exchanges
    assert all(e.headers["connection"] == "keep-alive" for e in (start, execute, cleanup))
    assert all(e.headers["keep-alive"] == "timeout=300, max=100" for e in (start, execute, cleanup))
    assert read(start)["config"] == {
        "image": "python:3.11-slim",
        "cwd": "/",
        "env": {"A": "1"},
        "forward_env": ["B"],
        "timeout": 1800,
        "executable": "docker",
        "run_args": ["--rm"],
        "container_timeout": "6h",
        "pull_timeout": 400,
    }
    assert read(execute) == {
        "container_id": container,
        "command": "true",
        "cwd": "/tmp",
        "timeout": 600,
        "env": {"A": "1"},
        "forward_env": ["B"],
        "executable": "docker",
    }
    assert read(cleanup) == {"container_id": container, "executable": "docker"}


def read(exchange):
    return json.loads(exchange.body)


@pytest.mark.parametrize("fault", AT_ANY_MOMENT, ids=str)
def test_command_is_never_sent_twice(fake_docker, httpconc, fault):
    with environment(fake_docker) as env:
        fake_docker.inject(fault, on=EXECUTE, times=1)
        env.execute("echo data >> log.txt")
        env.execute("wc -l log.txt")
    assert fake_docker.ledger.count(EXECUTE) <= 2
    httpconc.assert_at_most_once(fake_docker, on=EXECUTE)


@pytest.mark.parametrize(
    "fault",
    [
        Disconnect(at=Moment.REQUEST),
        Disconnect(at=Moment.EXECUTED),
        Disconnect(after_bytes=9),
        Disconnect(after_bytes=90),
        Reset(at=Moment.REQUEST_HEAD),
        Reset(after_bytes=40),
        WrongLength(5),
        Malformed("status"),
        Malformed("chunk"),
        Malformed("garbage"),
        Status(500),
        Status(503, headers={"Retry-After": "0"}),
        Redirect("/health"),
        Redirect("/execute", status=308),
    ],
    ids=str,
)
def test_error_on_the_way_is_a_result_and_the_next_command_works(fake_docker, httpconc, fault):
    with environment(fake_docker) as env:
        fake_docker.inject(fault, on=EXECUTE, times=1)
        broken = env.execute("echo a")
        works = env.execute("echo b")
    assert broken["returncode"] == -1
    assert broken["output"].startswith("Error communicating with server: ")
    assert works == {"output": "b\n", "returncode": 0}
    httpconc.assert_at_most_once(fake_docker, on=EXECUTE)
    assert fake_docker.ledger.count("GET /health") == 0


def test_command_on_a_half_closed_connection_is_executed_once(fake_docker):
    with environment(fake_docker) as env:
        fake_docker.inject(HalfClose(), on=EXECUTE, times=1)
        env.execute("echo data >> log.txt")
        env.execute("echo data >> log.txt")
        assert int(env.execute("wc -l < log.txt")["output"]) <= 2


@pytest.mark.parametrize("failures", [1, 2])
def test_start_is_tried_again_where_no_connection_is_made(failures):
    with FakeDockerServer() as gone:
        pass
    with FakeDockerServer() as server:
        attempts = []

        class Counting(RemoteDockerEnvironment):
            def _post(self, path, body, *, timeout):
                attempts.append(path)
                if len(attempts) <= failures:
                    return requests.post(gone.url, json=body, timeout=timeout)
                return super()._post(path, body, timeout=timeout)

        with environment(server, Counting):
            pass
    assert attempts == ["/start"] * (failures + 1) + ["/cleanup"]


def test_start_is_given_up_after_three_attempts(fake_docker):
    fake_docker.inject(Refuse(seconds=60))
    with pytest.raises(ContainerStartError, match="attempt 3"):
        environment(fake_docker)
    assert fake_docker.ledger.total_connections == 0


@pytest.mark.parametrize("fault", [Status(500, body=b'{"detail": "no such image"}'), Disconnect(), Redirect("/start")])
def test_start_that_the_server_has_seen_is_not_tried_again(fake_docker, fault):
    fake_docker.inject(fault, on="POST /start")
    with pytest.raises(ContainerStartError, match="attempt 1"):
        environment(fake_docker)
    assert fake_docker.ledger.count("POST /start") == 1


def test_servers_reason_is_in_the_error(fake_docker):
    fake_docker.inject(Status(500, body=b'{"detail": "no such image"}'), on="POST /start")
    with pytest.raises(ContainerStartError, match="HTTP 500: no such image"):
        environment(fake_docker)


@pytest.mark.parametrize("fault", [Disconnect(), Reset(), Status(500), Malformed("garbage")], ids=str)
def test_cleanup_that_fails_closes_the_session_all_the_same(fake_docker, httpconc, fault):
    with environment(fake_docker):
        fake_docker.inject(fault, on="POST /cleanup")
    httpconc.assert_no_leaks(fake_docker)


def test_cleanup_twice_is_one_request(fake_docker):
    env = environment(fake_docker)
    env.cleanup()
    env.cleanup()
    assert fake_docker.ledger.count("POST /cleanup") == 1


class TestLegacy:
    def test_per_call_client_opens_a_connection_for_every_request(self, fake_docker, httpconc):
        with environment(fake_docker, PerCallEnvironment) as env:
            env.execute("true")
        with pytest.raises(CheckFailed) as failure:
            httpconc.assert_connections(fake_docker, at_most=1)
        assert [finding.code for finding in failure.value.findings] == ["HC103"]

    @pytest.mark.parametrize("moment", [Moment.REQUEST, Moment.EXECUTED, Moment.RESPONSE], ids=str)
    @pytest.mark.parametrize("kind", [Disconnect, Reset])
    def test_retrying_client_sends_a_command_again(self, fake_docker, httpconc, kind, moment):
        with environment(fake_docker, RetryingEnvironment) as env:
            fake_docker.inject(kind(at=moment), on=EXECUTE, times=1)
            assert env.execute("echo data >> log.txt")["returncode"] == 0
        with pytest.raises(CheckFailed) as failure:
            httpconc.assert_at_most_once(fake_docker, on=EXECUTE)
        assert [finding.code for finding in failure.value.findings] == ["HC201"]

    @pytest.mark.httpconc(leaks="allow")
    def test_leaky_client_leaves_its_connection_open(self, fake_docker, httpconc):
        with environment(fake_docker, LeakyEnvironment) as env:
            env.execute("true")
        with pytest.raises(CheckFailed) as failure:
            httpconc.assert_no_leaks(fake_docker, grace=0.1)
        assert [finding.code for finding in failure.value.findings] == ["HC101"]
        LeakyEnvironment.registry.pop().close()

    def test_hurried_client_gives_a_long_command_up(self, fake_docker):
        class Hurried(ShortTimeoutEnvironment):
            request_limit = 0.2

        with environment(fake_docker, Hurried) as env:
            fake_docker.inject(Stall(at=Moment.EXECUTED), on=EXECUTE, times=1)
            assert env.execute("make build")["returncode"] == -1
            fake_docker.ledger.wait_until(lambda ledger: not ledger.in_flight)
        assert fake_docker.ledger.matching(EXECUTE)[0].outcome == "aborted by client"

    def test_hurried_clients_limit_is_30_seconds(self):
        assert ShortTimeoutEnvironment.request_limit == 30
