"""`SessionRegistry`: who is being served, and who was."""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from fake_servers.words import Word

__all__ = ["Session", "SessionRegistry", "Status"]

_KEPT: Final = 1000


class Status(Word):
    """How far a session has come."""

    WAITING = "waiting"
    PROCESSING = "processing"
    COMPLETED = "completed"
    ERROR = "error"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One question and what has become of it; instants are in seconds, of the registry's clock."""

    id: str
    question: str
    start_time: float
    status: Status = Status.WAITING
    end_time: float | None = None

    def described(self) -> dict[str, Any]:
        """The session as it stands in a list, without its id."""
        known = {"question": self.question, "start_time": self.start_time, "status": str(self.status)}
        return known if self.end_time is None else {**known, "end_time": self.end_time}


class SessionRegistry:
    """The sessions of a service, in order of arrival; of those that are over, the latest.

    Args:
        clock: tells the time in seconds.
        new_id: makes an id that no other session has.
        keep: how many sessions that are over are kept.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        keep: int = _KEPT,
    ) -> None:
        self._clock = clock
        self._new_id = new_id
        self._keep = keep
        self._sessions: dict[str, Session] = {}
        self._over: deque[str] = deque()

    def begin(self, question: str) -> Session:
        """Enter a new session, which waits."""
        session = Session(id=self._new_id(), question=question, start_time=self._clock())
        self._sessions[session.id] = session
        return session

    def process(self, session_id: str) -> None:
        """A session has its slot; one that is over stays as it is."""
        session = self._sessions.get(session_id)
        if session is not None and session.end_time is None:
            self._sessions[session_id] = replace(session, status=Status.PROCESSING)

    def end(self, session_id: str, status: Status) -> None:
        """A session is over; the first report counts."""
        session = self._sessions.get(session_id)
        if session is None or session.end_time is not None:
            return
        self._sessions[session_id] = replace(session, status=status, end_time=self._clock())
        self._over.append(session_id)
        while len(self._over) > self._keep:
            del self._sessions[self._over.popleft()]

    @property
    def active(self) -> int:
        """How many sessions are not over."""
        return len(self._sessions) - len(self._over)

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._sessions.values()))

    def listed(self) -> dict[str, Any]:
        """The answer to ``GET /sessions``: every session that is known, and how many these are."""
        sessions = {session.id: session.described() for session in self}
        return {"active_sessions": sessions, "total": len(sessions)}
