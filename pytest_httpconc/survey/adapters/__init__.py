"""One small adapter for each client: how it is made, called, read to the end and closed, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, Literal

from fake_servers.errors import ScenarioError
from pytest_httpconc.survey.adapters.kinds import Answer, Settings

__all__ = ["ADAPTERS", "Adapter", "Answer", "ServiceName", "Settings", "chosen"]

ServiceName = Literal["http", "llm", "docker"]
_PACKAGE: Final = __name__
_HTTPX_BY_CHANCE: Final = ("ConnectError", "ReadError", "RemoteProtocolError", "WriteError")


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A client library as the survey uses it.

    Args:
        name: what the page calls it.
        distributions: whose versions tell which release it is, itself first.
        no_retry: its usual settings without retries, in words.
        make: a client for `Settings`, as a context manager with the methods ``post(text)``, ``get()`` and, of an SDK,
            ``stream(text)``; each returns an `Answer`, or raises what the client raises.
        is_async: whether its methods are coroutine functions.
        service: which fake server it speaks to.
        by_chance: the exceptions of which it raises one or the other where RST comes while it is still sending.
    """

    name: str
    distributions: tuple[str, ...]
    no_retry: str
    make: Callable[[Settings], Any]
    is_async: bool = False
    service: ServiceName = "http"
    by_chance: tuple[str, ...] = ()

    @property
    def streams(self) -> bool:
        """Whether it can read an answer as a stream of events."""
        return self.service == "llm"

    def versions(self) -> dict[str, str] | None:
        """The releases that are installed; None if it is not installed itself."""
        found = {name: release for name in self.distributions if (release := _release(name)) is not None}
        return found if self.distributions[0] in found else None


def _release(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _made_by(module: str, kind: str, *given: str) -> Callable[[Settings], Any]:
    """A factory whose module, and so the client's library, is imported when it is first called."""
    return partial(_make, module, kind, given)


def _make(module: str, kind: str, given: Sequence[str], settings: Settings) -> Any:
    return getattr(import_module(f"{_PACKAGE}.{module}"), kind)(*given, settings)


def _httpx(name: str, core: str, module: str) -> tuple[Adapter, Adapter]:
    return (
        Adapter(
            name=name,
            distributions=(name, core),
            no_retry="HTTPTransport(retries=0)",
            make=_made_by("httpx_family", "Blocking", module),
            by_chance=_HTTPX_BY_CHANCE,
        ),
        Adapter(
            name=f"{name} (async)",
            distributions=(name, core),
            no_retry="AsyncHTTPTransport(retries=0)",
            make=_made_by("httpx_family", "InLoop", module),
            is_async=True,
            by_chance=_HTTPX_BY_CHANCE,
        ),
    )


def _sdk(name: str, below: tuple[str, ...], kind: str) -> tuple[Adapter, Adapter]:
    blocking = Adapter(
        name=name,
        distributions=(name, *below),
        no_retry="max_retries=0",
        make=_made_by("sdks", kind),
        service="llm",
    )
    in_loop = Adapter(
        name=f"{name} (async)",
        distributions=(name, *below),
        no_retry="max_retries=0",
        make=_made_by("sdks", f"Async{kind}"),
        is_async=True,
        service="llm",
    )
    return blocking, in_loop


_ALL: Final = (
    Adapter(
        name="requests",
        distributions=("requests", "urllib3"),
        no_retry="HTTPAdapter(max_retries=0)",
        make=_made_by("requests_family", "Blocking", "requests"),
    ),
    Adapter(
        name="urllib3",
        distributions=("urllib3",),
        no_retry="retries=False",
        make=_made_by("pools", "Urllib3"),
    ),
    *_httpx("httpx", "httpcore", "httpx"),
    *_httpx("httpx2", "httpcore2", "httpx2"),
    Adapter(
        name="aiohttp",
        distributions=("aiohttp",),
        no_retry="TCPConnector(force_close=True)",
        make=_made_by("pools", "Aiohttp"),
        is_async=True,
    ),
    Adapter(
        name="niquests",
        distributions=("niquests", "urllib3-future"),
        no_retry="Session(retries=0)",
        make=_made_by("requests_family", "Blocking", "niquests"),
    ),
    Adapter(
        name="niquests (async)",
        distributions=("niquests", "urllib3-future"),
        no_retry="AsyncSession(retries=0)",
        make=_made_by("requests_family", "InLoop"),
        is_async=True,
    ),
    *_sdk("openai", ("httpx", "httpcore"), "OpenAI"),
    *_sdk("anthropic", ("httpx2", "httpcore2"), "Anthropic"),
    Adapter(
        name="docker-py",
        distributions=("docker", "requests", "urllib3"),
        no_retry="BaseHTTPAdapter(max_retries=0)",
        make=_made_by("pools", "Docker"),
        service="docker",
    ),
)

ADAPTERS: Final = {adapter.name: adapter for adapter in _ALL}


def chosen(names: Sequence[str]) -> list[Adapter]:
    """The adapters of these clients, with ``"httpx"`` for ``"httpx (async)"`` too; all where none is named.

    Raises:
        ScenarioError: one is not known.
    """
    for name in names:
        if name not in ADAPTERS:
            raise ScenarioError(f"client {name!r} is not known; allowed are {', '.join(ADAPTERS)}, as in 'requests'")
    return [a for a in _ALL if not names or a.name in names or a.name.removesuffix(" (async)") in names]
