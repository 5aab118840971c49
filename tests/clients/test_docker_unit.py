"""The pure parts of the remote execution client, and how it sets up its session."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter

from pytest_httpconc.clients.docker import (
    ContainerStartError,
    RemoteDockerConfig,
    RemoteDockerEnvironment,
    request_timeout,
)
from pytest_httpconc.clients.legacy.docker import (
    LeakyEnvironment,
    PerCallEnvironment,
    RetryingEnvironment,
    ShortTimeoutEnvironment,
)

Answer = tuple[int, dict[str, str], bytes]
STARTED: Answer = (200, {}, b'{"container_id": "c1", "status": "started"}')
EXECUTED: Answer = (200, {}, b'{"output": "hello\\n", "returncode": 0}')
CLEANED: Answer = (200, {}, b'{"status": "cleanup process started", "container_id": "c1"}')


class Server(ThreadingHTTPServer):
    """Answers each path by a table, and records what it was asked."""

    daemon_threads = False  # so that closing waits for every connection to end

    def __init__(self, **answers: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = {"/start": STARTED, "/execute": EXECUTED, "/cleanup": CLEANED}
        self.answers.update({f"/{name}": answer for name, answer in answers.items()})
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.clients: set[tuple[str, int]] = set()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def bodies(self, path: str) -> list[Any]:
        """The decoded bodies of all requests to a path."""
        return [body for target, _, body in self.requests if target == path]


class Handler(BaseHTTPRequestHandler):
    """Keeps connections alive; one thread each."""

    protocol_version = "HTTP/1.1"
    timeout = 10.0  # a connection that a client leaked ends after all
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, dict(self.headers), json.loads(body)))
        self.server.clients.add(self.client_address)
        status, headers, content = self.server.answers[self.path]
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


@contextmanager
def serving(**answers: Answer) -> Iterator[Server]:
    """A server on a port of its own."""
    with Server(**answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def environment(
    server: Server,
    kind: type[RemoteDockerEnvironment] = RemoteDockerEnvironment,
    **settings: Any,
) -> RemoteDockerEnvironment:
    """A client of that server."""
    return kind(server_url=server.url, image="python:3.12", **settings)


class TestRequestTimeout:
    @pytest.mark.parametrize(("command_timeout", "expected"), [(1800, 1830), (600, 1800), (3600, 3630)])
    def test_the_examples(self, command_timeout: float, expected: float) -> None:
        assert request_timeout(command_timeout) == expected

    @given(st.floats(min_value=0, max_value=1e9))
    def test_it_never_undercuts_the_command_nor_half_an_hour(self, command_timeout: float) -> None:
        assert request_timeout(command_timeout) >= 1800
        assert request_timeout(command_timeout) >= command_timeout + 30
        assert request_timeout(command_timeout) in (1800, command_timeout + 30)

    @given(st.floats(min_value=0, max_value=1e9), st.floats(min_value=0, max_value=1e9))
    def test_more_time_for_the_command_is_never_less_for_the_request(self, one: float, other: float) -> None:
        shorter, longer = sorted((one, other))
        assert request_timeout(shorter) <= request_timeout(longer)


class TestConfig:
    def test_the_defaults_are_those_of_the_protocol(self) -> None:
        assert RemoteDockerConfig(image="python:3.12").as_json() == {
            "image": "python:3.12",
            "cwd": "/",
            "env": {},
            "forward_env": [],
            "timeout": 1800,
            "executable": "docker",
            "run_args": ["--rm"],
            "container_timeout": "6h",
            "pull_timeout": 400,
        }

    def test_it_is_json(self) -> None:
        config = RemoteDockerConfig(image="i", env={"A": "1"}, forward_env=("B",), run_args=("--rm", "-it"))
        assert json.loads(json.dumps(config.as_json())) == config.as_json()

    @pytest.mark.parametrize(
        "wrong",
        [
            {"image": ""},
            {"executable": ""},
            {"timeout": 0},
            {"timeout": -1},
            {"timeout": float("inf")},
            {"timeout": float("nan")},
            {"pull_timeout": 0},
            {"container_timeout": "soon"},
            {"container_timeout": ""},
        ],
    )
    def test_a_wrong_argument_is_named(self, wrong: dict[str, Any]) -> None:
        name, given = next(iter(wrong.items()))
        with pytest.raises(ValueError, match=f"^{name} is {given!r}; it must be "):
            RemoteDockerConfig(**{"image": "python:3.12", **wrong})

    @pytest.mark.parametrize("url", ["", "127.0.0.1:9527", "ftp://127.0.0.1", "http://"])
    def test_a_wrong_address_is_refused_before_anything_is_sent(self, url: str) -> None:
        with pytest.raises(ValueError, match=r"^server_url is "):
            RemoteDockerEnvironment(server_url=url, image="python:3.12")


class TestSession:
    def test_the_adapters_have_the_figures_of_the_repair(self) -> None:
        with serving() as server, environment(server) as client:
            for scheme in ("http://", "https://"):
                adapter = client._session.get_adapter(f"{scheme}host")
                assert isinstance(adapter, HTTPAdapter)
                figures = (adapter._pool_connections, adapter._pool_maxsize, adapter._pool_block)  # type: ignore[attr-defined]
                assert figures == (5, 10, False)
                assert adapter.max_retries.total == 0

    def test_one_connection_serves_all_requests_and_asks_to_be_kept(self) -> None:
        with serving() as server:
            with environment(server) as client:
                for _ in range(3):
                    assert client.execute("echo hello") == {"output": "hello\n", "returncode": 0}
            assert [path for path, _, _ in server.requests] == ["/start", *["/execute"] * 3, "/cleanup"]
            assert len(server.clients) == 1
            for _, headers, _ in server.requests:
                assert headers["Connection"] == "keep-alive"
                assert headers["Keep-Alive"] == "timeout=300, max=100"

    def test_the_body_of_a_command(self) -> None:
        with serving() as server:
            with environment(server, env={"A": "1"}, forward_env=["B"], cwd="/work") as client:
                client.execute("pwd")
                client.execute("ls", "/tmp", timeout=5)
            common = {"container_id": "c1", "env": {"A": "1"}, "forward_env": ["B"], "executable": "docker"}
            assert server.bodies("/execute") == [
                {"command": "pwd", "cwd": "/work", "timeout": 1800, **common},
                {"command": "ls", "cwd": "/tmp", "timeout": 5, **common},
            ]
            assert server.bodies("/cleanup") == [{"container_id": "c1", "executable": "docker"}]


class TestErrors:
    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            ((404, {}, b'{"detail": "no such container: c1"}'), "HTTP 404: no such container: c1"),
            ((500, {}, b"<html>oops</html>"), "HTTP 500: <html>oops</html>"),
            ((503, {}, b""), "HTTP 503: Service Unavailable"),
            ((307, {"Location": "/cleanup"}, b""), "HTTP 307"),
            ((302, {"Location": "http://["}, b""), "HTTP 302"),
            ((302, {"Location": "\xff\xfe"}, b"moved"), "HTTP 302: moved"),
            ((200, {}, b""), ""),
            ((200, {}, b"[1]"), "no JSON object: [1]"),
            ((200, {}, b"[" * 100_000), ""),
            ((200, {}, b'{"output": "x"}'), "lacks a text output"),
            ((200, {"Content-Encoding": "gzip"}, b"no gzip"), ""),
        ],
    )
    def test_a_wrong_answer_is_returned_and_the_connection_used_again(self, answer: Answer, told: str) -> None:
        with serving(execute=answer) as server:
            with environment(server) as client:
                result = client.execute("echo data >> file")
            assert result["returncode"] == -1
            assert result["output"].startswith("Error communicating with server: ")
            assert told in result["output"]
            assert [path for path, _, _ in server.requests] == ["/start", "/execute", "/cleanup"]

    def test_a_redirect_leads_nowhere_and_keeps_the_connection(self) -> None:
        with serving(execute=(307, {"Location": "/cleanup"}, b"elsewhere")) as server:
            with environment(server) as client:
                client.execute("echo data >> file")
            assert len(server.bodies("/cleanup")) == 1
            assert len(server.clients) == 1

    def test_after_cleanup_nothing_is_sent(self) -> None:
        with serving() as server:
            client = environment(server)
            client.cleanup()
            client.cleanup()
            assert client.execute("true")["returncode"] == -1
            assert [path for path, _, _ in server.requests] == ["/start", "/cleanup"]

    def test_a_cleanup_that_fails_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        with serving(cleanup=(500, {}, b'{"detail": "no docker"}')) as server:
            environment(server).cleanup()
        assert "container c1 was not cleaned up: HTTP 500: no docker" in caplog.text

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            ((500, {}, b'{"detail": "pull access denied"}'), "HTTP 500: pull access denied"),
            ((200, {}, b"{}"), "no container_id"),
            ((200, {}, b"no json"), "Expecting value"),
        ],
    )
    def test_a_container_that_does_not_start_is_not_tried_again(self, answer: Answer, told: str) -> None:
        with serving(start=answer) as server:
            with pytest.raises(ContainerStartError, match=told):
                environment(server)
            assert len(server.requests) == 1

    def test_a_server_that_is_not_there_is_tried_three_times(self) -> None:
        with serving() as server:
            url = server.url
        with pytest.raises(ContainerStartError, match="attempt 3"):
            RemoteDockerEnvironment(server_url=url, image="python:3.12", start_pause=0)

    def test_an_answer_that_takes_too_long_is_tried_three_times(self) -> None:
        with serving(start=(200, {"Content-Length": "10"}, b"")) as server:
            with pytest.raises(ContainerStartError, match="attempt 3"):
                environment(server, HastyEnvironment, start_pause=0)
            assert len(server.bodies("/start")) == 3


class HastyEnvironment(ShortTimeoutEnvironment):
    """A client that waits a moment only."""

    request_limit = 0.25


class TestMistakes:
    def test_a_call_without_session_opens_a_connection_each_time(self) -> None:
        with serving() as server:
            with environment(server, PerCallEnvironment) as client:
                client.execute("true")
            assert len(server.clients) == 3

    def test_a_retried_command_is_executed_three_times(self) -> None:
        with serving(execute=(500, {}, b"")) as server:
            with environment(server, RetryingEnvironment) as client:
                assert client.execute("mkdir a")["returncode"] == -1
            assert len(server.bodies("/execute")) == 3

    def test_a_short_timeout_gives_up_on_a_long_command(self) -> None:
        assert ShortTimeoutEnvironment.request_limit == 30
        unfinished = (200, {"Content-Length": "10"}, b"")
        with serving(execute=unfinished) as server, environment(server, HastyEnvironment) as client:
            assert "timed out" in client.execute("sleep 60")["output"]

    def test_a_leaky_session_outlives_its_cleanup(self) -> None:
        with serving() as server:
            with environment(server, LeakyEnvironment) as client:
                client.execute("true")
            session = LeakyEnvironment.registry.pop()
            left = len(pooled_connections(session))
            session.close()
        assert left == 1

    def test_the_real_client_closes_what_it_opened(self) -> None:
        with serving() as server:
            with environment(server) as client:
                client.execute("true")
                assert len(pooled_connections(client._session)) == 1
            assert pooled_connections(client._session) == []


def pooled_connections(session: requests.Session) -> list[object]:
    """The idle connections that a session keeps."""
    adapter = session.get_adapter("http://")
    assert isinstance(adapter, HTTPAdapter)
    pools = adapter.poolmanager.pools
    queues = [pools[key].pool.queue for key in pools.keys()]  # noqa: SIM118 - it cannot be iterated itself
    return [connection for queue in queues for connection in queue if connection is not None]
