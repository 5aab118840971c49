"""Who may ask: keys, as bearer or in ``x-api-key``."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from fake_servers.errors import ScenarioError
from fake_servers.http import Request
from fake_servers.llm.errors import Refused

__all__ = ["Access"]


class Access:
    """The keys that are accepted.

    Args:
        keys: all of them; None for any key or none.

    Raises:
        ScenarioError: they are no keys.
    """

    def __init__(self, keys: Collection[str] | None = None) -> None:
        if keys is not None and not _are_keys(keys):
            raise ScenarioError(
                f"api_keys={keys!r} are no keys; allowed are None (any or none) or one string at least, "
                "as in api_keys=['sk-test']"
            )
        self._keys = None if keys is None else frozenset(keys)

    def check(self, request: Request) -> None:
        """Refuse a request that has none of the keys.

        Raises:
            Refused: it has none.
        """
        if self._keys is None:
            return
        given = request.headers.get("x-api-key") or _bearer(request)
        if not given:
            raise Refused(401, "You didn't provide an API key.", code="missing_api_key")
        if given not in self._keys:
            raise Refused(401, f"Incorrect API key provided: {given[:2]}***.")


def _bearer(request: Request) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _are_keys(keys: Any) -> bool:
    if isinstance(keys, str) or not isinstance(keys, Collection) or not keys:
        return False
    return all(isinstance(key, str) and key for key in keys)
