"""The remote command server, spoken to as any client would."""

import json
import re
import time

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from fake_servers import FakeDockerServer, ScenarioError
from fake_servers.faults import Disconnect


@pytest.fixture
def server():
    with FakeDockerServer() as server:
        yield server


@pytest.fixture
def post(server):
    with requests.Session() as session:
        yield lambda path, body: session.post(server.url + path, json=body)


@pytest.fixture
def container(post):
    return post("/start", {"config": {"image": "python:3.11-slim"}}).json()["container_id"]


@pytest.fixture
def execute(post, container):
    def execute(command, **fields):
        return post("/execute", {"container_id": container, "command": command, **fields}).json()

    return execute


def test_health_is_told(server, container):
    health = requests.get(server.url + "/health").json()
    assert health == {"status": "healthy", "containers": 1, "active_requests": 0}


def test_container_is_started(server, post):
    answer = post("/start", {"config": {"image": "debian", "cwd": "/srv", "env": {"A": "1"}}}).json()
    (container,) = server.containers
    assert answer == {"container_id": container.id, "status": "started"}
    assert container.image == "debian"


def test_command_is_executed(execute):
    assert execute("echo data >> log.txt; cat log.txt; false") == {"output": "data\n", "returncode": 1}


def test_files_stay_and_variables_do_not(execute):
    execute("export A=1; cd /tmp; echo data > file")
    assert execute("pwd; echo [$A]; cat /tmp/file")["output"] == "/\n[]\ndata\n"


def test_cwd_and_env_are_the_commands_own(execute):
    assert execute("pwd; echo $A", cwd="/tmp", env={"A": "1"})["output"] == "/tmp\n1\n"


def test_containers_are_apart(post, execute):
    other = post("/start", {"config": {"image": "debian"}}).json()["container_id"]
    execute("echo mine > file")
    answer = post("/execute", {"container_id": other, "command": "cat file"}).json()
    assert answer == {"output": "cat: file: No such file or directory\n", "returncode": 1}


def test_variables_are_forwarded_from_the_servers_environment_and_not_from_the_machines():
    with FakeDockerServer(machine_env={"TOKEN": "secret"}) as server:
        config = {"image": "debian", "forward_env": ["TOKEN", "PATH"]}
        name = requests.post(server.url + "/start", json={"config": config}).json()["container_id"]
        order = {"container_id": name, "command": "echo $TOKEN $USER", "forward_env": ["USER"]}
        assert requests.post(server.url + "/execute", json=order).json()["output"] == "secret\n"


@pytest.mark.parametrize("command", ["sleep 20", "sleep 3 && sleep 3", "make"])
def test_command_that_outlives_its_timeout_is_124(command):
    with FakeDockerServer(time_scale=0.01) as server:
        server.script("make", duration=20.0)
        name = requests.post(server.url + "/start", json={"config": {"image": "debian"}}).json()["container_id"]
        order = {"container_id": name, "command": command, "timeout": 5}
        answer = requests.post(server.url + "/execute", json=order).json()
    assert answer == {"output": "Command timed out.", "returncode": 124}


def test_command_within_its_timeout_is_waited_for():
    with FakeDockerServer(time_scale=0.001) as server:
        server.script("make", output="built\n", returncode=2, duration=20.0)
        name = requests.post(server.url + "/start", json={"config": {"image": "debian"}}).json()["container_id"]
        order = {"container_id": name, "command": "make", "timeout": 1800}
        answer = requests.post(server.url + "/execute", json=order).json()
        assert server.ledger.exchanges[-1].service_time > 0.019
    assert answer == {"output": "built\n", "returncode": 2}


def test_first_script_that_means_a_command_acts(server, execute):
    server.script(re.compile(r"^git (push|pull)"), output="done\n")
    server.script("git push origin", output="never\n")
    assert execute("git push origin") == {"output": "done\n", "returncode": 0}
    assert execute("git --version")["returncode"] == 127


@pytest.mark.parametrize(
    "arguments",
    [
        {"command": 7},
        {"command": "a", "returncode": 256},
        {"command": "a", "duration": -1},
        {"command": "a", "returncode": True},
    ],
)
def test_script_that_makes_no_sense_is_refused(server, arguments):
    with pytest.raises(ScenarioError):
        server.script(**arguments)


def test_command_goes_on_when_its_client_has_gone():
    with FakeDockerServer(time_scale=0.01) as server:
        name = requests.post(server.url + "/start", json={"config": {"image": "debian"}}).json()["container_id"]
        order = {"container_id": name, "command": "sleep 30; touch /done"}
        with pytest.raises(requests.ReadTimeout):
            requests.post(server.url + "/execute", json=order, timeout=0.05)
        (container,) = server.containers
        deadline = time.monotonic() + 5
        while not container.shell.filesystem.exists("/done"):
            assert time.monotonic() < deadline
            requests.get(server.url + "/health")
        server.ledger.wait_until(lambda ledger: not ledger.in_flight)
        assert server.ledger.matching("POST /execute")[0].outcome == "aborted by client"


def test_cleanup_removes_the_container(server, post, container):
    answer = post("/cleanup", {"container_id": container, "executable": "docker"})
    assert answer.json() == {"status": "cleanup process started", "container_id": container}
    assert server.containers == ()
    assert post("/cleanup", {"container_id": container}).status_code == 404


@pytest.mark.parametrize("path", ["/execute", "/cleanup"])
def test_unknown_container_is_404(post, path):
    answer = post(path, {"container_id": "nope", "command": "true"})
    assert (answer.status_code, answer.json()) == (404, {"detail": "no container 'nope'"})


@pytest.mark.parametrize(
    ("path", "body", "field", "message"),
    [
        ("/start", {}, ["body", "config"], "Field required"),
        ("/start", {"config": {}}, ["body", "config", "image"], "Field required"),
        ("/start", {"config": {"image": 1}}, ["body", "config", "image"], "Input should be a valid string"),
        ("/start", {"config": []}, ["body", "config"], "Input should be a valid object"),
        ("/execute", {"command": "true"}, ["body", "container_id"], "Field required"),
        ("/execute", {"container_id": "a"}, ["body", "command"], "Field required"),
        (
            "/execute",
            {"container_id": "a", "command": "b", "timeout": True},
            ["body", "timeout"],
            "Input should be a valid number",
        ),
        (
            "/execute",
            {"container_id": "a", "command": "b", "timeout": float("nan")},
            ["body", "timeout"],
            "Input should be a finite number",
        ),
        (
            "/execute",
            {"container_id": "a", "command": "b", "forward_env": ["A", 1]},
            ["body", "forward_env", 1],
            "Input should be a valid string",
        ),
        (
            "/start",
            {"config": {"image": "a", "env": {"A": 1}}},
            ["body", "config", "env", "A"],
            "Input should be a valid string",
        ),
        ("/cleanup", {"container_id": None}, ["body", "container_id"], "Input should be a valid string"),
        ("/cleanup", [], ["body"], "Input should be a valid object"),
    ],
)
def test_wrong_field_is_422_and_named(server, path, body, field, message):
    answer = requests.post(server.url + path, data=json.dumps(body))
    assert answer.status_code == 422
    assert [(p["loc"], p["msg"]) for p in answer.json()["detail"]] == [(field, message)]


CONFIG_FIELDS = {
    "image": 1,
    "cwd": None,
    "env": [],
    "forward_env": "A",
    "timeout": "1800",
    "executable": [],
    "run_args": {},
    "container_timeout": 6,
    "pull_timeout": False,
}
ORDER_FIELDS = {
    "container_id": 1,
    "command": ["ls"],
    "cwd": 0,
    "timeout": 10**400,
    "env": {"A": None},
    "forward_env": [[]],
    "executable": None,
}


@pytest.mark.parametrize("field", CONFIG_FIELDS)
def test_every_field_of_a_config_is_checked(server, post, field):
    answer = post("/start", {"config": {"image": "debian", field: CONFIG_FIELDS[field]}})
    assert answer.status_code == 422
    assert [problem["loc"] for problem in answer.json()["detail"]] == [["body", "config", field]]
    assert server.containers == ()


@pytest.mark.parametrize("field", ORDER_FIELDS)
def test_every_field_of_an_order_is_checked(post, container, field):
    answer = post("/execute", {"container_id": container, "command": "true", field: ORDER_FIELDS[field]})
    assert answer.status_code == 422
    assert [problem["loc"][:2] for problem in answer.json()["detail"]] == [["body", field]]


def test_malformed_json_is_422(server):
    answer = requests.post(server.url + "/execute", data=b'{"command": ')
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["type"] == "json_invalid"


def test_reset_forgets_containers_and_scripts(server, post, container, execute):
    server.script("true", returncode=1)
    server.reset()
    assert server.containers == ()
    assert post("/execute", {"container_id": container, "command": "true"}).status_code == 404


def test_fault_after_execution_has_left_its_mark(server, post, container):
    server.inject(Disconnect(), on="POST /execute", times=1)
    order = {"container_id": container, "command": "echo data >> log.txt"}
    with pytest.raises(requests.ConnectionError):
        post("/execute", order)
    post("/execute", order)
    assert server.containers[0].shell.filesystem.read_text("/log.txt") == "data\ndata\n"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(st.characters(), max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["config", "image", "cwd", "env", "container_id", "command", "timeout"]), inner
        )
    ),
    max_leaves=9,
)


@pytest.fixture(scope="module")
def shared():
    with FakeDockerServer(time_scale=0.001) as server, requests.Session() as session:
        yield server, session
        assert server.errors == ()


@pytest.mark.httpconc(max_idle=1)
@given(body=JSON, path=st.sampled_from(["/start", "/execute", "/cleanup"]))
def test_no_json_breaks_the_server(shared, body, path):
    server, session = shared
    answer = session.post(server.url + path, data=json.dumps(body))
    assert answer.status_code in {200, 404, 422}


@pytest.mark.httpconc(max_idle=1)
@given(body=st.dictionaries(st.sampled_from(["command", "cwd", "env", "timeout", "forward_env"]), JSON))
def test_no_order_to_a_container_breaks_the_server(shared, body):
    server, session = shared
    name = session.post(server.url + "/start", json={"config": {"image": "debian"}}).json()["container_id"]
    order = {"command": "true", **body, "container_id": name}
    assert session.post(server.url + "/execute", data=json.dumps(order)).status_code in {200, 422}
    session.post(server.url + "/cleanup", json={"container_id": name})


def test_cleanup_goes_on_when_its_client_has_gone(connect):
    with FakeDockerServer() as server:
        for _ in range(20):
            container = requests.post(f"{server.url}/start", json={"config": {"image": "x"}}).json()["container_id"]
            client = connect(server)
            client.post("/cleanup", json.dumps({"container_id": container}).encode())
            client.finish()
        server.ledger.wait_until(lambda ledger: ledger.executions("POST /cleanup") == 20 and not ledger.in_flight)
        for _ in range(100):  # rounds of the server's loop
            server._host.call(lambda listener: None)
        assert server.containers == ()
