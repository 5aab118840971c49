"""Which names a web page can't have pointed at this machine: those of DNS it can, and read what is served here."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import urlsplit

__all__ = ["is_of_this_machine"]


def is_of_this_machine(authority: str) -> bool:
    """Whether a host, perhaps with a port, is an address, or a name that nobody else can point at this machine."""
    with suppress(ValueError):
        name = urlsplit(f"//{authority}").hostname or ""
        if name in {"localhost", socket.gethostname().lower()}:
            return True
        ip_address(name)
        return True
    return False
