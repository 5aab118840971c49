"""Where the upstream is, and how it is connected to."""

from __future__ import annotations

import os
import re
import socket
import ssl
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import SplitResult, urlsplit

from fake_servers.errors import ScenarioError

__all__ = ["HasUrl", "Named", "Upstream", "Verify", "tls_context"]

Verify = bool | str | os.PathLike[str]

_ALL: Final = "0.0.0.0"
_LOOPBACK: Final = "127.0.0.1"  #: what connects to no address in particular gets there
_VISIBLE: Final = re.compile(r"[!-~]+")  #: ASCII that HTTP/1.1 has in a target (RFC 9112, section 3.2)
_CONTROLS: Final = re.compile(r"[\0-\x1f\x7f]")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_ALLOWED: Final = (
    "allowed are 'http://HOST[:PORT][/PREFIX]', 'https://...', 'unix:///PATH' and 'tcp://HOST:PORT', or a server that "
    "has such a url, as in ChaosProxy('http://127.0.0.1:8000')"
)


class HasUrl(Protocol):
    """A server, as far as a proxy before it is concerned."""

    @property
    def url(self) -> str:
        """Where it is reached."""
        ...


@dataclass(frozen=True, slots=True)
class Named:
    """A server, as a proxy in another process is told of it: where it is reached, and how its certificate is judged."""

    url: str
    verify: Verify


@dataclass(frozen=True, slots=True)
class Upstream:
    """The server that stands behind a proxy.

    Args:
        scheme: ``"http"``, ``"https"``, ``"unix"`` (HTTP on a unix socket), or ``"tcp"``, where no HTTP is looked for.
        host: its name or address; of a unix socket, its path.
        port: 1 to 65535; 0 for a unix socket.
        prefix: what comes before every path, without a slash at its end.
    """

    scheme: str
    host: str
    port: int = 0
    prefix: str = ""

    @classmethod
    def parse(cls, given: str | HasUrl) -> Upstream:
        """The upstream that a user has named.

        Raises:
            ScenarioError: it is no URL of a kind that is known, or has parts that make no sense here.
        """
        text = given if isinstance(given, str) else getattr(given, "url", None)
        if not isinstance(text, str):
            raise ScenarioError(f"upstream={given!r} is no URL; {_ALLOWED}")
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise ScenarioError(f"upstream={text!r} is no URL ({error}); {_ALLOWED}") from None
        problem = "has a control character" if _CONTROLS.search(text) else _problem(parts, port)
        if problem is not None:
            raise ScenarioError(f"upstream={text!r} {problem}; {_ALLOWED}")
        if parts.scheme == "unix":
            return cls("unix", parts.path)
        return cls(parts.scheme, _host(parts), port or _DEFAULT_PORTS[parts.scheme], parts.path.rstrip("/"))

    @property
    def is_plain(self) -> bool:
        """Whether no HTTP is looked for."""
        return self.scheme == "tcp"

    @property
    def is_sealed(self) -> bool:
        """Whether it speaks TLS."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """Host and port as the Host field has them: without the scheme's own port."""
        if self.scheme == "unix":
            return "localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if _DEFAULT_PORTS.get(self.scheme) == self.port else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Its scheme and authority, as absolute URLs of its own begin (RFC 6454)."""
        return f"{'http' if self.scheme == 'unix' else self.scheme}://{self.authority}"

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"unix://{self.host}" if self.scheme == "unix" else f"{self.origin}{self.prefix}"

    def leads_to(self, address: str, port: int, unix_socket: str | None) -> bool:
        """Whether what connects to it reaches a server of this machine that listens there.

        Args:
            address: the IPv4 address that the server listens on.
            port: its port.
            unix_socket: the path of its unix socket, if any.
        """
        if self.scheme == "unix":
            return unix_socket is not None and os.path.realpath(self.host) == os.path.realpath(unix_socket)
        return self.port == port and any(_is_listened_on(reached, address) for reached in _addresses(self.host))


def _is_listened_on(reached: str, address: str) -> bool:
    """Whether a server that listens on an address hears what comes for another one: its own, or, on all, any here."""
    listening = _addresses(address)
    if _ALL not in listening:
        return (_LOOPBACK if reached == _ALL else reached) in listening
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((reached, 0))
        except OSError:  # it is another machine's
            return False
    return True


def _addresses(host: str) -> frozenset[str]:
    """The IPv4 addresses of a host; none where it is not known."""
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return frozenset()
    return frozenset(str(place[0]) for *_, place in found)


def _problem(parts: SplitResult, port: int | None) -> str | None:
    if parts.scheme not in {"http", "https", "unix", "tcp"}:
        return "has no scheme that is known"
    if parts.username is not None or parts.query or parts.fragment:
        return "has a user, a query or a fragment, for which there is no use"
    if parts.scheme == "unix":
        return None if parts.path.startswith("/") and not parts.netloc else "names no path of a socket"
    if not _VISIBLE.fullmatch(_host(parts)) or port == 0:
        return "names no host, or port 0"
    if not _VISIBLE.fullmatch(parts.path or "/"):
        return "has a path with a space or another letter than ASCII's, which is written as in '%20'"
    if parts.scheme == "tcp" and (port is None or parts.path.strip("/")):
        return "needs a port and takes no path"
    return None


def _host(parts: SplitResult) -> str:
    """The host as it is written in ASCII (RFC 5890); empty where there is none."""
    host = parts.hostname or ""
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return ""


def tls_context(upstream: Upstream, verify: Verify) -> ssl.SSLContext | None:
    """How the certificate of an upstream is judged; None where it has none.

    Args:
        upstream: the upstream.
        verify: whether its certificate must be right, or a file in PEM with the authorities to trust.

    Raises:
        ScenarioError: the file can't be read, or ``verify`` is something else.
    """
    if not isinstance(verify, (bool, str, os.PathLike)):
        raise ScenarioError(f"verify={verify!r} is not known; allowed are True, False and a path, as in 'ca.pem'")
    if not upstream.is_sealed:
        return None
    if isinstance(verify, bool):
        context = ssl.create_default_context()
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
    try:
        return ssl.create_default_context(cafile=verify)
    except (OSError, ssl.SSLError) as error:
        raise ScenarioError(f"verify={os.fspath(verify)!r} can't be read as certificates in PEM: {error}") from None
