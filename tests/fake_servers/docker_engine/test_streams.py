"""Attached and executed commands over raw sockets: bytes both ways, ends, terminals, and faults in between."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct

import pytest

from fake_servers import Moment
from fake_servers.faults import Disconnect, Malformed, Reset, Stall

UPGRADE = ("Connection: Upgrade", "Upgrade: tcp")


@pytest.fixture
def tunnel(server, connect):
    """Ask for a tunnel and return the client behind its head."""

    def tunnel(path, body=b"", upgrade=UPGRADE, status=b"101 Switching Protocols", kind=b"multiplexed"):
        raw = connect(server)
        raw.post(path, body, *upgrade)
        head = raw.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 " + status)
        assert b"Content-Type: application/vnd.docker." + kind + b"-stream" in head
        assert (b"Upgrade: tcp" in head) == bool(upgrade)
        return raw

    return tunnel


@pytest.fixture
def execute(call, tunnel):
    """Execute a command in a container, attached."""

    def execute(container, *cmd, stdin=False, tty=False, **options):
        body = {"Cmd": cmd, "AttachStdin": stdin, "AttachStdout": True, "AttachStderr": True, "Tty": tty}
        made = call(f"POST /containers/{container}/exec", status=201, json=body).json()["Id"]
        raw = tunnel(
            f"/v1.47/exec/{made}/start", b'{"Detach": false}', kind=b"raw" if tty else b"multiplexed", **options
        )
        raw.exec_id = made
        return raw

    return execute


def frames(data):
    found = []
    while data:
        stream, size = struct.unpack_from(">BxxxL", data)
        found.append((stream, data[8 : 8 + size]))
        data = data[8 + size :]
    return found


def half_close(raw):
    raw.sock.shutdown(socket.SHUT_WR)


def test_output_is_framed_and_the_end_is_fin(run, execute):
    raw = execute(run(), "sh", "-c", "echo a; sleep 1; echo b >&2")
    assert frames(raw.until_close()) == [(1, b"a\n"), (2, b"b\n")]


def test_client_that_does_not_upgrade_gets_the_same_bytes_behind_a_200(run, execute):
    raw = execute(run(), "echo", "a", upgrade=(), status=b"200 OK")
    assert frames(raw.until_close()) == [(1, b"a\n")]


def test_end_of_input_is_not_departure(run, execute):
    raw = execute(run(), "sh", "-c", "cat; sleep 1; echo done", stdin=True)
    raw.send(b"some input")
    half_close(raw)
    assert frames(raw.until_close()) == [(1, b"some input"), (1, b"done\n")]


def test_input_that_is_not_attached_is_dropped(run, execute):
    raw = execute(run(), "cat")
    raw.send(b"some input")
    assert raw.until_close() == b""


def test_terminal_shows_what_is_typed(run, execute, call):
    raw = execute(run(), "bash", stdin=True, tty=True)
    assert raw.until(b"# ") == b"# "
    raw.send(b"echo hi\r")
    assert raw.until(b"\nhi\r\n# ") == b"echo hi\r\nhi\r\n# "
    raw.send(b"exit 3\n")
    raw.until_close()
    assert call(f"GET /exec/{raw.exec_id}/json").json()["ExitCode"] == 3


def test_control_d_ends_the_input_of_a_terminal(run, execute):
    raw = execute(run(), "cat", stdin=True, tty=True)
    raw.send(b"typed\x04")
    assert raw.until_close() == b"typedtyped"


def test_killed_container_ends_its_commands(run, execute, call):
    name = run()
    raw = execute(name, "sleep", "infinity")
    call(f"POST /containers/{name}/kill")
    assert raw.until_close() == b""
    assert call(f"GET /exec/{raw.exec_id}/json").json()["ExitCode"] == 137


def test_command_goes_on_when_its_client_vanishes(server, run, execute, call):
    raw = execute(run(), "sh", "-c", "sleep 10; echo late; touch /tmp/mark")
    raw.reset()
    server.ledger.wait_until(lambda ledger: ledger.exchanges[-1].outcome == "aborted by client", timeout=5)
    assert call(f"GET /exec/{raw.exec_id}/json").json()["Running"] is True
    order = {"container_id": server.containers[0].id, "command": "sleep 15; ls /tmp"}
    assert call("POST /execute", json=order).json()["output"] == "mark\n"


def test_attach_before_the_start_sees_everything(create, call, tunnel):
    name = create("sh", "-c", "echo a; echo b >&2")
    both, errors = (
        tunnel(f"/containers/{name}/attach?stream=1&{which}") for which in ("stdout=1&stderr=1", "stderr=1")
    )
    call(f"POST /containers/{name}/start")
    assert frames(both.until_close()) == [(1, b"a\n"), (2, b"b\n")]
    assert frames(errors.until_close()) == [(2, b"b\n")]


def test_attach_later_sees_what_comes_or_what_was(run, call, tunnel):
    name = run("sh", "-c", "echo a; sleep 20; echo b")
    logs = tunnel(f"/containers/{name}/attach?logs=1&stdout=1")
    assert frames(logs.until_close()) == [(1, b"a\n")]
    late = tunnel(f"/containers/{name}/attach?stream=1&stdout=1")
    assert frames(late.until_close()) == [(1, b"b\n")]


@pytest.mark.parametrize("once", [True, False])
def test_input_of_a_container_ends_with_its_first_client_or_not(create, call, tunnel, inspect, once):
    name = create("cat", OpenStdin=True, StdinOnce=once)
    raw = tunnel(f"/containers/{name}/attach?stream=1&stdin=1&stdout=1")
    raw.send(b"early")
    call(f"POST /containers/{name}/start")
    assert frames(raw.exactly(13)) == [(1, b"early")]
    half_close(raw)
    if once:
        assert raw.until_close() == b""
        assert inspect(name)["State"]["ExitCode"] == 0
    else:
        assert inspect(name)["State"]["Running"] is True
        call(f"POST /containers/{name}/kill")
        assert raw.until_close() == b""


def test_removal_ends_an_attachment_that_waits_for_a_start(create, call, tunnel):
    name = create()
    raw = tunnel(f"/containers/{name}/attach?stream=1&stdout=1")
    call(f"DELETE /containers/{name}", status=204)
    assert raw.until_close() == b""


@pytest.mark.parametrize("fault", [Disconnect(after_bytes=130), Reset(after_bytes=130), Malformed("status")])
def test_faults_act_inside_a_command(server, run, call, connect, fault):
    made = call(f"POST /containers/{run()}/exec", json={"Cmd": ["sh", "-c", "echo " + "x" * 99], "AttachStdout": True})
    server.inject(fault, on="POST /exec/*/start")
    raw = connect(server)
    raw.post(f"/exec/{made.json()['Id']}/start", b"{}", *UPGRADE)
    got = raw.until_reset() if isinstance(fault, Reset) else raw.until_close()
    assert len(got) == 130 or got.startswith(b"HTTP/1.1 two-hundred")
    server.ledger.wait_until(lambda ledger: not ledger.in_flight)


def test_latency_and_stall_act_on_logs(server, run, call):
    name = run("sh", "-c", "echo a; sleep 1; echo b")
    server.delay(5, on="GET /containers/*/logs")
    server.inject(Stall(after_events=1, seconds=5), on="GET /containers/*/logs")
    assert frames(call(f"GET /containers/{name}/logs?follow=1&stdout=1").content) == [(1, b"a\n"), (1, b"b\n")]
    server.ledger.wait_until(lambda ledger: not ledger.in_flight)
    assert server.ledger.exchanges[-1].service_time >= 0.2


def test_logs_end_with_their_client(server, run, connect):
    raw = connect(server)
    raw.get(f"/containers/{run('sh', '-c', 'echo a; sleep infinity')}/logs?follow=1&stdout=1")
    raw.until(b"a\n")
    raw.finish()
    server.ledger.wait_until(lambda ledger: ledger.exchanges[-1].outcome == "aborted by client", timeout=5)


def test_wait_that_meets_a_fault_leaves_the_container_alone(server, run, inspect, connect):
    name = run()
    server.inject(Disconnect(at=Moment.EXECUTED), on="POST /containers/*/wait")
    raw = connect(server)
    raw.post(f"/containers/{name}/wait", b"")
    assert raw.until_close() == b""
    assert inspect(name)["State"]["Running"] is True


def test_stop_goes_on_when_its_client_goes(server, run, connect, call):
    name = run()
    raw = connect(server)
    raw.post(f"/containers/{name}/stop?t=10", b"")
    server.ledger.wait_until(lambda ledger: ledger.executions("POST /containers/*/stop") == 1, timeout=5)
    raw.finish()
    assert call(f"POST /containers/{name}/wait").json() == {"StatusCode": 137}


def test_reset_ends_what_is_attached(server, run, execute):
    raw = execute(run(), "sleep", "infinity")
    server.reset()
    with contextlib.suppress(ConnectionResetError):
        assert raw.sock.recv(1) == b""


def test_script_may_be_slow_and_is_killed_in_time(server, run, execute, call):
    server.script(re.compile("^train"), output="never\n", duration=10**6)
    name = run()
    raw = execute(name, "train", "--epochs", "9")
    assert json.loads(call(f"GET /exec/{raw.exec_id}/json").text)["Running"] is True
    call(f"POST /containers/{name}/stop?t=0")
    assert raw.until_close() == b""


def test_input_that_nobody_reads_fills_the_connection_and_not_the_memory(run, execute, call, server):
    name = run()
    raw = execute(name, "sleep", "infinity", stdin=True)
    raw.sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        raw.send(bytes(64 << 20))
    program = server.containers[0].execs[0].program
    assert len(program.stdin.data) < 2 << 20
    call(f"POST /containers/{name}/kill")
