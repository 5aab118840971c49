"""`httpconc monitor`, as it is called."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack

import pytest
from rich.console import Console

from fake_servers import FakeServer
from pytest_httpconc.cli import main
from pytest_httpconc.monitoring.live import Tables, sparkline
from pytest_httpconc.monitoring.snapshots import snapshot
from pytest_httpconc.monitoring.sockets import Socket
from pytest_httpconc.monitoring.targets import Target
from pytest_httpconc.monitoring.trend import Trend, Verdict
from pytest_httpconc.monitoring.watch import Seen, Watch

COMMAND = [sys.executable, "-m", "pytest_httpconc", "monitor"]


def test_leak_is_seen_named_and_the_exit_status():
    with FakeServer() as server, ExitStack() as never_closed:
        command = [*COMMAND, str(server.port), "--interval", "0.01", "--fail-on-leak"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                never_closed.enter_context(socket.create_connection((server.address, server.port)))
                if "leak: " in line:
                    break
            process.send_signal(signal.SIGTERM)
            _, _, summary = process.stdout.read().rpartition(f"\nport {server.port}: ")
        assert process.returncode == 1
        assert "more connections a minute that never go away" in summary
        assert f"[{os.getpid()}] (client, port {server.port}): ESTABLISHED" in summary
        assert "(HC101)" in summary


def test_json_has_an_object_for_each_look_and_each_target(capsys):
    with FakeServer() as server, socket.create_connection((server.address, server.port)):
        server.ledger.wait_until(lambda ledger: ledger.open_connections)
        arguments = [f"port:{server.port}", f"pid:{os.getpid()}", "--interval", "0.01", "--duration", "0.02"]
        assert main(["monitor", *arguments, "--json", "--fail-on-leak"]) == 3
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {t["event"] for t in told[:-2]} == {"sample"}
    assert [(t["event"], t.get("port"), t.get("pid")) for t in told[-2:]] == [
        ("end", server.port, None),
        ("end", None, os.getpid()),
    ]
    assert (told[0]["held"], told[0]["states"], told[0]["trend"]) == (1, {"ESTABLISHED": 1}, "unknown")


def test_port_on_which_nothing_listens_is_said_and_waited_for(capsys):
    with FakeServer() as server:
        port = server.port
    assert main(["monitor", f"port:{port}", "--interval", "0.01", "--duration", "0.01"]) == 0
    told = capsys.readouterr()
    assert f"nothing listens on port {port} here" in told.err
    assert "nobody was connected to it" in told.out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["http"], "'http' is neither a port nor a process"),
        (["pid:99999999"], "there is no process 99999999"),
        (["9527", "--interval", "0"], "'0' are no seconds; allowed are numbers above 0"),
        (["9527", "--interval", "1e10"], "'1e10' are no seconds; allowed are numbers above 0 and up to 1,000,000"),
        (["99999999999999999999"], "'99999999999999999999' is neither a port nor a process"),
        ([f"pid:{'9' * 5000}"], "is neither a port nor a process"),
        ([], "the following arguments are required: PORT|PID"),
    ],
)
def test_error_is_one_line_and_a_status(capsys, arguments, problem):
    with pytest.raises(SystemExit) as ended:
        main(["monitor", *arguments])
    told = capsys.readouterr()
    assert (ended.value.code, told.out, told.err.count("\n")) == (2, "", 1)
    assert problem in told.err


def test_process_that_ends_is_said_and_ends_it(capsys):
    with subprocess.Popen(
        [sys.executable, "-c", "print(); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        watcher = [*COMMAND, f"pid:{child.pid}", "--interval", "0.01"]
        with subprocess.Popen(watcher, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            process.stdout.readline()
            child.stdin.close()
            child.wait()
            *_, last = process.stdout
            assert process.stderr.read() == f"httpconc monitor: process {child.pid} has ended\n"
        assert process.returncode == 0
        assert last.startswith(f"process {child.pid}: 0 held at the end")


def test_terminal_gets_a_table_that_stays_with_the_summary_below():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, height=40)
    with FakeServer() as server, socket.create_connection((server.address, server.port)), Tables(console) as tables:
        server.ledger.wait_until(lambda ledger: ledger.open_connections)
        seen = [Watch(Target("port", server.port)).look()]
        tables.show(seen)
        tables.end(seen)
    shown = screen.getvalue()
    for words in (f"port {server.port}", "1 held, peak 1", f"[{os.getpid()}]", "ESTABLISHED 1", "1 of 24 samples"):
        assert words in shown
    assert shown.rstrip().endswith("too early to tell (1 of 24 samples)")


def test_name_of_a_process_neither_is_markup_nor_steers_the_terminal():
    socket_of_a_child = Socket(local=("::1", 40000), remote=("::1", 9527), state="CLOSE_WAIT", pid=7)
    named = snapshot(Target("port", 9527), [socket_of_a_child], name_of=lambda pid: "x[/red]\x1b[31m\udce9")
    leak = Verdict(trend=Trend.LEAK, rate=1.0)
    seen = Seen(target=Target("port", 9527), now=named, recent=(1,), peak=1, looks=24, verdict=leak)
    screen = io.StringIO()
    with Tables(Console(file=screen, force_terminal=True, color_system=None, width=120, height=40)) as tables:
        tables.show([seen])
    row, remark, *_ = (line for line in screen.getvalue().splitlines() if "CLOSE_WAIT 1" in line)
    assert row.strip().startswith(r"x[/red]\x1b[31m\udce9[7]")
    assert r"most are held by x[/red]\x1b[31m\udce9[7] (client" in remark


def test_sparkline_is_highest_where_most_were():
    assert sparkline([0, 1, 2, 4, 8]) == "▁▁▂▄█"
    assert sparkline([0, 0]) == "▁▁"
