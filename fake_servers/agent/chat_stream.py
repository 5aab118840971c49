"""``POST /chat/stream``: a session's events, from ``session_start`` to ``completed``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from fake_servers.agent.sessions import Session, SessionRegistry, Status
from fake_servers.agent.work import NoTurn, Work
from fake_servers.http import Request
from fake_servers.llm.reading import decode, wrong
from fake_servers.llm.sse import data
from fake_servers.validation import Field, read

__all__ = ["ChatSession", "read_question"]

_FIELDS: Final = (Field("question", str),)


def read_question(request: Request) -> tuple[str, dict[str, Any]]:
    """The question of a request, and its configuration: whatever else is in its body.

    Raises:
        Invalid: it is no JSON object with a question that is not empty.
    """
    body = decode(request)
    question = read(body, _FIELDS, at=("body",))["question"]
    if not question.strip():
        wrong(("body", "question"), "the question is empty; ask something, as in {'question': 'What is new?'}")
    del body["question"]
    return question, body


class ChatSession:
    """One session; `end` gives back what it holds, wherever it has come to."""

    def __init__(self, work: Work, session: Session, sessions: SessionRegistry, config: Mapping[str, Any]) -> None:
        self._work = work
        self._session = session
        self._sessions = sessions
        self._config = config

    async def begin(self) -> None:
        """Wait for a turn.

        Raises:
            NoTurn: there was none in time.
        """
        await self._work.begin(self._session.id, self._session.question, self._config)
        self._sessions.process(self._session.id)

    async def events(self) -> AsyncGenerator[bytes, None]:
        """The session as events; a wait for a turn comes after the first, and an error ends them."""
        yield self._event("session_start")
        if not self._work.has_begun:
            try:
                await self.begin()
            except NoTurn as problem:
                self._sessions.end(self._session.id, Status.ERROR)
                yield self._event("error", error=str(problem))
                return
        agent = self._work.agent
        yield self._event("thinking", content=f"thinking about: {agent.question}")
        for result in await self._work.call_tools():
            yield self._event("tool_result", name=result.name, output=result.output, error=result.error)
        await self._work.think()
        yield self._event("answer", content=agent.question, config=_flat(agent.config))
        self._sessions.end(self._session.id, Status.COMPLETED)
        yield self._event("completed")

    def end(self) -> None:
        """Give everything back; a session that has not come to its end was left by its client."""
        self._work.end()
        self._sessions.end(self._session.id, Status.DISCONNECTED)

    def _event(self, kind: str, **fields: Any) -> bytes:
        return data({"type": kind, "session_id": self._session.id, **fields})


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are not nested: nesting that could just be read may be too deep to be written."""
    return {name: value for name, value in config.items() if isinstance(value, (str, int, float, bool))}
