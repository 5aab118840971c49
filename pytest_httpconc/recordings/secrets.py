"""What of a request must not lie about in a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from fake_servers.http import RawHeaders

__all__ = ["masked_headers", "masked_values"]

_MASK: Final = "***"
_HEADERS: Final = frozenset(
    {b"authorization", b"proxy-authorization", b"cookie", b"x-api-key", b"api-key", b"x-goog-api-key", b"x-auth-token"}
)
_NAMES: Final = re.compile("key|token|secret|passw|credential", re.IGNORECASE)


def masked_headers(headers: RawHeaders) -> RawHeaders:
    """Header fields with the values of those that carry credentials masked."""
    return tuple((name, _MASK.encode() if name.lower() in _HEADERS else value) for name, value in headers)


def masked_values(variables: Mapping[str, str]) -> dict[str, str]:
    """Environment variables with the values of those that, by their names, are secret masked."""
    return {name: _MASK if _NAMES.search(str(name)) else value for name, value in variables.items()}
