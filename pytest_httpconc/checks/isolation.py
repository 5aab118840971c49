"""Isolation: what one session was answered belongs to another (HC501)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from fake_servers.records import Connection, Exchange
from pytest_httpconc.findings import Finding

__all__ = ["Heard", "Nonce", "find_mixed_answers"]

_LONGEST_SHOWN: Final = 72


@dataclass(frozen=True, slots=True)
class Nonce:
    """A word that belongs to one call: its answer is to contain it, and no other."""

    text: str

    def __str__(self) -> str:
        return self.text

    def is_in(self, answer: object) -> bool:
        """Whether an answer contains it: text, bytes, a response that has one of them, or anything by its repr."""
        if isinstance(answer, (bytes, bytearray)):
            return self.text.encode() in answer
        if isinstance(answer, str):
            return self.text in answer
        parts = [getattr(answer, name, None) for name in ("text", "content", "body", "data")]
        return any(isinstance(p, (str, bytes)) and self.is_in(p) for p in parts) or self.text in repr(answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one of several concurrent sessions was answered.

    Args:
        number: of the session, from 1.
        nonce: the word that its question had and no other.
        events: what came, in order: events, or the one answer. Events with a ``session_id`` are held to it.
    """

    number: int
    nonce: Nonce
    events: Sequence[object]

    @property
    def has_own(self) -> bool:
        """Whether its own word came back."""
        return any(self.nonce.is_in(event) for event in self.events)

    @property
    def ids(self) -> list[str]:
        """The session ids that its events carry, in the order in which they first came."""
        return list(dict.fromkeys(named for event in self.events if (named := _id_of(event)) is not None))


class _Mix(NamedTuple):
    """An event that belongs to another session, or a session to which nothing belongs."""

    session: Heard
    what: str
    event: int | None = None


def find_mixed_answers(
    sessions: Sequence[Heard], *, connections: Sequence[Connection] = (), exchanges: Sequence[Exchange] = ()
) -> list[Finding]:
    """Find sessions that got what belongs to another: its word, its session id, or not their own word at all.

    Args:
        sessions: what each of them was answered, of questions that were all asked together.
        connections: for the timeline, where they are known.
        exchanges: likewise.
    """
    mixes = [mix for session in sessions if (mix := _first_mix(session, sessions)) is not None]
    if not mixes:
        return []
    return [
        Finding(
            code="HC501",
            summary=f"{len(mixes)} of {len(sessions)} sessions got what is not theirs",
            evidence=_side_by_side(mixes),
            connections=connections,
            exchanges=exchanges,
        )
    ]


def _first_mix(session: Heard, sessions: Sequence[Heard]) -> _Mix | None:
    others = [other for other in sessions if other is not session]
    first_ids = {other.ids[0]: other for other in others if other.ids}
    for number, event in enumerate(session.events, 1):
        for other in others:
            if other.nonce.is_in(event):
                return _Mix(session, f"{other.nonce} of session {other.number}", number)
        named = _id_of(event)
        if named is not None and (named != session.ids[0] or named in first_ids):
            owner = f" of session {first_ids[named].number}" if named in first_ids else ""
            return _Mix(session, f"session_id {named}{owner}", number)
    if not session.has_own and any(other.has_own for other in others):
        return _Mix(session, f"no {session.nonce} in any of {len(session.events)} events")
    return None


def _side_by_side(mixes: Iterable[_Mix]) -> list[str]:
    rows = [("session", "asked with", "was answered with"), *map(_row, mixes)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return [f"{number:>{widths[0]}}  {asked:<{widths[1]}}  {answered}" for number, asked, answered in rows]


def _row(mix: _Mix) -> tuple[str, str, str]:
    answered = mix.what
    if mix.event is not None:
        event = mix.session.events[mix.event - 1]
        kind = f" ({event['type']})" if isinstance(event, dict) and "type" in event else ""
        answered += f", in event {mix.event}{kind}: {_shortened(event)}"
    return str(mix.session.number), str(mix.session.nonce), answered


def _id_of(event: object) -> str | None:
    named = event.get("session_id") if isinstance(event, dict) else None
    return None if named is None else str(named)


def _shortened(event: object) -> str:
    shown = event
    if isinstance(event, dict):
        shown = {name: value for name, value in event.items() if name not in {"type", "session_id"}}
    text = shown if isinstance(shown, str) else json.dumps(shown, default=repr)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
