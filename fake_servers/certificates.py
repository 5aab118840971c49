"""Certificates for servers on this machine: a right one, and the wrong ones that a client must refuse."""

from __future__ import annotations

import atexit
import shutil
import ssl
import tempfile
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fake_servers.errors import FakeServerError, ScenarioError

if TYPE_CHECKING:
    from trustme import CA, LeafCert

__all__ = ["adopt", "authority", "ca_path", "right", "wrong"]

_LONG_AGO = datetime(2001, 1, 1, tzinfo=timezone.utc)


def ca_path() -> str:
    """Where the certificate of the authority is, in PEM, that every right certificate of this process is signed by.

    Raises:
        FakeServerError: trustme is not installed.
    """
    return _written(_authority("right"))


@cache
def right(address: str) -> ssl.SSLContext:
    """A server's context with a certificate for this address and for localhost.

    Raises:
        ScenarioError: the address can't stand in a certificate.
        FakeServerError: trustme is not installed.
    """
    try:
        return _context(_authority("right").issue_cert(address, "localhost"))
    except UnicodeError as error:  # of idna
        raise ScenarioError(
            f"address={address!r} can't stand in a certificate ({error}); allowed are addresses and names, "
            "as in '127.0.0.1'"
        ) from None


@cache
def wrong(address: str, reason: str) -> ssl.SSLContext:
    """A server's context with a certificate to be refused: ``"name"``, ``"expired"`` or ``"untrusted"``."""
    if reason == "name":
        return _context(_authority("right").issue_cert("elsewhere.invalid"))
    if reason == "expired":
        expired_at = _LONG_AGO + timedelta(days=90)
        certificate = _authority("right").issue_cert(address, not_before=_LONG_AGO, not_after=expired_at)
        return _context(certificate)
    return _context(_authority("untrusted").issue_cert(address, "localhost"))


def authority() -> tuple[bytes, bytes]:
    """Certificate and key, in PEM, of the authority of this process, for `adopt` in another.

    Raises:
        FakeServerError: trustme is not installed.
    """
    known = _authority("right")
    return known.cert_pem.bytes(), known.private_key_pem.bytes()


def adopt(certificate: bytes, key: bytes) -> None:
    """Have the right certificates of this process signed by another's authority."""
    _adopted["right"] = certificate, key


_adopted: dict[str, tuple[bytes, bytes]] = {}


@cache
def _authority(name: str) -> CA:
    try:
        import trustme
    except ImportError as error:
        raise FakeServerError("tls=True needs trustme; install it by pip install 'pytest-httpconc[tls]'") from error
    if name in _adopted:
        return trustme.CA.from_pem(*_adopted[name])
    return trustme.CA(organization_name=f"pytest-httpconc, {name}")


def _context(certificate: LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    context.set_alpn_protocols(["http/1.1"])
    return context


@cache
def _written(authority: CA) -> str:
    folder = tempfile.mkdtemp(prefix="httpconc-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder, "ca.pem")
    authority.cert_pem.write_to_path(str(path))
    return str(path)
