"""Remote command execution: a container on a server, and commands that run in it.

with RemoteDockerEnvironment(server_url="http://127.0.0.1:9527", image="python:3.12") as environment:
    environment.execute("echo hello")    # {"output": "hello\\n", "returncode": 0}
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypedDict, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as TransportTimeoutError

MINIMUM_REQUEST_TIMEOUT = 1800.0
COMMAND_GRACE = 30.0  # seconds that a server has to report a command that ran into its own timeout
PULL_GRACE = 10.0
CLEANUP_TIMEOUT = 10.0
START_ATTEMPTS = 3
KEEP_ALIVE_HEADERS = {"Connection": "keep-alive", "Keep-Alive": "timeout=300, max=100"}

_log = logging.getLogger(__name__)
_Environment = TypeVar("_Environment", bound="RemoteDockerEnvironment")
_DURATION = re.compile(r"[0-9]+(\.[0-9]+)?[smhd]?")


def request_timeout(command_timeout: float) -> float:
    """How long to wait for the answer to a command that may itself take `command_timeout` seconds.

    Never less than 1800 s, and always 30 s more than the command: the server's report that the command
    timed out must arrive before this side gives up.
    """
    return max(MINIMUM_REQUEST_TIMEOUT, command_timeout + COMMAND_GRACE)


class ExecutionResult(TypedDict):
    """What a command printed, and its exit status; -1 if that is not known."""

    output: str
    returncode: int


class ContainerStartError(RuntimeError):
    """The server could not be reached, or could not start the container."""


class _ServerError(Exception):
    """The server answered, with something other than what was asked for."""


# Besides what requests raises (an OSError): urllib3's own errors where requests lets them through, and what
# a body that is no JSON makes the decoder raise.
_COMMUNICATION_ERRORS = (OSError, HTTPError, ValueError, RecursionError, _ServerError)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteDockerConfig:
    """How to start a container, and how to run commands in it.

    Args:
        image: name of the image.
        cwd: directory in which commands run unless they say otherwise.
        env: environment variables of every command.
        forward_env: names of variables of the server's own environment to pass on.
        timeout: seconds a command may take unless it says otherwise; above 0.
        executable: the container program on the server.
        run_args: more arguments of its `run`.
        container_timeout: how long the container may live, as `sleep` takes it: `"6h"`, `"90m"`, `"3600"`.
        pull_timeout: seconds that pulling the image may take; above 0.

    Raises:
        ValueError: an argument is outside what is allowed.
    """

    image: str
    cwd: str = "/"
    env: Mapping[str, str] = field(default_factory=dict)
    forward_env: Sequence[str] = ()
    timeout: float = 1800
    executable: str = "docker"
    run_args: Sequence[str] = ("--rm",)
    container_timeout: str = "6h"
    pull_timeout: float = 400

    def __post_init__(self) -> None:
        """Check the arguments."""
        for name in ("image", "executable"):
            _require(bool(getattr(self, name)), name, getattr(self, name), "a name", "python:3.12")
        for name in ("timeout", "pull_timeout"):
            seconds = getattr(self, name)
            _require(0 < seconds < math.inf, name, seconds, "a finite number of seconds above 0", 1800)
        duration = _DURATION.fullmatch(self.container_timeout)
        _require(bool(duration), "container_timeout", self.container_timeout, "a number with s, m, h or d", "6h")

    def as_json(self) -> dict[str, object]:
        """The `config` of a start request."""
        fields = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        lists = {name: list(fields[name]) for name in ("forward_env", "run_args")}
        return {**fields, **lists, "env": dict(self.env)}


def _require(holds: bool, name: str, given: object, allowed: str, example: object) -> None:
    if not holds:
        raise ValueError(f"{name} is {given!r}; it must be {allowed}, such as {example!r}")


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is kept of a response.

    A response that somebody still holds, be it by the traceback of a logged exception, keeps its connection
    open even after its session was closed.
    """

    status: int
    reason: str
    content: bytes

    def checked(self) -> dict[str, object]:
        """The decoded body of a success."""
        if not 200 <= self.status < 300:
            raise _ServerError(f"HTTP {self.status}: {self.detail() or self.reason}")
        decoded = json.loads(self.content)
        if not isinstance(decoded, dict):
            raise _ServerError(f"the answer is no JSON object: {self.excerpt()}")
        return decoded

    def detail(self) -> str:
        """The server's own words for what went wrong, or else the start of the body."""
        try:
            decoded = json.loads(self.content)
        except (ValueError, RecursionError):
            decoded = None
        detail = decoded.get("detail") if isinstance(decoded, dict) else None
        return str(detail) if detail else self.excerpt()

    def excerpt(self, size: int = 200) -> str:
        """The start of the body, as text."""
        return self.content[:size].decode("utf-8", "replace")


class _Session(requests.Session):
    """Follows no redirect: it would run a command at another place than the one that was asked for."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """No response leads anywhere else."""


class RemoteDockerEnvironment:
    """A container on a server: started on construction, used by one agent, removed by `cleanup`.

    All its requests share one session, so one connection serves a whole run of commands. Commands are
    never retried, as they may have side effects.
    """

    def __init__(
        self,
        *,
        server_url: str,
        image: str,
        timeout: float = 1800,
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        forward_env: Sequence[str] = (),
        executable: str = "docker",
        run_args: Sequence[str] = ("--rm",),
        container_timeout: str = "6h",
        pull_timeout: float = 400,
        start_pause: float = 5.0,
    ) -> None:
        """Start a container.

        Args:
            server_url: where the server is, such as `"http://127.0.0.1:9527"`.
            start_pause: seconds between two attempts to start; 0 or more.

        The others are those of `RemoteDockerConfig`.

        Raises:
            ValueError: an argument is outside what is allowed.
            ContainerStartError: the server is not there, or could not start the container.
        """
        self.config = RemoteDockerConfig(
            image=image,
            cwd=cwd,
            env=env or {},
            forward_env=forward_env,
            timeout=timeout,
            executable=executable,
            run_args=run_args,
            container_timeout=container_timeout,
            pull_timeout=pull_timeout,
        )
        self.server_url = _checked_url(server_url)
        _require(0 <= start_pause < math.inf, "start_pause", start_pause, "a number of seconds from 0", 5.0)
        self.container_id = ""
        self._session = self._open_session()
        try:
            self.container_id = self._start(start_pause)
        except BaseException:
            self._close_session()
            raise

    def __enter__(self: _Environment) -> _Environment:
        """Use the container in a `with` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clean up."""
        self.cleanup()

    def execute(self, command: str, cwd: str = "", *, timeout: float | None = None) -> ExecutionResult:
        """Run a command in the container, once.

        Args:
            command: what `bash -c` is given.
            cwd: the directory it runs in; the configured one if empty.
            timeout: seconds it may take; the configured ones if None or 0.

        An error on the way is not raised, but returned as output with the status -1. Whether the command
        was executed is then not known.
        """
        command_timeout = timeout or self.config.timeout
        body = {
            "container_id": self.container_id,
            "command": command,
            "cwd": cwd or self.config.cwd,
            "timeout": command_timeout,
            "env": dict(self.config.env),
            "forward_env": list(self.config.forward_env),
            "executable": self.config.executable,
        }
        try:
            if not self.container_id:
                raise _ServerError("the container has been cleaned up")
            return _result(self._exchange("/execute", body, timeout=request_timeout(command_timeout)))
        except _COMMUNICATION_ERRORS as error:
            return {"output": f"Error communicating with server: {error}", "returncode": -1}

    def cleanup(self) -> None:
        """Have the server remove the container, and close all connections. Calling it again does nothing.

        An error on the way is logged and not raised: nothing more can be done about the container, which
        ends by itself after its `container_timeout`.
        """
        container_id, self.container_id = self.container_id, ""
        body = {"container_id": container_id, "executable": self.config.executable}
        try:
            if container_id:
                self._exchange("/cleanup", body, timeout=CLEANUP_TIMEOUT)
        except _COMMUNICATION_ERRORS as error:
            _log.warning("container %s was not cleaned up: %s", container_id, str(error))
        finally:
            self._close_session()

    def _open_session(self) -> requests.Session:
        session = _Session()
        session.headers.update(KEEP_ALIVE_HEADERS)
        adapter = HTTPAdapter(pool_connections=5, pool_maxsize=10, pool_block=False, max_retries=0)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session

    def _close_session(self) -> None:
        self._session.close()

    def _post(self, path: str, body: object, *, timeout: float) -> requests.Response:
        """Send one request, and read its response to the end, so that the connection can serve the next."""
        return self._session.post(self.server_url + path, json=body, timeout=timeout)

    def _answer(self, path: str, body: object, *, timeout: float) -> _Answer:
        with self._post(path, body, timeout=timeout) as response:
            return _Answer(response.status_code, response.reason, response.content)

    def _exchange(self, path: str, body: object, *, timeout: float) -> dict[str, object]:
        return self._answer(path, body, timeout=timeout).checked()

    def _start(self, pause: float) -> str:
        """Start the container, with another attempt if the server cannot be reached or does not answer."""
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                return self._start_once()
            except _COMMUNICATION_ERRORS as error:
                if attempt == START_ATTEMPTS or not _may_start_again(error):
                    place = f"no container of {self.config.image} at {self.server_url}"
                    raise ContainerStartError(f"{place}, attempt {attempt}: {error}") from error
            time.sleep(pause)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _start_once(self) -> str:
        body = {"config": self.config.as_json()}
        answer = self._exchange("/start", body, timeout=self.config.pull_timeout + PULL_GRACE)
        container_id = answer.get("container_id")
        if not isinstance(container_id, str) or not container_id:
            raise _ServerError(f"the answer has no container_id, only {sorted(answer)}")
        return container_id


def _checked_url(server_url: str) -> str:
    parts = urlsplit(server_url)
    valid = parts.scheme in ("http", "https") and bool(parts.hostname)
    _require(valid, "server_url", server_url, "an http or https URL", "http://127.0.0.1:9527")
    return server_url.rstrip("/")


def _may_start_again(error: Exception) -> bool:
    """Whether no connection was made, or the answer took too long; requests wraps urllib3's reasons."""
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    return isinstance(error, requests.Timeout) or isinstance(reason, NewConnectionError | TransportTimeoutError)


def _result(answer: dict[str, object]) -> ExecutionResult:
    output, returncode = answer.get("output"), answer.get("returncode")
    if not isinstance(output, str) or not isinstance(returncode, int):
        raise _ServerError(f"the answer lacks a text output or an integer returncode, and has {sorted(answer)}")
    return {"output": output, "returncode": returncode}
