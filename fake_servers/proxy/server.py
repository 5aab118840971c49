"""`ChaosProxy`: what a user holds of a proxy."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, Final, TypeVar

from fake_servers.crossing import asked
from fake_servers.errors import ScenarioError
from fake_servers.faults import AtListener, AtMoment, Moment, WrongCertificate
from fake_servers.listener import Connects
from fake_servers.makings import made
from fake_servers.proxy.connection import ProxyConnection, SealedProxyConnection
from fake_servers.proxy.forwarding import Forwarder
from fake_servers.proxy.upstream import HasUrl, Named, Upstream, Verify, tls_context
from fake_servers.rendezvous import Rendezvous
from fake_servers.scenario import PLAIN, Injection, acts_on_bytes
from fake_servers.server import FakeServer, clock_is_virtual
from fake_servers.started import started_servers

__all__ = ["ChaosProxy"]

Self = TypeVar("Self", bound="ChaosProxy")

_OF_PLAIN: Final = frozenset({"*", f"{PLAIN} *"})


class ChaosProxy(FakeServer):
    """A server that hands every request on to another, and is a `FakeServer` in all else.

    Each connection of a client has one of its own to the upstream, which is closed with it, and closes it: keep-alive,
    reuse, limits and stale connections are the upstream's. Nothing is sent twice. A route of the proxy's own answers in
    the upstream's place. What is no HTTP/1.1 is passed on as it is: see docs/proxy.md.

    Args:
        upstream: ``"http://HOST[:PORT][/PREFIX]"``, ``"https://..."``, ``"unix:///PATH"`` (HTTP on a unix socket) or
            ``"tcp://HOST:PORT"`` (no HTTP is looked for); or a server with such a ``url``, as each of this package.
        verify: of an upstream with https, whether its certificate must be right, or a file in PEM with the authorities
            to trust; those of a server of this package are trusted.
        connect_timeout: seconds that connecting to the upstream may take, above 0.
        keep_host: whether the upstream gets the ``Host`` that the client has sent, and not its own.
        options: as for `FakeServer`.

    Raises:
        ScenarioError: an argument makes no sense, or it is its own upstream.
    """

    @made
    def __init__(
        self,
        upstream: str | HasUrl,
        *,
        verify: Verify = True,
        connect_timeout: float = 10.0,
        keep_host: bool = False,
        **options: Any,
    ) -> None:
        is_number = isinstance(connect_timeout, (int, float)) and not isinstance(connect_timeout, bool)
        if not (is_number and 0 < connect_timeout < float("inf")):
            raise ScenarioError(
                f"connect_timeout={connect_timeout!r} is out of range; allowed are seconds above 0, as in 10.0"
            )
        if not isinstance(keep_host, bool):
            raise ScenarioError(f"keep_host={keep_host!r} is not known; allowed are True and False")
        self._given = upstream
        self._upstream = Upstream.parse(upstream)
        self._verify = _trusted(upstream) if verify is True else verify
        if isinstance(self._verify, os.PathLike):
            self._verify = os.fspath(self._verify)
        self._connect_timeout = connect_timeout
        self._keep_host = keep_host
        self._context = tls_context(self._upstream, self._verify)
        super().__init__(**options)
        self._check_upstream()
        self.makings.arguments["upstream"] = self._upstream.url

    def start_here(self: Self) -> Self:
        """As for every server; on a virtual clock, the upstream must run in this loop.

        Raises:
            FakeServerError: it is running already, or its port can't be had.
            ScenarioError: the clock is virtual and the upstream's is not, or it was made with ``host="process"``.
        """
        if clock_is_virtual() and not _may_be_in_this_loop(self._upstream):
            raise ScenarioError(
                f"{self.upstream} can't follow the virtual clock of the running loop, which would run ahead of it; put "
                "a server of this loop behind the proxy, or leave virtual_time out"
            )
        return super().start_here()

    def _set_up(self) -> None:
        self._forwarder = Forwarder(
            self._service,
            self._upstream,
            context=self._context,
            connect_timeout=self._connect_timeout,
            keep_host=self._keep_host,
            secure=self._tls,
            own=lambda: f"{self.address}:{self.port}",
        )
        self.route("*", queues=True)(self._forwarder.forward)

    def _starting(self) -> None:
        super()._starting()
        self._check_upstream()

    def _check_upstream(self) -> None:
        if self._upstream.leads_to(self.address, self.port, self.unix_socket):
            raise ScenarioError(
                f"upstream={self.upstream!r} is this proxy itself, which would connect to itself without end; "
                "give the proxy a place of its own, as in port=0"
            )

    def _connections(self) -> Connects:
        plain = partial(ProxyConnection, forwarder=self._forwarder)
        sealed = partial(SealedProxyConnection, forwarder=self._forwarder, address=self.address)
        return Connects(sealed if self._tls else plain, plain)

    def _as_made(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        def as_it_crosses(value: object) -> object:
            is_server = value is self._given and not isinstance(value, str)
            return Named(self.upstream, self._verify) if is_server else value

        return tuple(map(as_it_crosses, arguments)), {name: as_it_crosses(value) for name, value in options.items()}

    @property
    def upstream(self) -> str:
        """The URL of the server that requests are handed on to."""
        return self._upstream.url

    @property
    def own_routes(self) -> tuple[str, ...]:
        """All of them: what the upstream answers is no service of the proxy's."""
        return self.routes

    @asked(merge=lambda sets: frozenset(name for names in sets for name in names))
    def outgoing(self) -> frozenset[tuple[str, int]]:
        """The addresses and ports of its own connections to the upstream that are open.

        Of those to a unix socket, its path and a number that is theirs alone.
        """
        names = (link.local for link in tuple(self._forwarder.links) if link.is_open)
        return frozenset(name for name in names if name is not None)

    def _check(self, injection: Injection) -> None:
        super()._check(injection)
        if not self._upstream.is_plain:
            return
        fault = injection.fault
        before_bytes = isinstance(fault, (AtListener, WrongCertificate)) or (
            isinstance(fault, AtMoment) and fault.at is Moment.ACCEPT
        )
        if not (before_bytes or acts_on_bytes(fault)):
            raise ScenarioError(
                f"{fault} needs HTTP, and {self.upstream} is plain TCP; there act Refuse, FullBacklog, Throttle, "
                "Dribble, what is at Moment.ACCEPT, and what counts bytes of the upstream, as in Reset(after_bytes=17)"
            )
        if injection.on not in _OF_PLAIN:
            raise ScenarioError(f"on={injection.on!r} names requests, and {self.upstream} is plain TCP; leave it out")

    def _hold(self, *, until_in_flight: int, give_up: float, on: str) -> Rendezvous:
        if self._upstream.is_plain:
            raise ScenarioError(f"hold() counts requests, and {self.upstream} is plain TCP, where there are none")
        return super()._hold(until_in_flight=until_in_flight, give_up=give_up, on=on)


def _may_be_in_this_loop(upstream: Upstream) -> bool:
    """Whether a server that is known runs in this loop, or else one that is not known listens in this process."""
    import psutil  # late: a virtual clock alone needs it

    place = upstream.host if upstream.scheme == "unix" else upstream.port
    for server in started_servers():
        if server.is_running and place in {server.port, server.unix_socket}:
            return server.blocks()
    listening = (c for c in psutil.Process().net_connections("all") if c.laddr and not c.raddr)
    return place in {c.laddr if isinstance(c.laddr, str) else c.laddr.port for c in listening}


def _trusted(upstream: str | HasUrl) -> Verify:
    """The authority of a server of this package that speaks TLS; otherwise those of the system."""
    if isinstance(upstream, Named):
        return upstream.verify
    if isinstance(upstream, FakeServer) and upstream.url.startswith("https"):
        return upstream.ca_path
    return True
