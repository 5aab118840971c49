"""``httpconc compare`` from outside: real repositories, environments and processes."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from fake_servers import FakeServer
from pytest_httpconc import cli
from pytest_httpconc.bench.revisions.errors import WorkerDied
from pytest_httpconc.bench.revisions.remote import running_worker

BUILD = """\
[project]
name = "shop"
version = "1.0"

[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[tool.pytest.ini_options]
testpaths = ["checks"]
asyncio_default_fixture_loop_scope = "function"
"""
BACKEND = """\
import zipfile
from pathlib import Path

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "shop-1.0-py3-none-any.whl"
    files = {path.name: path.read_text() for path in Path("source").glob("*.py")}
    files["shop-1.0.dist-info/METADATA"] = "Metadata-Version: 2.1\\nName: shop\\nVersion: 1.0\\n"
    files["shop-1.0.dist-info/WHEEL"] = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    files["shop-1.0.dist-info/RECORD"] = "".join(f"{file},,\\n" for file in files)
    with zipfile.ZipFile(Path(wheel_directory, name), "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
    return name
"""
SHOP = """\
import requests

def order(session, url):
    session.post(f"{url}/order", json={}, timeout=10)
"""
CHECKS = """\
import requests, shop
from pytest_httpconc import Side

def test_orders(httpconc_benchmark):
    httpconc_benchmark.run(Side(shop.order, requests.Session), calls=6, concurrency=1, latency=0.0)
"""
WORSE = SHOP.replace("session.post", "requests.post")
FAILING = """\
def test_sold_out(httpconc_benchmark):
    def order(url):
        raise RuntimeError("sold out")

    httpconc_benchmark.run(order)
"""
SENTENCE = "6 calls now open 6 connections, baseline 1"


class Project:
    """A package in a git repository of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.write({"pyproject.toml": BUILD, "backend.py": BACKEND})
        self.write({"source/shop.py": SHOP, "checks/test_shop.py": CHECKS})
        self.git("init", "--quiet")
        self.commit()

    def write(self, files):
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def git(self, *arguments):
        who = ("-c", "user.name=shop", "-c", "user.email=shop@example.com")
        done = subprocess.run(["git", *who, *arguments], cwd=self.folder, check=True, capture_output=True, text=True)
        return done.stdout

    def commit(self):
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=Change")

    def state(self):
        """Everything that a comparison must leave as it is."""
        files = {p: p.read_bytes() for p in self.folder.rglob("*") if p.is_file() and ".git" not in p.parts}
        return files, self.git("status", "--short"), self.git("worktree", "list"), self.git("stash", "list")


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "shop")


@pytest.fixture
def start(project, tmp_path, monkeypatch):
    """Begin a comparison in a process of its own, whose temporary files go to a folder of the test's."""
    (tmp_path / "temporary").mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB", "PYTEST", "COV"))}

    def start(*arguments, **environ):
        return subprocess.Popen(
            [sys.executable, "-m", "pytest_httpconc", "compare", *arguments],
            cwd=project.folder,
            env={**kept, "TMPDIR": str(tmp_path / "temporary"), **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def compare(project, start, tmp_path):
    """Compare to the end: status, output, errors. Nothing may be left, and nothing changed."""

    def compare(*arguments, **environ):
        before = project.state()
        process = start("--inherit", *arguments, **environ)
        output, errors = process.communicate(timeout=100)
        assert not list((tmp_path / "temporary").iterdir())
        assert project.state() == before
        return process.returncode, output, errors

    return compare


def test_session_for_each_call_and_a_failure_are_found_in_what_is_not_committed(project, compare, tmp_path):
    project.write({"source/shop.py": WORSE, "checks/test_failing.py": FAILING})
    files = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"), "GITHUB_ACTIONS": "true"}
    status, output, errors = compare("HEAD", "--json", str(tmp_path / "all.json"), **files)
    assert status == 1, errors
    assert f"checks/test_shop.py::test_orders: worse: {SENTENCE}" in output
    assert "::error file=checks/test_shop.py,line=5,title=benchmark regression" in output
    assert SENTENCE in (tmp_path / "summary.md").read_text()
    (found,) = json.loads((tmp_path / "all.json").read_text())["benchmarks"]
    assert found["candidate"]["counts"]["connections"] == 6
    assert found["baseline"]["counts"]["connections"] == 1
    assert "checks/test_failing.py::test_sold_out fails in the working tree: RuntimeError: sold out" in output
    assert "building the working tree" in errors


MORE = """
import asyncio, aiohttp, pytest
from fake_servers import FakeServer, Injection, Response, Scenario, latency
from fake_servers.faults import Status

FLAKY = Scenario(injections=(Injection(fault=Status(503), times=2),))

async def fetch(session, url):
    async with session.get(url) as response:
        await response.read()

def test_beside(httpconc_benchmark):
    anew = lambda url: requests.get(url, timeout=10)
    result = httpconc_benchmark.compare(Side(shop.order, requests.Session), anew, calls=4, concurrency=1,
                                        latency=latency.fixed(0.001), scenario=FLAKY)
    assert (result.candidate.connections, result.baseline.connections) == (1, 4)
    assert result.candidate.peak_in_flight == 1

def test_server_of_its_own(httpconc_benchmark):
    with FakeServer() as server:
        server.route("*")(lambda request: Response.json({}))
        result = httpconc_benchmark.run(Side(fetch, aiohttp.ClientSession), calls=4, concurrency=4, server=server)
    assert result.candidate.requests == 4

@pytest.mark.asyncio
@pytest.mark.httpconc(virtual_time=True)
async def test_virtual(httpconc_benchmark):
    side = Side(fetch, aiohttp.ClientSession)
    result = await httpconc_benchmark.run_in_loop(side, calls=2, concurrency=1, latency=40.0)
    assert result.candidate.virtual_seconds == 80

def test_new(httpconc_benchmark):
    shop.price
    httpconc_benchmark.run(shop.price, calls=2, concurrency=1)
"""


def test_counts_that_are_the_same_are_not_judged_worse(project, compare, tmp_path):
    project.write({"source/shop.py": SHOP + "\nprice = lambda url: requests.get(url, timeout=10)\n"})
    project.write({"checks/test_shop.py": CHECKS + MORE})
    project.commit()
    project.write({"source/shop.py": "raise RuntimeError('this is not committed')"})
    _, output, errors = compare("HEAD~1", "HEAD", "--json", str(tmp_path / "all.json"))
    found = {
        one["name"].partition("::")[2]: one for one in json.loads((tmp_path / "all.json").read_text())["benchmarks"]
    }
    assert found.keys() == set(re.findall(r"def (test_\w+)", CHECKS + MORE)), errors
    judged = {(j["figure"], j["verdict"]) for one in found.values() for j in one["judgements"]}
    assert {figure for figure, _ in judged} >= {"connections", "peak_in_flight", "virtual_seconds", "cpu", "seconds"}
    assert {verdict for figure, verdict in judged if figure not in ("cpu", "seconds", "benchmark")} == {
        "better or same"
    }
    assert found["test_new"]["verdict"] == "new, not judged"
    assert "test_new: new, not judged: HEAD~1 (" in output
    assert "has no attribute 'price'" in output
    assert "fails in" not in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_it_is_interrupted(project, start, tmp_path, number):
    before = project.state()
    process = start("--inherit", "HEAD")
    assert "building HEAD" in process.stderr.readline()
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    assert "Traceback" not in errors
    assert not list((tmp_path / "temporary").iterdir())
    assert project.state() == before


def broken_build(project):
    project.write({"backend.py": "raise RuntimeError('no wheel today')"})


def no_build(project):
    (project.folder / "pyproject.toml").unlink()


def no_repository(project):
    project.git("--version")
    (project.folder / ".git").rename(project.folder / "not-git")


def nothing(project):
    pass


TROUBLES = [
    (no_repository, ["HEAD"], 20, "is in no git repository"),
    (nothing, ["nowhere"], 21, "'nowhere' is no revision of"),
    (nothing, ["HEAD", "--no-such"], 2, "unrecognized arguments: --no-such"),
    (nothing, ["HEAD", "--json", "gone/all.json"], 2, "'gone/all.json' can't be written"),
    (nothing, ["HEAD", "also-nowhere"], 21, "'also-nowhere' is no revision of"),
    (broken_build, ["HEAD"], 22, "can't build the working tree: "),
    (no_build, ["HEAD"], 22, "can't build the working tree: its folder has neither pyproject.toml nor setup.py"),
    (nothing, ["HEAD", "--benchmarks", "gone"], 23, "the working tree has no gone"),
]


@pytest.mark.parametrize(("spoil", "arguments", "status", "line"), TROUBLES)
def test_what_is_wrong_is_said_in_one_line(project, monkeypatch, capsys, spoil, arguments, status, line):
    spoil(project)
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.folder.parent))
    assert leaves_with(["compare", "--inherit", *arguments]) == status
    said = [text for text in capsys.readouterr().err.splitlines() if ": building " not in text]
    assert len(said) == 1
    assert line in said[0]


def leaves_with(arguments):
    try:
        return cli.main(arguments)
    except SystemExit as left:
        return left.code


def test_worker_that_is_gone_is_an_error_with_its_last_words(tmp_path):
    command = [sys.executable, "-c", "import sys; sys.exit('sorry')"]
    with (
        pytest.raises(WorkerDied, match=r"^the benchmarks of HEAD ended with status 1: sorry$"),
        FakeServer() as server,
        running_worker("HEAD", command, folder=tmp_path, server=server, log=tmp_path / "log") as worker,
    ):
        worker.collected()


def test_package_of_neither_revision_is_not_measured(project, monkeypatch, capsys):
    project.write({"conftest.py": f"import sys; sys.path.insert(0, {str(project.folder / 'source')!r}); import shop"})
    monkeypatch.chdir(project.folder)
    assert leaves_with(["compare", "--inherit", "HEAD"]) == 22
    assert "would be measured with" in capsys.readouterr().err
