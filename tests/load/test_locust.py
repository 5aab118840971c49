"""One master and two workers of locust's on loopback: the clients of the example pass, and wrong ones are found."""

import os
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pytest_httpconc.findings import CATALOGUE

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "load" / "locustfile.py"

WRONG = """
import pytest, requests
from fake_servers import FakeServer, Response
from fake_servers.faults import Disconnect
from locust import constant
from pytest_httpconc import ClientContract
from pytest_httpconc.load import ContractUser


class TestRetrying(ClientContract):
    path = "/orders"

    @pytest.fixture
    def client(self):
        with requests.Session() as session:
            yield session

    def call(self, client, url, payload):
        try:
            return client.post(url, json=payload, timeout=30).json()
        except requests.ConnectionError:
            return client.post(url, json=payload, timeout=30).json()


class TestPerCall(ClientContract):
    @pytest.fixture
    def client(self):
        return []

    def call(self, client, url, payload):
        NEVER_CLOSED.append(requests.Session())
        return NEVER_CLOSED[-1].post(url, json=payload, timeout=30).json()


class TestMixing(TestRetrying):
    def call(self, client, url, payload):
        FIRST.append(super().call(client, url, payload))
        return FIRST[0]


FIRST, NEVER_CLOSED = [], []
breaking = FakeServer(host="process")
breaking.inject(Disconnect(), on="POST /orders", times=2)

@breaking.route("POST /**")
def echo(request):
    return Response(request.body, headers={"Content-Type": "application/json"})


class RetryingUser(ContractUser):
    contract = TestRetrying
    server = breaking
    wait_time = constant(0.05)


class MixingUser(ContractUser):
    contract = TestMixing
    server = breaking
    wait_time = constant(0.05)


class PerCallUser(ContractUser):
    contract = TestPerCall
    server = breaking
    wait_time = constant(0.05)
"""
#: When each worker has made its calls, ends the run as it ends when its time is over, or tells the test to.
ENDING = """
import os
import gevent
from locust import events
from locust.runners import MasterRunner, WorkerRunner


@events.init.add_listener
def end_when_each_worker_has_made_its_calls(environment, runner, **_):
    if isinstance(runner, WorkerRunner):
        calls = iter(range(20))

        @environment.events.request.add_listener
        def count(**_):
            if next(calls, None) == 19:
                runner.send_message("enough")

    if isinstance(runner, MasterRunner):
        workers = set()

        def end(msg, **_):
            workers.add(msg.node_id)
            if len(workers) == 2 and os.environ["ENDS_BY"] == "time":
                gevent.spawn(runner.quit)
            elif len(workers) == 2:
                print("enough", flush=True)

        runner.register_message("enough", end)
"""


def locust(folder, files, *arguments, **environment):
    """In its files' folder, where the server's process could import them too, and must not."""
    command = [sys.executable, "-m", "locust", "-f", ",".join(map(str, files)), *arguments]
    pipe, env = subprocess.PIPE, {**os.environ, **environment}
    return subprocess.Popen(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


@contextmanager
def master_of_two_workers(folder, file, *, ends_by):
    (folder / "ending.py").write_text(ENDING)
    files, port = [file, folder / "ending.py"], free_port()
    head = ("--headless", "--only-summary", "--master", "--expect-workers", "2", "-u", "6", "-r", "100")
    with ExitStack() as stack:
        master = locust(folder, files, *head, "--master-bind-port", port, ENDS_BY=ends_by)
        for process in (master, *(locust(folder, files, "--worker", "--master-port", port) for _ in range(2))):
            stack.enter_context(process)
            stack.callback(process.kill)
        yield master


def test_clients_that_are_right_pass(tmp_path):
    with master_of_two_workers(tmp_path, EXAMPLE, ends_by="time") as master:
        out, log = master.communicate(timeout=100)
    assert master.returncode == 0, log
    assert "2 workers connected" in log
    assert '{"AsyncOrdersUser": 3, "OrdersUser": 3}' in log
    assert "found nothing in <Ledger" in log
    assert "(0 open)" in log
    assert "HC" not in out


def test_clients_that_are_wrong_are_found_though_the_run_is_terminated(tmp_path):
    (tmp_path / "wrong.py").write_text(WRONG)
    with master_of_two_workers(tmp_path, tmp_path / "wrong.py", ends_by="signal") as master:
        assert master.stdout.readline() == "enough\n", master.stderr.read()
        master.terminate()  # in the hub, where locust has it handled: Ctrl-C may interrupt any greenlet
        out, log = master.communicate(timeout=100)
    assert master.returncode == 1, log
    found = {code for code, rule in CATALOGUE.items() if f"{code} {rule.statement}\n" in out}
    assert found == {"HC101", "HC103", "HC201", "HC501"}, log


def test_what_can_not_be_run_is_one_line_and_a_status(tmp_path):
    (tmp_path / "lacking.py").write_text(WRONG.replace("    contract = TestRetrying\n", ""))
    with locust(tmp_path, ["lacking.py"], "--headless", "-u", "1", "-t", "1s") as process:
        out, log = process.communicate(timeout=100)
    assert (process.returncode, out) == (1, "")
    assert log.splitlines()[-1] == (
        "httpconc: RetryingUser has no contract; write 'contract = TestMyClient', a ClientContract"
    )


def test_page_shows_the_example_as_it_is():
    assert f"```text\n{EXAMPLE.read_text()}```" in (ROOT / "docs" / "load.md").read_text()
