"""The server under load: whose ledger is judged, and as users reach it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from fake_servers import (
    FakeAgentServer,
    FakeDockerServer,
    FakeEvalServer,
    FakeLLMServer,
    FakeServer,
    ScenarioError,
)
from pytest_httpconc.contract import ClientContract
from pytest_httpconc.contract.making import Maker

__all__ = ["Reached", "fixtures_at", "server_for"]

_FIXTURES: Final = MappingProxyType[str, Callable[..., FakeServer]](
    {
        "fake_http": FakeServer,
        "fake_docker": FakeDockerServer,
        "fake_eval": FakeEvalServer,
        "fake_llm": FakeLLMServer,
        "fake_agent": FakeAgentServer,
    }
)


@dataclass(frozen=True, slots=True)
class Reached:
    """A server on some machine, as a contract's fixtures see one.

    Args:
        url: where it is reached, without a slash at the end.
    """

    url: str

    @property
    def address(self) -> str:
        """Its host's name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Its port."""
        parts = urlsplit(self.url)
        return parts.port or {"https": 443}.get(parts.scheme, 80)


def fixtures_at(url: str) -> dict[str, Any]:
    """What a contract's fixtures may ask for where no pytest runs."""
    reached = Reached(url.rstrip("/"))
    return dict.fromkeys(["server", *_FIXTURES], reached)


def server_for(declared: Iterable[FakeServer | None], contract: type[ClientContract]) -> FakeServer:
    """The server that is to be started.

    Args:
        declared: by the user classes, where they do.
        contract: whose fixture ``server`` makes one where none is declared.

    Raises:
        ScenarioError: there are several, or it can't run beside gevent.
    """
    servers = list(dict.fromkeys(server for server in declared if server is not None))
    if len(servers) > 1:
        raise ScenarioError(
            f"{len(servers)} servers are declared, and locust has one host; give all users the same one"
        )
    server = servers[0] if servers else _made_by(contract)
    if not isinstance(server, FakeServer) or not server.is_elsewhere:
        raise ScenarioError(f"{server!r} can't run beside locust's gevent; make it with host='process'")
    return server


def _made_by(contract: type[ClientContract]) -> FakeServer:
    """What the contract's fixture ``server`` makes of a fake server in a process of its own."""
    given = {name: make(host="process") for name, make in _FIXTURES.items()}
    maker = Maker.without_pytest(contract(), given, name="server")
    if maker.is_async or maker.is_generator:
        raise ScenarioError(
            f"the fixture 'server' of {contract.__name__} starts its server itself; say which is to be under load, "
            "as in server = FakeServer(host='process')"
        )
    with maker.entered() as server:
        return server  # type: ignore[no-any-return]  # it is looked at by who asked
