"""The Engine API as plain HTTP: what is answered, with which status, and in which words."""

from __future__ import annotations

import json
import re

import pytest
import requests

from fake_servers import FakeDockerServer, ScenarioError
from fake_servers.faults import Disconnect, Status


@pytest.mark.parametrize("prefix", ["", "/v1.24", "/v1.47"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_ping(call, prefix, method):
    answer = call(f"{method} {prefix}/_ping", status=200)
    assert answer.text == ("OK" if method == "GET" else "")
    assert answer.headers["Api-Version"] == "1.47"
    assert (answer.headers["OSType"], answer.headers["Docker-Experimental"]) == ("linux", "false")


def test_version_and_info(call, run):
    run()
    assert call("GET /version").json()["ApiVersion"] == "1.47"
    info = call("GET /v1.41/info").json()
    assert (info["Containers"], info["ContainersRunning"], info["Images"]) == (1, 1, 1)
    assert call("GET /system/df").json()["LayersSize"] == 3 << 20
    assert call("POST /auth", json={"username": "me"}).json()["Status"] == "Login Succeeded"


@pytest.mark.parametrize(
    ("route", "status", "message"),
    [
        ("GET /containers/nope/json", 404, "No such container: nope"),
        ("POST /containers/nope/start", 404, "No such container: nope"),
        ("GET /images/nope/json", 404, "No such image: nope:latest"),
        ("GET /images/a/b:c/json", 404, "No such image: a/b:c"),
        ("POST /images/create?fromImage=private/x", 404, "pull access denied for private/x"),
        ("POST /images/create?fromImage=A", 400, "must be lowercase"),
        ("POST /images/create", 400, "'fromImage'"),
        ("POST /images/debian:12/tag", 400, "'repo'"),
        ("GET /exec/nope/json", 404, "No such exec instance: nope"),
        ("GET /v1.47/nope", 404, "page not found"),
        ("GET /v1.47", 404, "page not found"),
        ("GET /images/nope", 404, "page not found"),
        ("GET /networks", 404, "page not found"),
        ("PATCH /v1.47/containers/json", 405, "takes DELETE, GET"),
        ("GET /containers/json?filters={", 400, "invalid filter"),
        ("GET /containers/json?limit=x", 400, "'limit'"),
        ("GET /events?since=x", 400, "'since'"),
        ("POST /containers/create", 400, "EOF"),
    ],
)
def test_error_has_the_engines_shape(call, route, status, message):
    answer = call(route, status=status)
    assert list(answer.json()) == ["message"]
    assert message in answer.json()["message"]


@pytest.mark.parametrize("path", ["/nope", "/execute/nope"])
def test_error_elsewhere_keeps_its_shape(call, path):
    assert list(call(f"GET {path}", status=404).json()) == ["detail"]


def test_injected_status_has_the_shape_of_its_path(server, call):
    server.inject(Status(503))
    assert list(call("GET /v1.47/info", status=503).json()) == ["message"]
    assert list(call("GET /health", status=503).json()) == ["detail"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("[]", "request body: Input should be a valid object"),
        ("{", "invalid JSON"),
        ("{}", "'Image'"),
        ({"Image": 1}, "Image: Input should be a valid string"),
        ({"Image": "debian:12", "Cmd": {}}, "Cmd"),
        ({"Image": "debian:12", "Cmd": [1]}, "Cmd"),
        ({"Image": "debian:12", "Env": [1]}, "Env.0"),
        ({"Image": "debian:12", "Labels": {"a": 1}}, "Labels.a"),
        ({"Image": "debian:12", "HostConfig": {"Init": 1}}, "HostConfig.Init"),
        ({"Image": "debian:12", "WorkingDir": "/dev/null"}, "can't start"),
    ],
)
def test_malformed_container_is_400_and_the_field_named(server, call, body, message):
    data = body if isinstance(body, str) else json.dumps(body)
    answer = call("POST /containers/create", status=400, data=data)
    assert message in answer.json()["message"]
    assert server.containers == ()


def test_image_must_be_there(call):
    answer = call("POST /containers/create", status=404, json={"Image": "alpine"})
    assert answer.json() == {"message": "No such image: alpine:latest"}


def test_pull_shows_its_layers_and_has_the_image(call):
    lines = [json.loads(line) for line in call("POST /images/create?fromImage=alpine&tag=3").text.splitlines()]
    assert lines[0] == {"status": "Pulling from library/alpine", "id": "3"}
    assert [line["status"] for line in lines].count("Pull complete") == 3
    assert lines[-1] == {"status": "Status: Downloaded newer image for alpine:3"}
    again = call("POST /images/create?fromImage=alpine&tag=3").text.splitlines()
    assert json.loads(again[-1]) == {"status": "Status: Image is up to date for alpine:3"}
    assert call("GET /images/docker.io/library/alpine:3/json").json()["RepoTags"] == ["alpine:3"]


def test_layers_take_their_time():
    with FakeDockerServer(layers=5, layer_time=2.0, time_scale=0.01) as server:
        answer = requests.post(f"{server.url}/images/create?fromImage=alpine")
        assert answer.text.count("Pull complete") == 5
        server.ledger.wait_until(lambda ledger: not ledger.in_flight)
        assert server.ledger.exchanges[0].service_time >= 0.1


def test_pull_that_is_cut_off_has_no_image(server, call):
    server.inject(Disconnect(after_events=4), on="POST /images/create", times=1)
    with pytest.raises(requests.RequestException):
        call("POST /images/create?fromImage=alpine")
    call("GET /images/alpine/json", status=404)


def test_pull_by_digest(call):
    digest = "sha256:" + "b" * 64
    call(f"POST /images/create?fromImage=alpine&tag={digest}", status=200)
    image = call(f"GET /images/alpine@{digest}/json", status=200).json()
    assert (image["RepoTags"], image["RepoDigests"]) == ([], [f"alpine@{digest}"])


def test_images_are_listed_tagged_and_removed(call):
    call("POST /images/debian:12/tag?repo=mine&tag=1", status=201)
    [image] = call("GET /images/json").json()
    assert image["RepoTags"] == ["debian:12", "mine:1"]
    for wanted, count in {"mine": 1, "deb*:12": 1, "alpine": 0}.items():
        found = call("GET /images/json", params={"filters": json.dumps({"reference": [wanted]})}).json()
        assert len(found) == count, wanted
    assert call("DELETE /images/mine:1").json() == [{"Untagged": "mine:1"}]
    assert call("DELETE /images/debian:12").json() == [{"Untagged": "debian:12"}, {"Deleted": image["Id"]}]
    assert call("GET /images/json").json() == []


def test_image_in_use_is_removed_by_force_only(call, create):
    create()
    assert "must force" in call("DELETE /images/debian:12", status=409).json()["message"]
    call("DELETE /images/debian:12?force=1", status=200)


def test_container_is_what_was_asked_for(create, inspect, server):
    name = create(
        *("echo", "hi"),
        name="web",
        Env=["A=1"],
        Labels={"x": "y"},
        WorkingDir="/srv",
        HostConfig={"Memory": 1024, "AutoRemove": False},
    )
    found = inspect("web")
    assert (found["Id"], found["Name"], found["Path"], found["Args"]) == (name, "/web", "echo", ["hi"])
    assert found["Config"]["Env"] == ["A=1"]
    assert found["Config"]["WorkingDir"] == "/srv"
    assert found["HostConfig"]["Memory"] == 1024
    assert found["HostConfig"]["LogConfig"]["Type"] == "json-file"
    assert found["State"]["Status"] == "created"
    assert inspect(name[:12])["Id"] == name
    assert server.containers[0].name == "web"
    assert "web" in repr(server.containers[0])


def test_name_is_taken_once(call, create):
    create(name="web")
    answer = call("POST /containers/create?name=web", status=409, json={"Image": "debian:12"})
    assert answer.json()["message"].startswith('Conflict. The container name "/web" is already in use')
    assert "only [a-zA-Z0-9]" in call("POST /containers/create?name=-", status=400, json={"Image": "debian:12"}).text


def test_life_of_a_container(call, run, inspect):
    name = run()
    assert inspect(name)["State"]["Running"] is True
    call(f"POST /containers/{name}/start", status=304)
    call(f"DELETE /containers/{name}", status=409)
    call(f"POST /containers/{name}/stop?t=1", status=204)
    state = inspect(name)["State"]
    assert (state["Status"], state["ExitCode"], state["OOMKilled"]) == ("exited", 137, False)
    call(f"POST /containers/{name}/stop", status=304)
    assert "is not running" in call(f"POST /containers/{name}/kill", status=409).json()["message"]
    call(f"POST /containers/{name}/restart", status=204)
    call(f"POST /containers/{name}/restart?t=0", status=204)
    call(f"POST /containers/{name}/rename?name=other", status=204)
    assert inspect("other")["State"]["Running"] is True
    call("DELETE /containers/other?force=true&v=1", status=204)
    call(f"GET /containers/{name}/json", status=404)


def test_init_passes_signals_on(call, run, inspect):
    for order, status in (("stop", 143), ("kill?signal=TERM", 143), ("kill?signal=SIGINT", 130), ("kill", 137)):
        name = run(HostConfig={"Init": True})
        call(f"POST /containers/{name}/{order}", status=204)
        assert inspect(name)["State"]["ExitCode"] == status


def test_process_1_ignores_what_it_has_no_handler_for(call, run, inspect):
    name = run()
    call(f"POST /containers/{name}/kill?signal=15", status=204)
    assert inspect(name)["State"]["Running"] is True
    assert "invalid signal" in call(f"POST /containers/{name}/kill?signal=NOPE", status=400).json()["message"]


def test_stop_waits_for_an_end_of_its_own(call, run, inspect):
    name = run("sh", "-c", "sleep 2; exit 5")
    call(f"POST /containers/{name}/stop?t=60", status=204)
    assert inspect(name)["State"]["ExitCode"] == 5


def test_paused_container_stays_where_it_sleeps(call, run, inspect):
    name = run("sh", "-c", "sleep 1; exit 3")
    call(f"POST /containers/{name}/pause", status=204)
    call(f"POST /containers/{name}/pause", status=409)
    assert "paused" in call(f"POST /containers/{name}/exec", status=409, json={"Cmd": ["ls"]}).json()["message"]
    assert inspect(name)["State"]["Paused"] is True
    call(f"POST /containers/{name}/unpause", status=204)
    assert call(f"POST /containers/{name}/wait").json() == {"StatusCode": 3}
    call(f"POST /containers/{name}/unpause", status=409)


def test_program_that_is_not_there_does_not_start(call, create, inspect):
    name = create("nope", "-x")
    answer = call(f"POST /containers/{name}/start", status=400)
    assert 'exec: "nope": executable file not found in $PATH' in answer.json()["message"]
    assert inspect(name)["State"]["ExitCode"] == 127


def test_script_acts_on_main_and_executed_commands(server, call, run):
    server.script(re.compile("^python"), output="trained\n", returncode=7, duration=1)
    name = run("python", "train.py")
    assert call(f"POST /containers/{name}/wait").json() == {"StatusCode": 7}
    assert call(f"GET /containers/{name}/logs?stdout=1").content[8:] == b"trained\n"
    other = run()
    execution = call(f"POST /containers/{other}/exec", json={"Cmd": ["python", "-V"], "AttachStdout": True}).json()[
        "Id"
    ]
    answer = call(f"POST /exec/{execution}/start", json={"Detach": False}, headers={"Connection": "close"})
    assert answer.content[8:] == b"trained\n"
    assert call(f"GET /exec/{execution}/json").json()["ExitCode"] == 7


def test_containers_are_listed_by_filter(call, run, create):
    up, made = run(name="up-1", Labels={"kind": "a"}), create(name="made-1", Labels={"kind": "b"})

    def names(every="0", **filters):
        answer = call("GET /containers/json", params={"all": every, "filters": json.dumps(filters)}, status=200)
        return [entry["Names"][0] for entry in answer.json()]

    assert names() == ["/up-1"]
    assert names(every="1") == ["/made-1", "/up-1"]
    assert names(status=["created"]) == ["/made-1"]
    assert names(every="1", name=["up"]) == ["/up-1"]
    assert names(every="1", name=["^/made-1$"]) == ["/made-1"]
    assert names(every="1", label=["kind=b"]) == ["/made-1"]
    assert names(every="1", label=["kind"]) == ["/made-1", "/up-1"]
    assert names(every="1", id=[up[:10]]) == ["/up-1"]
    assert names(every="1", ancestor=["debian:12"]) == ["/made-1", "/up-1"]
    assert names(every="1", ancestor=["alpine"]) == []
    assert len(call("GET /containers/json?limit=1").json()) == 1
    assert call("POST /containers/prune").json()["ContainersDeleted"] == [made]


def test_wait_before_the_start_is_answered_at_the_end(server, call, create):
    name = create("sh", "-c", "sleep 1; exit 4")
    with requests.post(f"{server.url}/containers/{name}/wait?condition=next-exit", stream=True) as waiting:
        assert waiting.status_code == 200
        call(f"POST /containers/{name}/start")
        assert waiting.json() == {"StatusCode": 4}
    assert "invalid condition" in call(f"POST /containers/{name}/wait?condition=x", status=400).text


def test_wait_for_removal(server, call, create):
    name = create("true", HostConfig={"AutoRemove": True})
    with requests.post(f"{server.url}/containers/{name}/wait?condition=removed", stream=True) as waiting:
        call(f"POST /containers/{name}/start")
        assert waiting.json() == {"StatusCode": 0}
    assert server.containers == ()


def test_logs(call, run):
    name = run("sh", "-c", "echo one; echo two >&2; echo three")
    call(f"POST /containers/{name}/wait")

    def logs(query, status=200):
        return call(f"GET /containers/{name}/logs?{query}", status=status)

    both = logs("stdout=1&stderr=1")
    assert both.headers["Content-Type"] == "application/vnd.docker.multiplexed-stream"
    assert both.content == b"\1\0\0\0\0\0\0\4one\n\2\0\0\0\0\0\0\4two\n\1\0\0\0\0\0\0\6three\n"
    assert logs("stdout=1").content == b"\1\0\0\0\0\0\0\4one\n\1\0\0\0\0\0\0\6three\n"
    assert logs("stdout=1&stderr=1&tail=1").content == b"\1\0\0\0\0\0\0\6three\n"
    assert logs("stdout=1&tail=0").content == b""
    assert logs("stdout=1&since=9999999999").content == b""
    assert logs("stdout=1&until=1").content == b""
    stamped = logs("stderr=1&timestamps=1").content[8:].decode()
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z two\n", stamped)
    assert "at least one stream" in logs("follow=1", status=400).json()["message"]


def test_logs_of_a_terminal_are_raw(call, run):
    name = run("sh", "-c", "echo one; echo two >&2", Tty=True)
    call(f"POST /containers/{name}/wait")
    answer = call(f"GET /containers/{name}/logs?stdout=1&stderr=1")
    assert answer.content == b"one\r\ntwo\r\n"
    assert answer.headers["Content-Type"] == "application/vnd.docker.raw-stream"


def test_exec_runs_once(call, run):
    name = run()
    made = call(f"POST /containers/{name}/exec", status=201, json={"Cmd": ["true"]}).json()["Id"]
    assert call(f"GET /exec/{made}/json").json()["ExitCode"] is None
    call(f"POST /exec/{made}/start", status=200, json={"Detach": True})
    assert "already run" in call(f"POST /exec/{made}/start", status=409, json={}).json()["message"]
    call(f"POST /exec/{made}/resize?h=10&w=20", status=200)
    assert "'Cmd'" in call(f"POST /containers/{name}/exec", status=400, json={"Cmd": []}).json()["message"]
    call(f"POST /containers/{name}/kill")
    assert "is not running" in call(f"POST /containers/{name}/exec", status=409, json={"Cmd": ["ls"]}).json()["message"]


def test_top_and_resize(call, run):
    name = run()
    assert call(f"GET /containers/{name}/top").json()["Processes"] == [["root", "1", "sleep infinity"]]
    call(f"POST /containers/{name}/resize?h=10&w=20", status=200)


def test_archives(call, run):
    name = run()
    url = f"/containers/{name}/archive"
    data = call(f"GET {url}?path=/etc").content
    call(f"PUT {url}?path=/tmp", status=200, data=data)
    assert call(f"HEAD {url}?path=/tmp/etc", status=200).headers["X-Docker-Container-Path-Stat"]
    assert "Could not find the file /nope" in call(f"GET {url}?path=/nope", status=404).json()["message"]
    call(f"HEAD {url}?path=/nope", status=404)
    assert "'path'" in call(f"GET {url}", status=400).json()["message"]
    call(f"PUT {url}?path=/nope", status=404, data=data)
    assert "not a directory" in call(f"PUT {url}?path=/dev/null", status=400, data=data).json()["message"]
    assert "invalid archive" in call(f"PUT {url}?path=/tmp", status=400, data=b"no archive").json()["message"]


def test_both_protocols_share_the_containers(server, call, run):
    name = run(name="web")
    order = {"container_id": name, "command": "echo shared > /tmp/f"}
    assert call("POST /execute", json=order).json() == {"output": "", "returncode": 0}
    assert server.containers[0].shell.filesystem.read_text("/tmp/f") == "shared\n"
    started = call("POST /start", json={"config": {"image": "Any Image!"}}).json()["container_id"]
    assert call(f"GET /containers/{started}/json").json()["State"]["Running"] is True
    call(f"POST /containers/{started}/kill", status=204)
    stopped = call("POST /execute", json={"container_id": started, "command": "true"}).json()
    assert (stopped["returncode"], "is not running" in stopped["output"]) == (1, True)
    call("POST /cleanup", json={"container_id": name})
    call(f"GET /containers/{name}/json", status=404)


def test_events_are_kept_and_filtered(call, run, server):
    name = run(name="web")
    call(f"POST /containers/{name}/kill")

    def actions(**filters):
        until = f"{server.containers[0].state.finished_at + 0.05:.6f}"
        params = {"since": "1", "until": until, "filters": json.dumps(filters)}
        lines = call("GET /events", params=params).text.splitlines()
        return [json.loads(line)["Action"] for line in lines]

    assert actions() == ["create", "start", "kill", "die"]
    assert actions(event=["die"], container=["web"]) == ["die"]
    assert actions(type=["image"]) == []
    assert actions(label=["nope"]) == []


def test_reset_forgets_everything_but_the_first_images(server, call, run):
    name = run()
    call("POST /images/create?fromImage=alpine")
    execution = call(f"POST /containers/{name}/exec", json={"Cmd": ["sleep", "99"]}).json()["Id"]
    call(f"POST /exec/{execution}/start", json={"Detach": True})
    server.reset()
    assert server.containers == ()
    call(f"GET /exec/{execution}/json", status=404)
    assert [image["RepoTags"] for image in call("GET /images/json").json()] == [["debian:12"]]


def test_started_process_has_left_its_mark_when_its_answer_is_lost(server, call, run):
    name = run()
    execution = call(f"POST /containers/{name}/exec", json={"Cmd": ["touch", "/tmp/mark"]}).json()["Id"]
    server.inject(Disconnect(), on="POST /exec/*/start")
    with pytest.raises(requests.RequestException):
        call(f"POST /exec/{execution}/start", json={})
    server.catch_up()  # the process was started; its own steps come behind those that end the connection
    assert server.containers[0].shell.filesystem.exists("/tmp/mark")


@pytest.mark.parametrize(
    "options",
    [
        {"layers": -1},
        {"layers": True},
        {"layer_time": -1},
        {"layer_time": "1"},
        {"images": ["Not An Image"]},
        {"unknown_images": "("},
    ],
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ScenarioError):
        FakeDockerServer(**options)


def test_server_that_is_started_again_has_stopped_containers():
    server = FakeDockerServer(images=["debian"])
    with server:
        name = requests.post(f"{server.url}/containers/create", json={"Image": "debian"}).json()["Id"]
        requests.post(f"{server.url}/containers/{name}/start")
    with server:
        assert not server.containers[0].is_running
        assert requests.post(f"{server.url}/containers/{name}/start").status_code == 204
        assert requests.post(f"{server.url}/containers/{name}/kill").status_code == 204
