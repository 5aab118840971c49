"""`httpconc serve`, as a process that one talks to."""

import argparse
import json
import re
import signal
import socket
import subprocess
import sys
from itertools import takewhile

import pytest
import requests

from fake_servers import Injection, Scenario
from fake_servers.faults import Reset, Status
from fake_servers.latency import Fixed, Uniform
from pytest_httpconc import cli
from pytest_httpconc.commands import serve
from pytest_httpconc.commands.services import SERVICES, add_own_options

COMMAND = [sys.executable, "-m", "pytest_httpconc", "serve"]


def test_faults_act_and_the_summary_tells_what_was_found(start):
    fault = ["--fault", "Disconnect(at=EXECUTED)", "--on", "POST /execute", "--times", "1"]
    process = start("serve", "docker", "--port", "0", "--dashboard", *fault)
    header = "".join(takewhile(lambda line: line != "Ctrl-C ends it\n", process.stdout))
    url = header.split()[2]
    assert url in requests.get(header.partition("\ndashboard: ")[2].splitlines()[0]).text
    assert f"export DOCKER_HOST=tcp://{url.removeprefix('http://')}\n" in header
    command = {"container_id": "x", "command": "ls"}
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{url}/execute", json=command)
    assert requests.post(f"{url}/execute", json=command).status_code == 404
    lines = [process.stdout.readline() for _ in range(2)]
    assert re.fullmatch(
        r"1 on connection 1: POST /execute, ended by fault in [\d.]+ ms, Disconnect\(at=EXECUTED\)\n", lines[0]
    )
    assert re.fullmatch(r"2 on connection 2: POST /execute, 404 answered in [\d.]+ ms\n", lines[1])
    process.send_signal(signal.SIGINT)
    summary, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert f"{url}: connections 2 (1 together, " in summary
    assert "HC201 request sent again after it may have been executed" in summary


def test_connection_that_is_open_at_the_end_is_told_and_lines_can_be_json(start):
    process = start("serve", "http", "--json", "--port", "0")
    (served,) = json.loads(process.stdout.readline())["serving"]
    with requests.Session() as session:
        assert session.post(f"{served['url']}/x", data="hello").text == "hello"
        exchange = json.loads(process.stdout.readline())["exchange"]
        assert (exchange["method"], exchange["target"], exchange["status"]) == ("POST", "/x", 200)
        process.send_signal(signal.SIGTERM)
        (ended,) = json.loads(process.stdout.readline())["ended"]
        assert process.wait(10) == 0
    assert ended["still_open"][0].startswith("connection 1 from port ")
    assert ended["counts"]["exchanges"] == 1


def test_port_that_is_taken_is_told_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run([*COMMAND, "eval", "--port", port], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"httpconc serve: can't listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("", "the following arguments are required: SERVICE"),
        ("postgres", "invalid choice: 'postgres'"),
        ("docker --fault Foo", "argument --fault: fault 'Foo' is not known; allowed are Disconnect,"),
        ("docker --delay 50ms", "argument --delay: '50ms' can't be read; write it as in 0.05 or"),
        ("docker --times 2", "argument --times: there is no --fault or --delay before it"),
        ("docker --fault Reset --times 2 --times 3", "argument --times: it is given twice"),
        ("docker --fault Reset --on /x", "httpconc serve: on='/x' is not a pattern"),
        ("docker --port 70000", "'70000' is no port; allowed are 0 (any that is free) to 65535"),
        ("eval --gpus many", "argument --gpus: 'many' is not a whole number or none, as in 8"),
        ("eval --duration -1", "argument --duration: seconds=-1 is not a duration"),
        ("agent --tools search", "argument --tools: 'search' is no pair; write NAME=VALUE"),
        ("agent --model pond", "httpconc serve: model='pond' is not known; allowed are shared"),
        ("llm --workers 2 --max-num-seqs 3", "httpconc serve: workers=2 can't be"),
        ("llm --scenario missing.toml", "httpconc serve: missing.toml can't be read: No such file or directory"),
        ("llm --unix-socket /no-such-folder/x", "httpconc serve: can't listen on /no-such-folder/x"),
    ],
)
def test_error_is_one_line_and_a_status(capsys, arguments, problem):
    with pytest.raises(SystemExit) as ended:
        cli.main(["serve", *arguments.split()])
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert problem in err
    assert (out, err.count("\n")) == ("", 1)


def made(*arguments):
    """The server that would be served."""
    return serve.make_server(cli.make_parser().parse_args(["serve", *arguments]))


def test_each_service_takes_the_arguments_of_its_class():
    llm = made("llm", "--ttft", "0.2", "--tokens", "8", "--models", "a,b", "--single-threaded").makings.arguments
    assert {"ttft": Fixed(0.2), "tokens": 8, "models": ["a", "b"], "single_threaded": True}.items() <= llm.items()
    tools = ["--tools", "search=0.5", "--tools", "browse=Uniform(0,1)"]
    agent = made("agent", *tools, "--wait-limit", "none").makings.arguments
    assert {"tools": {"search": Fixed(0.5), "browse": Uniform(0, 1)}, "wait_limit": None}.items() <= agent.items()
    assert "model" not in agent  # what is not given is the class's own affair


@pytest.mark.parametrize(
    ("sent", "answered"), [(b"text/csv; header=absent", "text/csv; header=absent"), (b"a\xffb", "text/plain")]
)
def test_plain_service_answers_whatever_it_is_sent(sent, answered):
    with made("http", "--port", "0") as server:
        answer = requests.post(server.url, data="hi", headers={"Content-Type": sent})
    assert (answer.status_code, answer.text, answer.headers["Content-Type"]) == (200, "hi", answered)


def test_faults_and_delays_come_after_those_of_the_file(tmp_path):
    path = tmp_path / "storm.toml"
    path.write_text('seed = 7\n[[injections]]\non = "GET /a"\nfault = { kind = "Reset" }\n')
    fault = ["--fault", "Status:503", "--on", "* /b", "--times", "2"]
    delay = ["--delay", "0.1", "--after", "3", "--probability", "0.5"]
    server = made("http", "--scenario", str(path), *fault, *delay)
    assert server.scenario == Scenario(
        [
            Injection(on="GET /a", fault=Reset()),
            Injection(on="* /b", fault=Status(503), times=2),
            Injection(latency=Fixed(0.1), after=3, probability=0.5),
        ],
        seed=7,
    )
    assert made("http", "--scenario", str(path), "--seed", "8").scenario.seed == 8


def test_ports_are_those_of_the_field():
    assert [made(service.name).port for service in SERVICES] == [9527, 9528, 9529, 9530, 9531]


def test_every_option_says_what_it_is():
    for service in SERVICES:
        parser = argparse.ArgumentParser()
        add_own_options(parser, service.cls)
        assert all(action.help for action in parser._actions)
