"""Whichever side ends first, the other notices: nothing hangs, nothing is left."""

import os
import signal
import subprocess
import sys
import threading

import psutil
import pytest
import requests

from fake_servers import FakeServer, FakeServerError, Response, ScenarioError

PATIENCE = 20
PARENT = """
import os, signal, sys
from fake_servers import FakeServer, Response

server = FakeServer(host="process")

@server.route("GET /pid")
def pid(request):
    return Response.json(os.getpid())

print(server.start().url, flush=True)
sys.stdin.readline()
if sys.argv[1] == "fork" and not os.fork():  # it holds the channel open until the test is over
    sys.stdin.read()
    os._exit(0)
if sys.argv[1] != "leave":
    os.kill(os.getpid(), signal.SIGKILL)
"""


def child_of(server):
    return psutil.Process(server._host._children[0].pid)


def new_server():
    server = FakeServer(host="process")
    server.route("GET /")(lambda request: Response.text("here"))
    return server


@pytest.mark.parametrize("way", ["kill", "fork", "leave"])
def test_process_ends_when_its_parent_is_gone(way):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, way], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        child = psutil.Process(requests.get(parent.stdout.readline().strip() + "/pid").json())
        parent.stdin.write("\n")
        parent.stdin.flush()
        child.wait(PATIENCE)
        parent.stdin.close()
    assert not child.is_running()


def test_killed_process_is_an_error_at_the_next_use_and_at_the_end():
    server = new_server()
    with pytest.raises(FakeServerError, match="was ended by SIGKILL") as raised, server:
        die_and_be_used(server)
    assert server.errors == (raised.value,)
    assert (server.is_running, server.ledger.open_connections) == (False, 0)
    assert [c.closed_by for c in server.ledger.connections] == ["server"]


def die_and_be_used(server):
    with requests.Session() as session:
        session.get(server.url)
        assert server.ledger.count() == len(server.ledger.connections) == 1
        child_of(server).kill()
        for use in (
            lambda: server.ledger.count(),
            lambda: server.route("GET /x")(print),
            lambda: server.unmatched,
            server.catch_up,
        ):
            with pytest.raises(FakeServerError, match="was ended by SIGKILL"):
                use()


def test_whoever_waits_for_the_ledger_of_a_killed_process_is_told():
    server = new_server().start()
    waiting = threading.Event()

    def never(ledger):
        waiting.set()
        return ledger.count() > 0

    killer = threading.Thread(target=lambda: (waiting.wait(PATIENCE), child_of(server).kill()))
    killer.start()
    with pytest.raises(FakeServerError, match="SIGKILL"):
        server.ledger.wait_until(never, timeout=PATIENCE)
    killer.join()
    server.stop()


def test_stopped_server_leaves_no_process():
    server = new_server().start()
    child = child_of(server)
    server.stop()
    server.stop()
    assert not child.is_running()


def test_keyboard_interrupt_is_left_to_the_parent():
    with new_server() as server:
        os.kill(child_of(server).pid, signal.SIGINT)
        assert requests.get(server.url).text == "here"


def be_left(url):
    with pytest.raises(requests.ConnectionError):
        requests.get(url)


def test_handler_that_blocks_its_process_is_told_and_ended(monkeypatch):
    import fake_servers.processes.host as host

    monkeypatch.setattr(host, "_LONGEST_ANSWER", 0.2)
    server = new_server()

    @server.route("GET /block")
    def block(request):
        import time

        time.sleep(1000)

    server.start()
    child = child_of(server)
    client = threading.Thread(target=be_left, args=(server.url + "/block",))
    client.start()
    with pytest.raises(FakeServerError, match="a handler blocks it"):
        server.ledger.wait_until(lambda ledger: False)
    with pytest.raises(FakeServerError, match="a handler blocks it"):
        server.stop()
    client.join()
    assert not child.is_running()


def test_server_that_can_not_be_made_there_says_why():
    class Odd(FakeServer):
        def __init__(self, **options):
            super().__init__(**options)
            if os.getpid() != here:
                raise LookupError("not there")

    here = os.getpid()
    with pytest.raises(FakeServerError, match="LookupError: not there"):
        Odd(host="process").start()


@pytest.mark.asyncio
async def test_process_is_not_started_in_a_loop():
    with pytest.raises(ScenarioError, match="host='process' runs in no loop"):
        await new_server().start_in_loop()
