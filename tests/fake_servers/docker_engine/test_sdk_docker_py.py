"""The engine as docker-py sees it, over TCP and over a unix socket."""

from __future__ import annotations

import io
import os
import tarfile
import threading

import docker
import pytest
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound

from fake_servers import FakeDockerServer

IMAGE = "debian:12"


@pytest.fixture(params=["tcp", "unix"])
def server(request, tmp_path):
    path = f"/tmp/httpconc-{os.getpid()}-{abs(hash(tmp_path)) % 10**8}.sock" if request.param == "unix" else None
    with FakeDockerServer(images=[IMAGE], unknown_images="^private/", time_scale=0.02, unix_socket=path) as server:
        yield server


@pytest.fixture
def client(server):
    url = server.url.replace("http", "tcp") if server.unix_socket is None else f"unix://{server.unix_socket}"
    client = docker.DockerClient(base_url=url, version="auto", timeout=10)
    yield client
    client.close()


@pytest.fixture
def box(client):
    return client.containers.run(IMAGE, detach=True, name="box")


def test_ping_version_info(client, box):
    assert client.ping() is True
    assert client.version()["ApiVersion"] == client.api.api_version == "1.47"
    assert client.info()["ContainersRunning"] == 1


def test_pull(client):
    image = client.images.pull("alpine", tag="3")
    assert image.tags == ["alpine:3"]
    lines = list(client.api.pull("redis", stream=True, decode=True))
    assert lines[-1]["status"] == "Status: Downloaded newer image for redis:latest"
    assert {tag for image in client.images.list() for tag in image.tags} == {IMAGE, "alpine:3", "redis:latest"}
    client.images.get("redis").tag("mine/redis", "1")
    client.images.remove("redis")
    assert client.images.get("mine/redis:1").id == client.images.get("mine/redis:1").attrs["Id"]


def test_unknown_image(client):
    with pytest.raises(ImageNotFound):
        client.images.pull("private/x")
    with pytest.raises(NotFound, match="pull access denied"):
        client.containers.run("private/x")
    with pytest.raises(ImageNotFound):
        client.images.get("nope")


def test_run_pulls_an_image_that_is_not_there(client):
    assert client.containers.run("alpine", "echo hi") == b"hi\n"


def test_run(client, server):
    output = client.containers.run(IMAGE, ["sh", "-c", "echo $A; echo err >&2"], environment={"A": "1"}, stderr=True)
    assert output == b"1\nerr\n"
    assert client.containers.run(IMAGE, "pwd", working_dir="/srv", remove=True) == b"/srv\n"
    assert len(server.containers) == 1


def test_run_that_fails(client):
    with pytest.raises(ContainerError) as caught:
        client.containers.run(IMAGE, "sh -c 'echo bad >&2; exit 3'")
    assert (caught.value.exit_status, caught.value.stderr) == (3, b"bad\n")


def test_container_of_a_detached_run(client, box):
    box.reload()
    assert box.status == "running"
    assert box.attrs["HostConfig"]["LogConfig"]["Type"] == "json-file"
    assert client.containers.get("box") == client.containers.get(box.short_id) == box


def test_list_with_filters(client, box):
    client.containers.create(IMAGE, name="other", labels={"a": "b"})
    assert client.containers.list() == [box]
    assert len(client.containers.list(all=True)) == 2
    for filters in ({"name": "other"}, {"label": "a=b"}, {"status": "created"}):
        assert [c.name for c in client.containers.list(all=True, filters=filters)] == ["other"]
    assert [c.name for c in client.containers.list(filters={"ancestor": IMAGE})] == ["box"]


def test_exec_run(box):
    assert box.exec_run("echo hi") == (0, b"hi\n")
    assert box.exec_run(["sh", "-c", "echo a; echo b >&2; exit 3"]) == (3, b"a\nb\n")
    assert box.exec_run("pwd", workdir="/tmp") == (0, b"/tmp\n")
    assert box.exec_run("sh -c 'echo $A'", environment={"A": "1"}) == (0, b"1\n")
    assert box.exec_run("sh -c 'echo a; echo b >&2'", demux=True) == (0, (b"a\n", b"b\n"))
    assert box.exec_run("echo hi", tty=True) == (0, b"hi\r\n")
    assert box.exec_run("nope").exit_code == 127


def test_output_is_never_lost_behind_the_head(box):
    for number in range(20):
        assert box.exec_run(f"echo {number}") == (0, f"{number}\n".encode())


def test_exec_detached(client, box, server):
    made = client.api.exec_create(box.id, "sleep 1")["Id"]
    client.api.exec_start(made, detach=True)
    assert client.api.exec_inspect(made)["Running"] is True
    assert box.exec_run("touch /tmp/mark", detach=True).output == ""
    assert server.containers[0].shell.filesystem.exists("/tmp/mark")


def test_exec_stream(client, box):
    made = client.api.exec_create(box.id, "sh -c 'echo a; sleep 1; echo b >&2'")["Id"]
    stream = client.api.exec_start(made, stream=True, demux=True)
    assert list(stream) == [(b"a\n", None), (None, b"b\n")]
    stream._response.close()  # over a unix socket, the stream's own close leaves the socket to the garbage collector
    assert client.api.exec_inspect(made)["ExitCode"] == 0


def test_exec_socket(client, box):
    made = client.api.exec_create(box.id, "cat", stdin=True, tty=False)["Id"]
    held = client.api.exec_start(made, socket=True)
    raw = held._sock
    raw.sendall(b"there and back")
    assert raw.recv(100) == b"\1\0\0\0\0\0\0\x0ethere and back"
    raw.shutdown(1)
    assert raw.recv(100) == b""
    held._response.close()
    held.close()
    assert client.api.exec_inspect(made)["ExitCode"] == 0


def test_logs(client):
    box = client.containers.run(IMAGE, "sh -c 'echo one; sleep 1; echo two >&2'", detach=True)
    assert b"".join(box.logs(stream=True, follow=True)) == b"one\ntwo\n"
    assert box.logs() == b"one\ntwo\n"
    assert box.logs(stderr=False) == b"one\n"
    assert box.logs(tail=1) == b"two\n"
    assert box.logs(timestamps=True, tail=1).endswith(b"Z two\n")


def test_logs_of_a_terminal(client):
    box = client.containers.run(IMAGE, "sh -c 'echo one; echo two'", detach=True, tty=True)
    box.wait()
    assert box.logs() == b"one\r\ntwo\r\n"


def test_attach(client):
    box = client.containers.create(IMAGE, "sh -c 'echo one; sleep 1; echo two'")
    stream = box.attach(stream=True)
    box.start()
    assert b"".join(stream) == b"one\ntwo\n"
    stream._response.close()


def test_attach_with_input(client):
    box = client.containers.create(IMAGE, "cat", stdin_open=True)
    held = box.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    box.start()
    held._sock.sendall(b"typed\n")
    assert held._sock.recv(100)[8:] == b"typed\n"
    box.kill()
    assert held._sock.recv(100) == b""
    held._response.close()
    held.close()


def test_wait_stop_kill_restart_remove(client, box):
    box.stop(timeout=0)
    assert box.wait() == {"StatusCode": 137}
    box.start()
    box.kill()
    box.restart(timeout=0)
    box.reload()
    assert box.status == "running"
    with pytest.raises(APIError, match="stop the container before removing"):
        box.remove()
    box.remove(force=True)
    with pytest.raises(NotFound):
        box.reload()
    with pytest.raises(APIError, match="No such container"):
        box.exec_run("true")


def test_pause_and_rename_and_top(client, box):
    box.pause()
    box.reload()
    assert box.status == "paused"
    box.unpause()
    box.rename("crate")
    assert client.containers.get("crate") == box
    assert box.top()["Processes"] == [["root", "1", "sleep infinity"]]
    box.resize(10, 20)


def test_archives(box, server):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("sub/file.txt")
        member.size = 4
        tar.addfile(member, io.BytesIO(b"text"))
    assert box.put_archive("/tmp", buffer.getvalue()) is True
    assert box.exec_run("cat /tmp/sub/file.txt").output == b"text"
    parts, stat = box.get_archive("/tmp/sub")
    with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as tar:
        assert tar.getnames() == ["sub", "sub/file.txt"]
        assert tar.extractfile("sub/file.txt").read() == b"text"
    assert stat["name"] == "sub"
    with pytest.raises(NotFound):
        box.get_archive("/nope")


def test_events(client, box):
    seen, stream = [], client.events(decode=True, filters={"type": "container"})

    def watch():
        for event in stream:
            seen.append(event["Action"])
            if event["Action"] == "destroy":
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    box.kill()
    box.remove()
    watcher.join(10)
    stream.close()
    assert seen == ["kill", "die", "destroy"]


def test_errors(client, box):
    with pytest.raises(APIError, match="already in use"):
        client.containers.create(IMAGE, name="box")
    with pytest.raises(APIError, match="executable file not found"):
        client.containers.run(IMAGE, "nope")
    with pytest.raises(ImageNotFound):
        client.containers.create("alpine")


def test_prune(client, box):
    stopped = client.containers.create(IMAGE)
    assert client.containers.prune()["ContainersDeleted"] == [stopped.id]
    assert client.containers.list(all=True) == [box]


def test_login_and_disk_usage(client):
    assert client.login("me", "secret", registry="registry.example")["Status"] == "Login Succeeded"
    assert client.df()["LayersSize"] == 3 << 20
