"""The mistakes once made in remote command execution, one a class; all else is the repaired client's."""

from __future__ import annotations

from typing import ClassVar

import requests

from pytest_httpconc.clients.docker import ExecutionResult, RemoteDockerEnvironment


class PerCallEnvironment(RemoteDockerEnvironment):
    """Mistake: `requests.post` for every call, with no session, so that no connection is ever reused."""

    def _post(self, path: str, body: object, *, timeout: float) -> requests.Response:
        return requests.post(self.server_url + path, json=body, timeout=timeout, allow_redirects=False)


class ShortTimeoutEnvironment(RemoteDockerEnvironment):
    """Mistake: 30 seconds for every request, however long the command may take."""

    request_limit: ClassVar[float] = 30.0

    def _post(self, path: str, body: object, *, timeout: float) -> requests.Response:
        return super()._post(path, body, timeout=self.request_limit)


class RetryingEnvironment(RemoteDockerEnvironment):
    """Mistake: three tries for every command, which may have been executed the first time."""

    tries: ClassVar[int] = 3

    def execute(self, command: str, cwd: str = "", *, timeout: float | None = None) -> ExecutionResult:
        """Run a command in the container, and again when the answer does not arrive."""
        for _ in range(self.tries):
            result = super().execute(command, cwd, timeout=timeout)
            if result["returncode"] != -1:
                break
        return result


class LeakyEnvironment(RemoteDockerEnvironment):
    """Mistake: the session is never closed, and a registry keeps it and its connections alive."""

    registry: ClassVar[list[requests.Session]] = []

    def _open_session(self) -> requests.Session:
        session = super()._open_session()
        self.registry.append(session)
        return session

    def _close_session(self) -> None:
        """Leave the session as it is."""
