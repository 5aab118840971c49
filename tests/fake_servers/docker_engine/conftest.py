"""What the engine's tests share: a server with an image, and plain HTTP calls to it."""

from __future__ import annotations

import shutil

import pytest
import requests

from fake_servers import FakeDockerServer

IMAGE = "debian:12"

# The `docker` command is no Python package, so no extra installs it: where there is none, its tests are not collected.
collect_ignore = [] if shutil.which("docker") else ["test_sdk_docker_command.py"]


@pytest.fixture
def server():
    """An engine on which 1 s takes 20 ms."""
    with FakeDockerServer(images=[IMAGE], unknown_images="^private/", time_scale=0.02) as server:
        yield server


@pytest.fixture
def call(server):
    """Make a call of the engine and return its response, read to its end."""
    with requests.Session() as session:

        def call(route, *, status=None, **options):
            method, path = route.split(" ", 1)
            response = session.request(method, server.url + path, timeout=10, **options)
            assert status in {None, response.status_code}, response.text
            return response

        yield call


@pytest.fixture
def create(call):
    """Make a container and return its id."""

    def create(*cmd, name="", **config):
        body = {"Image": IMAGE, "Cmd": list(cmd) or None, **config}
        return call(f"POST /v1.47/containers/create?name={name}", status=201, json=body).json()["Id"]

    return create


@pytest.fixture
def run(create, call):
    """Make a container, start it, and return its id."""

    def run(*cmd, **config):
        identity = create(*cmd, **config)
        call(f"POST /containers/{identity}/start", status=204)
        return identity

    return run


@pytest.fixture
def inspect(call):
    """What a container is now."""
    return lambda name: call(f"GET /containers/{name}/json", status=200).json()
