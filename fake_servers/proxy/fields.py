"""Header fields on their way through a proxy: those of one connection stay behind (RFC 9110, section 7.6.1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from fake_servers.http import RawHeaders, RelayedFields, Request, has_body
from fake_servers.proxy.upstream import Upstream

__all__ = ["offers_upgrade", "other_codings", "relayed", "requested", "target_of"]

Fields = Iterable[tuple[bytes, bytes]]

_OF_A_CONNECTION: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade", b"transfer-encoding"}
)
_FRAMING: Final = frozenset({b"content-length", b"trailer"})
_CHUNKED: Final = (b"Transfer-Encoding", b"chunked")


def requested(request: Request, upstream: Upstream, *, keep_host: bool) -> list[tuple[bytes, bytes]]:
    """A request's fields as the upstream gets them: in case and order as they came.

    Its body has been read, and its ``Expect`` been answered. Its framing stays what it was.
    """
    dropped = _dropped(request.raw_headers) | {b"expect"}
    is_chunked = any(name.lower() == b"transfer-encoding" for name, _ in request.raw_headers)
    fields = [(name, value) for name, value in request.raw_headers if name.lower() not in dropped]
    if not keep_host or not any(name.lower() == b"host" for name, _ in fields):
        fields = _with_host(fields, upstream.authority.encode())
    if is_chunked:
        fields.append(_CHUNKED)
    if offers_upgrade(request):
        fields += [(b"Connection", b"Upgrade"), (b"Upgrade", request.headers["Upgrade"].encode("latin-1"))]
    elif not request.keep_alive:
        fields.append((b"Connection", b"close"))
    return fields


def _with_host(fields: list[tuple[bytes, bytes]], host: bytes) -> list[tuple[bytes, bytes]]:
    others = [(name, host if name.lower() == b"host" else value) for name, value in fields]
    return others if any(name.lower() == b"host" for name, _ in others) else [(b"Host", host), *others]


def offers_upgrade(request: Request) -> bool:
    """Whether a client offers to speak something else from now on (RFC 9110, section 7.8)."""
    return b"upgrade" in _options(request.raw_headers) and "Upgrade" in request.headers


def relayed(request: Request, status: int, fields: RawHeaders, upstream: Upstream, *, secure: bool) -> RelayedFields:
    """A response's fields as the client gets them; what frames its body is the server's own.

    A ``Location`` in the upstream's own origin, or a path that begins with its prefix, leads to the same at this proxy.
    """
    framed = has_body("", status)
    dropped = _dropped(fields) | (_FRAMING if framed else frozenset())
    kept = [(name, value) for name, value in fields if name.lower() not in dropped]
    if status == 101:
        kept += [(b"Connection", b"Upgrade"), *((name, value) for name, value in fields if name.lower() == b"upgrade")]
    texts = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in kept)
    host = request.headers.get("Host")
    if host is None or _is_absolute(request.target):
        return RelayedFields(texts)
    own = f"{'https' if secure else 'http'}://{host}"
    return RelayedFields(
        (name, _moved(value, upstream, own) if name.lower() == "location" else value) for name, value in texts
    )


def _moved(location: str, upstream: Upstream, own: str) -> str:
    rest = _behind(upstream.origin + upstream.prefix, location)
    if rest is not None:
        return own + rest
    rest = _behind(upstream.prefix, location) if upstream.prefix else None
    if rest is None:
        return location
    path = rest if rest.startswith("/") else f"/{rest}"
    return own + path if path.startswith("//") else path  # which alone would name another server


def _behind(begin: str, location: str) -> str | None:
    """What comes behind a path's beginning; None where it is another path."""
    rest = location[len(begin) :]
    return rest if location.startswith(begin) and rest[:1] in {"", "/", "?", "#"} else None


def _is_absolute(target: str) -> bool:
    return not target.startswith("/") and "://" in target.partition("?")[0]


def other_codings(request: Request) -> str:
    """The transfer codings of a request's body, where they are more than ``chunked`` (RFC 9112, section 6.1)."""
    values = (value.decode("latin-1") for name, value in request.raw_headers if name.lower() == b"transfer-encoding")
    codings = ", ".join(values)
    return "" if codings.strip().lower() in {"", "chunked"} else codings


def _dropped(fields: Fields) -> frozenset[bytes]:
    return _OF_A_CONNECTION | _options(fields)


def _options(fields: Fields) -> frozenset[bytes]:
    """What ``Connection`` names: fields that are for this connection only."""
    values = [value for name, value in fields if name.lower() == b"connection"]
    return frozenset(option.strip().lower() for value in values for option in value.split(b","))


def target_of(request: Request, upstream: Upstream, own: str) -> bytes | None:
    """The request's target at the upstream; None if it names another server (RFC 9112, section 3.2).

    Args:
        request: the request; its target names a server where the client was given the proxy as its ``HTTP_PROXY``.
        upstream: the upstream.
        own: host and port of the proxy.
    """
    target, prefix = request.target, upstream.prefix
    if _is_absolute(target):
        parts = urlsplit(target)
        if parts.netloc.lower() in {upstream.authority.lower(), f"{upstream.host}:{upstream.port}".lower()}:
            prefix = ""
        elif parts.netloc != own:
            return None
        target = parts._replace(scheme="", netloc="", path=parts.path or "/").geturl()
    if target != "*":
        target = prefix + target
    return target.encode("utf-8", "surrogateescape")
