"""The engine as the `docker` command sees it. Where that is not installed this is not collected (see conftest)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time

import pytest

from fake_servers import FakeDockerServer

DOCKER = shutil.which("docker")
IMAGE = "debian:12"


@pytest.fixture
def server():
    with FakeDockerServer(images=[IMAGE], unknown_images="^private/", time_scale=0.02) as server:
        yield server


@pytest.fixture
def run(server, tmp_path):
    """Run the command, and return what it printed."""
    host = server.url.replace("http", "tcp")
    environment = {**os.environ, "DOCKER_HOST": host, "DOCKER_CONFIG": str(tmp_path / "config")}
    environment.pop("DOCKER_CONTEXT", None)

    def run(*arguments, status=0, stdin=None):
        done = subprocess.run(
            [DOCKER, *arguments], env=environment, input=stdin, capture_output=True, text=True, timeout=20
        )
        assert done.returncode == status, done
        return done.stdout if status == 0 else done.stdout + done.stderr

    return run


@pytest.fixture
def box(run):
    return run("run", "-d", "--name", "box", IMAGE).strip()


def test_version_and_info(run):
    assert run("version", "--format", "{{.Server.APIVersion}}") == "1.47\n"
    assert run("info", "--format", "{{.OSType}}") == "linux\n"


def test_pull_images_rmi(run):
    assert "Status: Downloaded newer image for alpine:3" in run("pull", "alpine:3")
    assert "pull access denied" in run("pull", "private/x", status=1)
    assert sorted(run("images", "--format", "{{.Repository}}:{{.Tag}}").split()) == ["alpine:3", IMAGE]
    run("tag", "alpine:3", "mine:1")
    assert run("rmi", "mine:1", "alpine:3").count("Untagged") == 2


def test_run_and_its_exit_code(run, server):
    assert run("run", "--rm", "alpine", "sh", "-c", "echo hi") == "hi\n"
    assert "bad\n" in run("run", "--rm", IMAGE, "sh", "-c", "echo bad >&2; exit 3", status=3)
    assert "executable file not found" in run("run", "--rm", IMAGE, "nope", status=127)
    server.ledger.wait_until(lambda ledger: not server.containers, timeout=5)


def test_run_with_input(run):
    script = "cd /tmp\nX=5\necho got $X in $(pwd)\nexit 7\n"
    assert run("run", "-i", "--rm", IMAGE, "sh", stdin=script, status=7) == "got 5 in /tmp\n"
    assert run("run", "-i", "--rm", IMAGE, "cat", stdin="through\n") == "through\n"


def test_run_with_a_terminal_in_the_background(run):
    run("run", "-d", "-t", "--name", "tty", IMAGE, "bash")
    assert run("ps", "--format", "{{.Names}} {{.Command}}") == 'tty "bash"\n'


def test_exec(run, box):
    assert run("exec", "box", "bash", "-c", "echo $HOSTNAME") == f"{box[:12]}\n"
    assert run("exec", "-w", "/tmp", "-e", "A=1", "box", "sh", "-c", "pwd; echo $A") == "/tmp\n1\n"
    assert run("exec", "-i", "box", "cat", stdin="through\n") == "through\n"
    assert "out\n" in run("exec", "box", "sh", "-c", "echo out; exit 4", status=4)
    assert run("exec", "-d", "box", "touch", "/tmp/mark") == ""
    assert run("exec", "box", "ls", "/tmp") == "mark\n"
    assert "executable file not found" in run("exec", "box", "nope", status=127)


def test_logs(run):
    run("run", "-d", "--name", "talker", IMAGE, "sh", "-c", "echo one; sleep 1; echo two")
    assert run("logs", "-f", "talker") == "one\ntwo\n"
    assert run("logs", "--tail", "1", "talker") == "two\n"
    assert run("logs", "-t", "talker").splitlines()[0].endswith("Z one")


def test_ps_and_inspect(run, box):
    assert run("ps", "-q", "--no-trunc") == f"{box}\n"
    assert run("ps", "--filter", "name=nope", "-q") == ""
    assert run("ps", "--format", "{{.Status}}").startswith("Up ")
    assert json.loads(run("inspect", "box"))[0]["State"]["Running"] is True
    assert "No such object" in run("inspect", "nope", status=1)
    assert "sleep infinity" in run("top", "box")


def test_copy_both_ways(run, box, tmp_path):
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "sub" / "file").write_text("text\n")
    run("cp", str(tmp_path / "tree"), "box:/srv")
    assert run("exec", "box", "cat", "/srv/sub/file") == "text\n"
    run("cp", str(tmp_path / "tree" / "sub" / "file"), "box:/tmp/renamed")
    run("cp", "box:/tmp/renamed", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "text\n"
    run("cp", "box:/srv", str(tmp_path / "copy"))
    assert (tmp_path / "copy" / "sub" / "file").read_text() == "text\n"
    assert "Could not find the file /nope" in run("cp", "box:/nope", str(tmp_path), status=1)


def test_stop_wait_start_kill_rm(run, box):
    assert run("stop", "-t", "1", "box") == "box\n"
    assert run("wait", "box") == "137\n"
    assert "Exited (137)" in run("ps", "-a", "--format", "{{.Status}}")
    run("start", "box")
    run("restart", "-t", "0", "box")
    assert "container is running" in run("rm", "box", status=1)
    run("kill", "box")
    run("rm", "box")
    assert "No such container: box" in run("stop", "box", status=1)


def test_start_attached(run):
    run("create", "--name", "later", IMAGE, "sh", "-c", "echo hi; exit 5")
    assert run("start", "-a", "later", status=5) == "hi\n"


def test_pause_rename_prune_events(run, box):
    run("pause", "box")
    run("unpause", "box")
    run("rename", "box", "crate")
    run("create", "--name", "spare", IMAGE)
    assert "Total reclaimed space" in run("container", "prune", "-f")
    until = f"{time.time() + 0.5:.3f}"
    events = run("events", "--since", "1h", "--until", until, "--format", "{{.Action}}").split()
    assert {"create", "start", "pause", "unpause", "rename", "destroy"} <= set(events)
