"""An exchange in one line: one text for terminals, for files and for eyes alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from fake_servers import FakeServer, FakeServerError
from fake_servers.records import Exchange, Outcome
from fake_servers.words import Word
from pytest_httpconc.durations import duration
from pytest_httpconc.printable import printable

__all__ = ["Part", "Tone", "error_in_words", "exchange_in_words", "in_plain", "state_in_words"]

_CLIENT_ERROR: Final = 400


class Tone(Word):
    """What a part of a line is, for whoever colours it."""

    PLAIN = "plain"
    QUIET = "quiet"
    GOOD = "good"
    BAD = "bad"
    FAULT = "fault"


class Part(NamedTuple):
    """A part of a line."""

    text: str
    tone: Tone = Tone.PLAIN


def exchange_in_words(exchange: Exchange, *, url: str = "") -> list[Part]:
    """What became of an exchange that is over.

    Args:
        exchange: the exchange.
        url: of its server, where there are several.
    """
    how = f"{exchange.status} {exchange.outcome}" if exchange.status else str(exchange.outcome)
    is_good = exchange.outcome is Outcome.ANSWERED and (exchange.status or 0) < _CLIENT_ERROR
    parts = [
        Part(f"{exchange.number} on connection {exchange.connection}: ", Tone.QUIET),
        Part(printable(f"{exchange.method} {url}{exchange.target}")),
        Part(", "),
        Part(how, Tone.GOOD if is_good else Tone.BAD),
    ]
    if exchange.ended_at is not None:
        parts.append(Part(f" in {duration(exchange.ended_at - exchange.begun_at)}"))
    if exchange.fault is not None:
        parts += [Part(", "), Part(printable(str(exchange.fault)), Tone.FAULT)]
    if exchange.latency:
        parts.append(Part(f", latency {duration(exchange.latency)}"))
    return parts


def error_in_words(error: FakeServerError, *, url: str = "") -> list[Part]:
    """What has gone wrong in a server itself.

    Args:
        error: one of its errors.
        url: of the server, where there are several.
    """
    where = f"error of {url}: " if url else "error: "
    return [Part(where, Tone.BAD), Part(printable(" ".join(str(error).split())))]


def state_in_words(servers: Iterable[FakeServer]) -> str:
    """How it stands, in one line."""
    ledgers = [server.ledger for server in servers]

    def total(name: str) -> str:
        return f"{sum(getattr(ledger, name) for ledger in ledgers):,}"

    return (
        f"connections: {total('open_connections')} open, {total('total_connections')} in all · in flight: "
        f"{total('in_flight')} · exchanges: {sum(ledger.count() for ledger in ledgers):,} · "
        f"executions: {sum(ledger.executions() for ledger in ledgers):,}"
    )


def in_plain(parts: Iterable[Part]) -> str:
    """Without tones."""
    return "".join(part.text for part in parts)
