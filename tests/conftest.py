"""Shared by all tests."""

import asyncio
import gc
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

# pytester forgets what a run in this process imported; what is imported here is the same in every such run.
import aiohttp  # noqa: F401
import httpx  # noqa: F401
import pytest
import requests  # noqa: F401

import fake_servers  # noqa: F401
import pytest_httpconc.assertions
import pytest_httpconc.isolation  # noqa: F401

# looptime's plugin asks for the event loop in every test; where none was ever set, asyncio would make one each time.
asyncio.set_event_loop(None)

pytest_plugins = ["pytester"]

BROWSER = shutil.which("chromium") and shutil.which("chromedriver")


def pytest_report_header():
    return None if BROWSER else "browser tests: left out, as chromium and chromedriver are not on the PATH"


def pytest_collection_modifyitems(config, items):
    left_out = [item for item in items if item.get_closest_marker("browser") and not BROWSER]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish():
    """Leave what is imported out of every later collection of garbage: checks of leaks make hundreds of them."""
    import hypothesis  # noqa: F401  # asks who refers to what, and would not be told of what is frozen

    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def fork():
    """Run pytest in a folder, in a process that is forked for it; return its exit status."""
    command = [sys.executable, Path(__file__).with_name("forkserver.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:

        def fork(folder, arguments):
            path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
            environment = {**os.environ, "PYTHONPATH": path}
            order = {"folder": folder, "arguments": arguments, "environment": environment}
            print(json.dumps(order), file=server.stdin, flush=True)
            return int(server.stdout.readline())

        yield fork
        server.stdin.close()


@pytest.fixture
def run(pytester, monkeypatch, fork):
    """Run a test file's source in a process of its own: what a client with a bug leaves must reach no other test.

    In place of one source, there may be several by the names of their modules. Only our plugin is loaded, and those
    that are named.
    """

    def run(source, *arguments, plugins=(), ini=""):
        pytester.makepyfile(**source) if isinstance(source, dict) else pytester.makepyfile(source)
        pytester.makeini(f"[pytest]\nhttpconc_grace = 0.2\n{ini}")
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        for name in ("CI", "BUILD_NUMBER", "PYTEST_ADDOPTS"):  # on them pytest repeats whole messages in its summary
            monkeypatch.delenv(name, raising=False)
        names = ["pytest_httpconc.plugin", "no:cacheprovider", *plugins]
        named = [part for name in names for part in ("-p", name)]
        begun_at = time.perf_counter()
        status = fork(str(pytester.path), [*named, *map(str, arguments)])
        seconds = time.perf_counter() - begun_at
        out, err = (pytester.path.joinpath(name).read_text().splitlines() for name in ("stdout", "stderr"))
        print(*out, *err, sep="\n")  # shown where the outer test fails
        return pytest.RunResult(status, out, err, seconds)

    return run
