"""What all adapters take and give."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Answer", "Settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a client is to be made.

    Args:
        url: of the server, without a slash at the end.
        retries: whether its retries stay as they are by default; else its usual no-retry settings are used.
        timeout: in seconds, for connecting and for each wait; None leaves it as it is by default.
    """

    url: str
    retries: bool = True
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client has returned: the status, as far as it tells, and what it has read."""

    status: int
    text: str
