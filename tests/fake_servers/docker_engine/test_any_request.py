"""Whatever is sent to whichever endpoint: an answer below 500 in the engine's own shape, and the server serves on."""

from __future__ import annotations

import json
import socket
from urllib.parse import quote

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_servers import FakeDockerServer

FIELDS = [
    *("Image", "Cmd", "Entrypoint", "Env", "WorkingDir", "Tty", "OpenStdin", "Labels", "HostConfig", "AutoRemove"),
    *("Init", "LogConfig", "Type", "StopTimeout", "Detach", "AttachStdin", "AttachStdout", "User", "Hostname"),
]
PARAMETERS = [
    *("name", "fromImage", "tag", "repo", "t", "signal", "condition", "filters", "limit", "all", "since", "until"),
    *("path", "stdout", "stderr", "stdin", "tail", "timestamps", "logs", "force", "h", "w"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=9) | st.just("debian"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=9,
)
TEXT = st.text(max_size=9) | st.sampled_from(["1", "true", "0", "debian", "box", "/tmp", '{"name": ["a"]}', "KILL"])
BODIES = JSON.map(json.dumps).map(str.encode) | st.binary(max_size=99)
#: a stream that would go on for ever is cut short by this
ENDS = {"until": "1", "stream": "0", "follow": "0"}


@pytest.fixture(scope="module")
def shared():
    with FakeDockerServer(images=["debian"], layers=1, time_scale=0.001) as server, requests.Session() as session:
        yield server, session
        assert server.errors == ()


@pytest.mark.httpconc(leaks="allow")
@settings(max_examples=150)
@given(data=st.data())
def test_no_request_breaks_the_engine(shared, data):
    server, session = shared
    engine = [r for r in server.routes if not r.endswith(("/health", "/start", "/execute", "/cleanup")) or "*" in r]
    method, path = data.draw(st.sampled_from(engine)).split(" ")
    path = path.replace("/*/", data.draw(st.sampled_from(["/v1.47/", "/box/"]))) if path.startswith("/*/") else path
    name = quote(data.draw(TEXT), safe="") or "box"
    path = path.replace("/**", f"/{name}/json").replace("*", name)
    query = {**data.draw(st.dictionaries(st.sampled_from(PARAMETERS), TEXT, max_size=4)), **ENDS}
    if path.endswith("/wait"):
        query["condition"] = "not-running"
    session.post(f"{server.url}/containers/create?name=box", json={"Image": "debian", "Cmd": ["true"]})
    answer = session.request(method, server.url + path, params=query, data=data.draw(BODIES), timeout=10)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400 and method != "HEAD":
        assert list(answer.json()) == ["message"]
    assert server.errors == ()
    assert session.get(f"{server.url}/_ping").text == "OK"


@pytest.mark.httpconc(leaks="allow")
@settings(max_examples=100)
@given(config=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5))
def test_no_container_breaks_the_engine(shared, config):
    server, session = shared
    body = json.dumps({"Image": "debian", **config})
    made = session.post(f"{server.url}/v1.47/containers/create", data=body)
    assert made.status_code in {201, 400, 404}
    if made.status_code == 201:
        url = f"{server.url}/containers/{made.json()['Id']}"
        assert session.get(f"{url}/json").status_code == 200
        assert session.post(f"{url}/start").status_code in {204, 400}
        assert session.get(f"{server.url}/containers/json?all=1").status_code == 200
        assert session.delete(f"{url}?force=1").status_code == 204
    assert server.errors == ()


@pytest.mark.httpconc(leaks="allow")
@settings(max_examples=100)
@given(config=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5), cmd=st.lists(st.text(max_size=9), max_size=3))
def test_no_command_breaks_the_engine(shared, config, cmd):
    server, session = shared
    body = json.dumps({"Cmd": cmd, **config})
    box = session.post(f"{server.url}/containers/create", json={"Image": "debian"}).json()["Id"]
    session.post(f"{server.url}/containers/{box}/start")
    made = session.post(f"{server.url}/containers/{box}/exec", data=body)
    assert made.status_code in {201, 400}
    if made.status_code == 201:
        started = session.post(f"{server.url}/exec/{made.json()['Id']}/start", json={"Detach": True})
        assert started.status_code == 200
        assert session.get(f"{server.url}/exec/{made.json()['Id']}/json").status_code == 200
    assert session.delete(f"{server.url}/containers/{box}?force=1").status_code == 204
    assert server.errors == ()


def exchange(server, data):
    """Send some bytes and then no more, and return what comes back up to the end."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(data)
        raw.shutdown(socket.SHUT_WR)
        parts = []
        try:
            while part := raw.recv(65536):
                parts.append(part)
        except ConnectionResetError:
            pass
    return b"".join(parts)


@pytest.mark.httpconc(leaks="allow")
@settings(max_examples=100)
@given(data=st.data(), rest=st.binary(max_size=99))
def test_no_bytes_behind_a_request_line_break_the_engine(shared, data, rest):
    server, session = shared
    method, path = data.draw(
        st.sampled_from([r for r in server.routes if r.split(" ")[1].startswith("/containers")])
    ).split(" ")
    answer = exchange(server, f"{method} {path} HTTP/1.1\r\n".encode() + rest + b"\r\n\r\n")
    assert not answer.startswith(b"HTTP/1.1 5")
    if answer.startswith(b"HTTP/1.1 400") and method != "HEAD":
        assert b'{"message": ' in answer
    assert server.errors == ()
    assert session.get(f"{server.url}/_ping").text == "OK"


@pytest.mark.httpconc(leaks="allow")
@settings(max_examples=60)
@given(typed=st.binary(max_size=99), tty=st.booleans(), command=st.sampled_from(["cat", "bash", "wc"]))
def test_no_input_breaks_a_command(shared, typed, tty, command):
    server, session = shared
    box = session.post(f"{server.url}/containers/create", json={"Image": "debian"}).json()["Id"]
    session.post(f"{server.url}/containers/{box}/start")
    order = {"Cmd": [command], "AttachStdin": True, "AttachStdout": True, "AttachStderr": True, "Tty": tty}
    made = session.post(f"{server.url}/containers/{box}/exec", json=order).json()["Id"]
    head = f"POST /exec/{made}/start HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 2\r\n\r\n{{}}"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(head.encode() + typed)
        answer = raw.recv(65536)
        raw.shutdown(socket.SHUT_WR)
        while part := raw.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert session.delete(f"{server.url}/containers/{box}?force=1").status_code == 204
    assert server.errors == ()
