"""The remote-docker client when the server is silent, gone or wrong: what it returns, and what it leaves open."""

import pytest

from fake_servers import FakeDockerServer, Moment
from fake_servers.faults import Disconnect, Malformed, Redirect, Reset, Stall, Status
from pytest_httpconc.clients.docker import ContainerStartError, RemoteDockerEnvironment

EXECUTE = "POST /execute"


class Impatient(RemoteDockerEnvironment):
    """The client, but for its patience with one kind of request, which is a tenth of a second."""

    hurried = "/execute"

    def _post(self, path, body, *, timeout):
        return super()._post(path, body, timeout=0.1 if path == self.hurried else timeout)


class ImpatientToStart(Impatient):
    hurried = "/start"


class ImpatientToCleanUp(Impatient):
    hurried = "/cleanup"


def environment(server, kind=RemoteDockerEnvironment, **settings):
    return kind(server_url=server.url, image="python:3.11-slim", start_pause=0.0, **settings)


@pytest.mark.parametrize(
    "moment", [Moment.REQUEST_HEAD, Moment.REQUEST, Moment.EXECUTED, Moment.RESPONSE], ids=lambda moment: moment.name
)
def test_command_that_is_not_answered_in_time_is_given_up_and_not_sent_again(fake_docker, httpconc, moment):
    with environment(fake_docker, Impatient) as env:
        fake_docker.inject(Stall(at=moment), on=EXECUTE, times=1)
        result = env.execute("echo data >> log.txt")
        fake_docker.ledger.wait_until(lambda ledger: not ledger.in_flight)
        assert env.execute("pwd") == {"output": "/\n", "returncode": 0}
    assert result["returncode"] == -1
    assert result["output"].startswith("Error communicating with server: ")
    first, second = fake_docker.ledger.matching(EXECUTE)
    assert (first.outcome, second.outcome) == ("aborted by client", "answered")
    assert (first.connection, second.connection) == (1, 2)
    httpconc.assert_at_most_once(fake_docker, on=EXECUTE)


@pytest.mark.parametrize("kind", [Disconnect, Reset])
@pytest.mark.parametrize(("moment", "executions"), [("REQUEST_HEAD", 0), ("REQUEST", 0), ("EXECUTED", 1)])
def test_command_runs_as_often_as_the_server_got_to_it(fake_docker, kind, moment, executions):
    with environment(fake_docker) as env:
        fake_docker.inject(kind(at=Moment[moment]), on=EXECUTE, times=1)
        assert env.execute("echo data >> log.txt")["returncode"] == -1
        assert env.execute("wc -l < log.txt || echo 0")["output"].strip()[-1] == str(executions)
    assert fake_docker.ledger.executions(EXECUTE) == executions + 1


@pytest.mark.parametrize("fault", [Disconnect(at=Moment.ACCEPT), Reset(at=Moment.ACCEPT)], ids=str)
def test_connection_that_ends_as_soon_as_it_is_accepted_is_an_error_like_any_other(fake_docker, fault):
    with environment(fake_docker) as env:
        fake_docker.inject(Disconnect(at=Moment.IDLE), on=EXECUTE, times=1)
        env.execute("true")
        fake_docker.ledger.wait_until(lambda ledger: not ledger.open_connections)
        fake_docker.inject(fault, times=1)
        assert env.execute("echo data >> log.txt")["returncode"] == -1
    assert fake_docker.ledger.count(EXECUTE) == 1


def test_stale_connection_is_replaced_and_the_command_sent_once(fake_docker, httpconc):
    with environment(fake_docker) as env:
        fake_docker.inject(Disconnect(at=Moment.IDLE), on=EXECUTE, times=3)
        for number in range(3):
            assert env.execute(f"echo {number}")["output"] == f"{number}\n"
            fake_docker.ledger.wait_until(lambda ledger: not ledger.open_connections)
    assert fake_docker.ledger.executions(EXECUTE) == 3
    httpconc.assert_at_most_once(fake_docker)
    httpconc.assert_connections(fake_docker, at_most=1)


def test_server_that_has_gone_is_a_result_and_no_error():
    with FakeDockerServer() as server:
        env = environment(server)
    assert env.execute("true")["returncode"] == -1
    env.cleanup()
    assert server.ledger.count(EXECUTE) == 0


def test_container_that_has_gone_is_told_in_the_servers_words(fake_docker):
    with environment(fake_docker) as env:
        fake_docker.reset()
        result = env.execute("true")
    assert result["returncode"] == -1
    assert "HTTP 404: no container" in result["output"]


def test_command_that_outlives_its_own_timeout_is_124_and_no_error():
    with FakeDockerServer(time_scale=0.01) as server, environment(server, timeout=5) as env:
        assert env.execute("sleep 20") == {"output": "Command timed out.", "returncode": 124}
        assert env.execute("sleep 20", timeout=30) == {"output": "", "returncode": 0}


@pytest.mark.parametrize("failures", [1, 2])
def test_start_that_is_not_answered_in_time_is_tried_again(fake_docker, httpconc, failures):
    fake_docker.inject(Stall(at=Moment.REQUEST), on="POST /start", times=failures)
    with environment(fake_docker, ImpatientToStart) as env:
        assert env.execute("pwd")["returncode"] == 0
    assert fake_docker.ledger.count("POST /start") == failures + 1
    httpconc.assert_no_leaks(fake_docker)


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [
        (Stall(at=Moment.REQUEST), 3),
        (Status(500), 1),
        (Status(503), 1),
        (Disconnect(), 1),
        (Reset(at=Moment.REQUEST), 1),
        (Malformed("garbage"), 1),
        (Redirect("/start", status=308), 1),
    ],
    ids=str,
)
def test_start_that_fails_leaves_nothing_open(fake_docker, httpconc, fault, attempts):
    fake_docker.inject(fault, on="POST /start")
    with pytest.raises(ContainerStartError, match=f"attempt {attempts}"):
        environment(fake_docker, ImpatientToStart)
    assert fake_docker.ledger.count() == attempts
    httpconc.assert_no_leaks(fake_docker)


@pytest.mark.parametrize("fault", [Stall(), Stall(at=Moment.RESPONSE)], ids=str)
def test_cleanup_that_is_not_answered_in_time_is_given_up(fake_docker, httpconc, fault):
    with environment(fake_docker, ImpatientToCleanUp):
        fake_docker.inject(fault, on="POST /cleanup")
    assert fake_docker.ledger.count("POST /cleanup") == 1
    httpconc.assert_no_leaks(fake_docker)


def test_error_in_the_block_cleans_up_all_the_same(fake_docker, httpconc):
    with pytest.raises(LookupError), environment(fake_docker):
        raise LookupError
    assert fake_docker.containers == ()
    httpconc.assert_no_leaks(fake_docker)


def test_many_environments_have_a_connection_and_a_container_each(fake_docker, httpconc):
    first, second = environment(fake_docker), environment(fake_docker)
    first.execute("echo mine > file")
    assert second.execute("cat file")["returncode"] == 1
    assert fake_docker.ledger.open_connections == 2
    for env in (first, second):
        env.cleanup()
    httpconc.assert_no_leaks(fake_docker)
