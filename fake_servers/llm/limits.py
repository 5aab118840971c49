"""Requests and tokens a minute: token buckets, and what each provider's headers tell of them."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import Final, NamedTuple

from fake_servers.llm.errors import Provider, Refused
from fake_servers.llm.orders import EPOCH
from fake_servers.llm.scripts import check_count

__all__ = ["Bucket", "RateLimits"]

_ROUNDING: Final = 1e-9


class Bucket:
    """What may be spent: full at first, and filled again evenly, within a minute from empty to full.

    Instants are seconds, from 0 up.
    """

    def __init__(self, per_minute: int) -> None:
        self.limit = per_minute
        self._rate = per_minute / 60
        self._level = float(per_minute)
        self._at = 0.0

    def level(self, now: float) -> float:
        """What may be spent now."""
        return min(float(self.limit), self._level + max(0.0, now - self._at) * self._rate)

    def wait(self, amount: int, now: float) -> float:
        """Seconds until this much may be spent; infinite for more than it ever holds."""
        if amount > self.limit:
            return math.inf
        lacking = amount - self.level(now)
        return lacking / self._rate if lacking > _ROUNDING else 0.0

    def spend(self, amount: int, now: float) -> None:
        """Take this much."""
        self._level = self.level(now) - amount
        self._at = now

    def until_full(self, now: float) -> float:
        """Seconds until it is full."""
        return (self.limit - self.level(now)) / self._rate


class _State(NamedTuple):
    kind: str
    limit: int
    remaining: int
    reset: float


class RateLimits:
    """Both limits of one server, on a clock of seconds from 0 up.

    Args:
        requests: a minute; None for as many as come.
        tokens: a minute, of input and output together.
        time_scale: real seconds to a second of the server's.
    """

    def __init__(self, requests: int | None, tokens: int | None, *, time_scale: float = 1.0) -> None:
        check_count("requests_per_minute", requests)
        check_count("tokens_per_minute", tokens)
        given = {"requests": requests, "tokens": tokens}
        self._buckets = {kind: Bucket(limit) for kind, limit in given.items() if limit is not None}
        self._time_scale = time_scale
        self._begun_at: float | None = None

    def admit(self, tokens: int, instant: float, provider: Provider) -> dict[str, str]:
        """Spend one request and its tokens; return the header fields that tell what is left.

        Raises:
            Refused: a limit is reached; nothing was spent.
        """
        if self._begun_at is None:
            self._begun_at = instant
        now = (instant - self._begun_at) / self._time_scale
        amounts = {"requests": 1, "tokens": tokens}
        waits = {kind: bucket.wait(amounts[kind], now) for kind, bucket in self._buckets.items()}
        worst = max(waits, key=lambda kind: waits[kind], default=None)
        if worst is not None and waits[worst] > 0:
            raise self._refusal(worst, amounts[worst], waits[worst], now, provider)
        for kind, bucket in self._buckets.items():
            bucket.spend(amounts[kind], now)
        return self._headers(now, provider)

    def _refusal(self, kind: str, amount: int, wait: float, now: float, provider: Provider) -> Refused:
        limit = self._buckets[kind].limit
        if math.isinf(wait):
            message = f"Request too large: {limit} {kind} a minute are allowed, and it needs {amount}."
            return Refused(429, message, headers=self._headers(now, provider))
        real = wait * self._time_scale
        message = f"Rate limit reached: {limit} {kind} a minute. Please try again in {real:g} s."
        headers = {"Retry-After": str(math.ceil(real - _ROUNDING))}
        if provider is Provider.OPENAI:
            headers["retry-after-ms"] = str(math.ceil(real * 1000 - _ROUNDING))
        return Refused(429, message, headers=headers | self._headers(now, provider))

    def _headers(self, now: float, provider: Provider) -> dict[str, str]:
        tell = _anthropic_headers if provider is Provider.ANTHROPIC else _openai_headers
        fields: dict[str, str] = {}
        for kind, bucket in self._buckets.items():
            remaining = max(0, math.floor(bucket.level(now) + _ROUNDING))
            fields |= tell(_State(kind, bucket.limit, remaining, bucket.until_full(now) * self._time_scale), now)
        return fields


def _openai_headers(state: _State, now: float) -> dict[str, str]:
    return {
        f"x-ratelimit-limit-{state.kind}": str(state.limit),
        f"x-ratelimit-remaining-{state.kind}": str(state.remaining),
        f"x-ratelimit-reset-{state.kind}": _go_duration(state.reset),
    }


def _anthropic_headers(state: _State, now: float) -> dict[str, str]:
    full_at = datetime.fromtimestamp(EPOCH, timezone.utc) + timedelta(seconds=math.ceil(now + state.reset - _ROUNDING))
    return {
        f"anthropic-ratelimit-{state.kind}-limit": str(state.limit),
        f"anthropic-ratelimit-{state.kind}-remaining": str(state.remaining),
        f"anthropic-ratelimit-{state.kind}-reset": full_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _go_duration(seconds: float) -> str:
    """A duration as OpenAI writes it: ``120ms``, ``1.5s``, ``6m0s``."""
    thousandths = math.ceil(seconds * 1000 - _ROUNDING)
    if thousandths < 1000:
        return f"{thousandths}ms"
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes}m{rest / 1000:g}s" if minutes else f"{rest / 1000:g}s"
