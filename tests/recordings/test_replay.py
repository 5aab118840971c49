"""`httpconc replay`: a recording served by hand, and a command run against it."""

import re
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
import requests

from fake_servers import FakeServer, Response, ScenarioError
from fake_servers.faults import Disconnect, Status
from pytest_httpconc.recordings.forms import dump
from pytest_httpconc.recordings.serving import started
from pytest_httpconc.recordings.writing import record

COMMAND = [sys.executable, "-m", "pytest_httpconc", "replay"]


@pytest.fixture
def file(tmp_path, ask):
    """A recording: an order that was disconnected, one that was refused, one that was answered."""
    with FakeServer() as server:
        server.route("POST /orders")(lambda request: Response.json({"id": server.ledger.count()}, status=201))
        server.inject(Disconnect(), times=1)
        server.inject(Status(503), times=1)
        for _ in range(3):
            ask(server.port, "/orders", b"tea", method="POST")
    path = tmp_path / "test_it.json"
    path.write_text(dump(record("test_it.py::test_it", "AssertionError: 2", [], [(server, server.ledger)])))
    return path


@contextmanager
def replaying(*arguments):
    """The command at work, and the lines that it prints after those that say where."""
    process = subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "test_it.py::test_it: AssertionError: 2\n"
        where = process.stdout.readline()
        assert process.stdout.readline() == "Ctrl-C ends it\n"
        yield process, int(where.split()[2].rpartition(":")[2])
    finally:
        process.kill()
        process.communicate()


def test_recording_is_served_until_it_is_interrupted_and_says_what_comes(file, ask):
    with replaying(file) as (process, port):
        assert ask(port, "/orders", b"milk", method="POST") == b""
        assert ask(port, "/orders", b"milk", method="POST").startswith(b"HTTP/1.1 503 ")
        answer = requests.post(f"http://127.0.0.1:{port}/orders", data="milk", timeout=10)
        assert (answer.status_code, answer.json()) == (201, {"id": 3})
        lines = [re.sub(r" in [0-9.]+ m?s", "", process.stdout.readline()) for _ in range(3)]
        assert lines == [
            "1 on connection 1: POST /orders, ended by fault, Disconnect(at=EXECUTED)\n",
            "2 on connection 2: POST /orders, 503 answered, Status(503)\n",
            "3 on connection 3: POST /orders, 201 answered\n",
        ]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_port_is_the_recorded_one_if_asked(file):
    recorded = int(file.read_text().partition('"port": ')[2].partition(",")[0])
    with replaying("--port", "same", file) as (_, port):
        assert port == recorded
        taken = subprocess.run([*COMMAND, file, "--port", str(port)], capture_output=True, text=True)
        assert taken.returncode == 2
        assert taken.stderr.startswith("httpconc replay: ")
        assert taken.stderr.count("\n") == 1


def test_command_is_run_against_it_and_its_status_is_the_answer(file):
    source = """
import http.client, os, sys
connection = http.client.HTTPConnection(os.environ["HTTPCONC_URL"].removeprefix("http://"))
try:
    connection.request("POST", "/orders", b"tea")
    connection.getresponse()
except http.client.RemoteDisconnected:
    sys.exit(7)
"""
    done = subprocess.run([*COMMAND, file, "--", sys.executable, "-c", source], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")


CLIENT = """
    import pytest, requests
    from fake_servers import FakeServer, Response, ScenarioError
    from fake_servers.faults import Reset

    @pytest.mark.parametrize("number", [1, 2])
    def test_order(fake_http, number):
        fake_http.route("POST /orders")(lambda request: Response(status=200))
        fake_http.inject(Reset())  # it is the recording that counts
        with pytest.raises(requests.ConnectionError):
            requests.post(fake_http.url + "/orders", data="tea")
        statuses = [requests.post(fake_http.url + "/orders", data="tea").status_code for _ in range(3)]
        assert statuses == [503, 200, 200]
        with FakeServer() as other:  # not recorded, and so its own
            other.inject(Reset())
            with pytest.raises(requests.ConnectionError):
                requests.get(other.url)
"""


def test_servers_of_a_test_run_meet_what_was_recorded(run, pytester, file, monkeypatch):
    monkeypatch.setenv("HTTPCONC_REPLAY", str(file))
    result = run(CLIENT)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([f"httpconc: replaying {file}"])


def test_test_run_against_a_recording_leaves_none(run, pytester, file, monkeypatch):
    run("def test(fake_http):\n    pass")
    monkeypatch.setenv("HTTPCONC_REPLAY", str(file))
    run("import requests\n\ndef test(fake_http):\n    requests.get(fake_http.url)\n    assert 0").assert_outcomes(
        failed=1
    )
    assert not (pytester.path / ".httpconc").exists()


def test_failing_test_is_replayed_by_pytest_and_fails_alike(run, pytester):
    source = """
        import random, requests
        from fake_servers import FakeServer
        from fake_servers.faults import Status

        def test_luck():
            with FakeServer(seed=random.SystemRandom().randrange(10**9)) as server:
                server.inject(Status(503), probability=0.5)
                statuses = [requests.get(server.url).status_code for _ in range(12)]
            assert statuses == []
    """
    first = run(source)
    (path,) = (pytester.path / ".httpconc").glob("*.json")
    pytest_again = [sys.executable, "-m", "pytest", "-p", "pytest_httpconc.plugin", "-p", "no:cacheprovider"]
    again = subprocess.run([*COMMAND, path, "--", *pytest_again], capture_output=True, text=True, cwd=pytester.path)
    assert again.returncode == 1
    (failure,) = [line for line in first.outlines if line.startswith("E       assert [")]
    assert failure in again.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["missing.json"], "httpconc replay: missing.json can't be read: No such file or directory"),
        (["FILE", "--", "no-such-command"], "httpconc replay: no-such-command can't be run: No such file"),
        (["FILE", "--port", "0"], "argument --port: '0' is no port; allowed are 1 to 65535 and same"),
        (["FILE", "--port", "samt"], "argument --port: 'samt' is no port"),
        ([], "the following arguments are required: FILE"),
    ],
)
def test_error_is_one_line_and_a_status(file, arguments, problem):
    arguments = [str(file) if argument == "FILE" else argument for argument in arguments]
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1


def test_test_run_against_a_file_that_is_no_recording_ends_in_one_line(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HTTPCONC_REPLAY", str(tmp_path / "missing.json"))
    result = run("def test(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: HTTPCONC_REPLAY: *missing.json can't be read: No such file or directory"])


def test_several_servers_take_their_recorded_ports_or_those_that_follow(recorded, ask):
    with FakeServer() as one, FakeServer() as two:
        for server in (one, two):
            server.route("GET /")(lambda request, server=server: Response.json({"port": server.port}))
            ask(server.port, "/")
    recording = recorded(one, two)
    with started(recording, port="same") as servers:
        assert [server.port for server in servers] == [one.port, two.port]
        assert f'"port": {two.port}'.encode() in ask(two.port, "/")
    with pytest.raises(ScenarioError, match="port=65536 is out of range"), started(recording, port=65535):
        pass
    with pytest.raises(ScenarioError, match="no server to serve"), started(recorded()):
        pass
