"""`httpconc proxy`, as a process that one talks to."""

import argparse
import signal

import pytest
import requests

from fake_servers import FakeDockerServer, ScenarioError
from fake_servers.faults import Disconnect
from pytest_httpconc import cli
from pytest_httpconc.commands import proxy


def read(*arguments):
    return cli.make_parser().parse_args(["proxy", *arguments])


def test_faults_act_before_a_real_server_and_the_summary_tells_what_was_found(start):
    fault = ["--fault", "Disconnect(at=EXECUTED)", "--on", "POST /execute", "--times", "1"]
    with FakeDockerServer() as real:
        process = start("proxy", real.url, "--port", "0", *fault)
        first = process.stdout.readline()
        url = first.split()[2]
        assert first == f"ChaosProxy at {url} before {real.url}\n"
        command = {"container_id": "x", "command": "ls"}
        with pytest.raises(requests.ConnectionError):
            requests.post(f"{url}/execute", json=command)
        assert requests.post(f"{url}/execute", json=command).status_code == 404
        process.send_signal(signal.SIGINT)
        summary, _ = process.communicate(timeout=10)
        assert process.returncode == 0
        assert "HC201 request sent again after it may have been executed" in summary
        assert real.ledger.executions("POST /execute") == 2


def test_options_make_the_proxy():
    made = proxy.make_proxy(read("tcp://127.0.0.1:6379", "--fault", "Disconnect(after_bytes=3)", "--insecure"))
    assert made.upstream == "tcp://127.0.0.1:6379"
    assert made.scenario.injections[0].fault == Disconnect(after_bytes=3)
    assert made.makings.arguments["port"] == 9532
    made = proxy.make_proxy(read("unix:///socket", "--port", "0"))
    assert (made.upstream, made.makings.arguments["port"]) == ("unix:///socket", 0)
    made = proxy.make_proxy(read("https://x/v1", "--keep-host", "--connect-timeout", "3"))
    assert {name: made.makings.arguments[name] for name in ("keep_host", "connect_timeout", "verify")} == {
        "keep_host": True,
        "connect_timeout": 3.0,
        "verify": True,
    }


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["localhost:8000"], "has no scheme that is known"),
        (["https://x", "--ca", "/no/such.pem"], "can't be read as certificates"),
        (["https://x", "--ca", "a.pem", "--insecure"], "give one of them"),
        (["tcp://x:1", "--fault", "Status:503"], "needs HTTP"),
        (["unix:///socket"], "before a unix socket, --port has to be given"),
        (["http://x", "--connect-timeout", "0"], "connect_timeout=0.0 is out of range"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, problem):
    options = read(*arguments)
    assert isinstance(options, argparse.Namespace)
    with pytest.raises(ScenarioError, match=problem):
        proxy.make_proxy(options)


def test_error_is_one_line(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["proxy", "nowhere"])
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("httpconc proxy: upstream='nowhere' has no scheme that is known; allowed are 'http://")
