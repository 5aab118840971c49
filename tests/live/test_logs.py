"""What is told of servers that run: on a terminal, as lines, as JSON."""

import json
from dataclasses import replace

import pytest
import requests

from fake_servers import Exchange, FakeServer, FakeServerError, Response
from fake_servers.faults import Disconnect, Moment, Status
from fake_servers.records import Outcome
from pytest_httpconc.live.judging import Summary
from pytest_httpconc.live.logs import JsonLog, PlainLog, TerminalLog
from pytest_httpconc.live.showing import _Told
from pytest_httpconc.live.words import exchange_in_words, in_plain

OVER = {"begun_at": 1.0, "ended_at": 1.25, "outcome": Outcome.ANSWERED, "status": 200}


def test_exchange_is_one_line_whatever_a_client_has_sent():
    hostile = Exchange(number=1, connection=2, target="/\x1b[2J\n\udc80", **OVER)
    assert (
        in_plain(exchange_in_words(hostile)) == "1 on connection 2: GET /\\x1b[2J\\n\\udc80, 200 answered in 250.0 ms"
    )
    faulty = Exchange(number=3, connection=4, fault=Status(503), latency=0.02, **OVER | {"status": 503})
    assert in_plain(exchange_in_words(faulty, url="http://x")) == (
        "3 on connection 4: GET http://x/, 503 answered in 250.0 ms, Status(503), latency 20.0 ms"
    )


@pytest.fixture
def server():
    with FakeServer() as server:
        server.route("GET /")(lambda request: Response())
        requests.get(server.url)
        server.ledger.wait_until(lambda ledger: not ledger.held_connections)
        yield server


def test_terminal_shows_colours_and_how_it_stands(server, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    with TerminalLog() as log:
        log.begin([server], ["Ctrl-C ends it"])
        log.tell(server, server.ledger.exchanges)
        log.show_state([server])
        log.tell(server, [Exchange(number=n, connection=1, **OVER) for n in range(1000)])
        log.end([Summary.of(server)])
    shown = capsys.readouterr().out
    assert "Ctrl-C ends it" in shown
    assert "\x1b[32m200 answered\x1b[0m" in shown
    assert "exchanges: 1 · executions: 1" in shown
    assert "... 800 exchanges, too many at once to be read" in shown
    assert "connections 1 (1 together, 0 open)" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1  # the cursor is given back


def test_several_servers_are_told_apart(server):
    lines = []
    with FakeServer() as other, PlainLog(lines.append) as log:
        log.begin([server, other], ["header"])
        log.tell(server, server.ledger.exchanges)
        log.tell_error(other, FakeServerError("two\nlines\x1b"))
    assert lines[0] == "header"
    assert lines[2] == f"error of {other.url}: two lines\\x1b"
    assert lines[1].startswith(f"1 on connection 1: GET {server.url}/, 200 answered in ")


def test_lines_of_json_have_what_a_machine_needs(server):
    lines = []
    with JsonLog(lines.append) as log:
        log.begin([server], ["header"])
        log.tell(server, server.ledger.exchanges)
        log.end([Summary.of(server)])
    serving, exchange, ended = map(json.loads, lines)
    assert serving == {"serving": [{"kind": "FakeServer", "url": server.url}], "header": ["header"]}
    assert (exchange["server"], exchange["exchange"]["outcome"]) == (server.url, "answered")
    assert ended["ended"][0]["counts"]["connections"] == 1


def test_error_of_the_server_itself_is_told_once_when_it_comes():
    server = FakeServer()
    server.route("GET /")(lambda request: 1 / 0)
    server.start()
    lines = []
    with JsonLog(lines.append) as log:
        told = _Told(server)
        for _ in range(2):
            requests.get(server.url)
            told.tell(log)
            told.tell(log)
        server.reset()
        requests.get(server.url)
        told.tell(log)
    server.stop()
    errors = [line for line in map(json.loads, lines) if "error" in line]
    assert len(errors) == 3
    assert "ZeroDivisionError" in errors[0]["error"]


def test_right_pool_whose_idle_connection_the_server_has_closed_is_no_finding():
    with FakeServer() as server, requests.Session() as session:
        server.route("GET /")(lambda request: Response())
        server.inject(Disconnect(at=Moment.IDLE), times=1)
        session.get(server.url)
        server.ledger.wait_until(lambda ledger: not ledger.open_connections)
        summary = Summary.of(server)
        assert not summary.findings
        assert ["in CLOSE_WAIT" in line for line in summary.still_open] == [True]


def test_summary_tells_of_so_many_open_connections(server):
    summary = replace(Summary.of(server), still_open=[f"connection {n}" for n in range(20)])
    assert summary.lines()[-1] == "  ... and 4 more"
    assert summary.lines(at_most=20)[-1] == "  connection 19"
