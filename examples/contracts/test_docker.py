"""docker-py: a command made ready in a container, against an engine in memory."""

import docker
import pytest

from fake_servers import FakeDockerServer
from pytest_httpconc import ClientContract


class TestDocker(ClientContract):
    on = "POST /*/containers/create"
    read_timeout = 60.0
    truncations = 40

    @pytest.fixture
    def server(self):
        with FakeDockerServer(images=["python:3.11-slim"]) as server:
            yield server

    @pytest.fixture
    def client(self, server):
        client = docker.APIClient(base_url=server.url.replace("http", "tcp"), version="1.47", timeout=60.0)
        yield client
        client.close()

    def call(self, client, url, payload):
        return client.create_container("python:3.11-slim", name=payload["nonce"])

    def is_answer(self, answer, payload):
        return len(answer["Id"]) == 64
