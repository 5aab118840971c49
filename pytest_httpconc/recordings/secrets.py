"""What of an exchange must not lie about in a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from fake_servers.http import Fields, RawHeaders

__all__ = ["masked_fields", "masked_headers", "masked_values"]

_MASK: Final = "***"
#: Of header fields, by their end: an idempotency key is no secret, nor is x-ratelimit-remaining-tokens.
_FIELDS: Final = re.compile("(authorization|cookie|api-?key|token|secret|password|credentials?)$", re.IGNORECASE)
_NAMES: Final = re.compile("key|token|secret|passw|credential", re.IGNORECASE)


def masked_headers(headers: RawHeaders) -> RawHeaders:
    """Header fields with the values of those that carry credentials masked."""
    return tuple((name, _MASK.encode() if _FIELDS.search(name.decode("latin-1")) else value) for name, value in headers)


def masked_fields(fields: Fields) -> Fields:
    """The same for those of an answer, such as ``Set-Cookie``: as long as before, so that each byte has its place."""
    return tuple((name, "*" * len(value) if _FIELDS.search(name) else value) for name, value in fields)


def masked_values(variables: Mapping[str, str]) -> dict[str, str]:
    """Environment variables with the values of those that, by their names, are secret masked."""
    return {name: _MASK if _NAMES.search(str(name)) else value for name, value in variables.items()}
