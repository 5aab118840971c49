"""`FakeAgentServer`: an agent behind two protocols, with one of four ways to deal with concurrent requests."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from random import Random
from typing import Any

from fake_servers import latency
from fake_servers.agent.chat_stream import ChatSession, read_question
from fake_servers.agent.completions import Completion
from fake_servers.agent.loops import check_wait_limit
from fake_servers.agent.metrics import NO_METRICS, Metrics
from fake_servers.agent.models import Agent, ConcurrencyModel, Kind, model_of
from fake_servers.agent.sessions import Session, SessionRegistry
from fake_servers.agent.settings import AgentSettings, check_count
from fake_servers.agent.tools import TOOL_LIMIT, ToolManager
from fake_servers.agent.work import Work, Workload
from fake_servers.crossing import asked
from fake_servers.errors import ScenarioError
from fake_servers.http import Request, Response, Stream
from fake_servers.latency import Latency
from fake_servers.llm.errors import error_response
from fake_servers.llm.sse import CONTENT_TYPE
from fake_servers.llm.tokens import digest
from fake_servers.makings import made
from fake_servers.server import FakeServer
from fake_servers.slots import HoldingEvents
from fake_servers.validation import Invalid

__all__ = ["FakeAgentServer"]


class FakeAgentServer(FakeServer):
    """A server of agents: ``POST /v1/chat/completions``, and sessions by ``POST /chat/stream``.

    An agent answers with the question it was asked, after ``duration``. What a request waits for its turn is
    no service time, and it is executed when it has got one.

    Args:
        model: ``"shared"``: one agent for all, without a wait, so that answers are mixed; ``"lock"``: one
            request at a time; ``"semaphore"``: so many at a time, each with a copy of the agent; ``"pool"``:
            so many are let in, and each waits for an instance of the pool.
        max_concurrent: how many requests run at a time with the semaphore (3) or are let in with the pool
            (10, or ``pool_size`` if that is more), 1 or more.
        pool_size: how many instances the pool has, 1 or more (5, or ``max_concurrent`` if that is less).
            With the pool, ``max_concurrent`` must not be less.
        duration: seconds that an agent thinks, or a distribution of them.
        wait_limit: seconds that a request waits for its turn, 0 or more; None for as long as it takes.
        tools: the tools that every request calls first, all together: by name, the seconds that each takes,
            or a distribution of them.
        tool_limit: seconds that one tool may take, above 0.
        options: as for `FakeServer`.

    Raises:
        ScenarioError: an argument is out of range.
    """

    @made
    def __init__(
        self,
        *,
        model: str = "semaphore",
        max_concurrent: int | None = None,
        pool_size: int | None = None,
        duration: float | Latency = 0.0,
        wait_limit: float | None = 300.0,
        tools: Mapping[str, float | Latency] | None = None,
        tool_limit: float = TOOL_LIMIT,
        **options: Any,
    ) -> None:
        if model not in tuple(Kind):
            raise ScenarioError(f"model={model!r} is not known; allowed are {', '.join(Kind)}, as in model='pool'")
        check_wait_limit(wait_limit)
        self._kind = Kind(model)
        self._max_concurrent, self._pool_size = _sizes(self._kind, max_concurrent, pool_size)
        self._tool_limit = ToolManager(limit=tool_limit).limit
        takes = {name: latency.of(seconds) for name, seconds in (tools or {}).items()}
        super().__init__(**options)
        self._load = Workload(
            duration=latency.of(duration),
            tools=takes,
            wait_limit=wait_limit,
            sleep=self._service.sleep,
            time_scale=self._service.time_scale,
            begins=self.begins,
            gives_up=self.gives_up,
        )
        self._starting()

    def _starting(self) -> None:
        self._asked = 0
        self._model: ConcurrencyModel = model_of(
            self._kind, self._new_agent, max_concurrent=self._max_concurrent, pool_size=self._pool_size
        )
        self._sessions = SessionRegistry(clock=self._recorder.clock, new_id=self._new_id)
        self._metrics = self._new_metrics()

    def _forget(self, *arguments: Any) -> None:
        super()._forget(*arguments)
        self._starting()

    def _set_up(self) -> None:
        self.route("POST /v1/chat/completions", queues=True)(self._complete)
        self.route("POST /chat/stream", queues=True)(self._chat)
        self.route("GET /health")(self._health)
        self.route("GET /sessions")(self._list_sessions)
        self.route("GET /metrics")(self._tell_metrics)

    def _describe_error(self, request: Request, status: int, message: str) -> Response:
        if request.path.startswith("/v1/"):
            return error_response(request, status, message)
        return super()._describe_error(request, status, message)

    def _needs_one_process(self) -> str | None:
        return "each process would have agents, slots and sessions of its own"

    @asked
    def sessions(self) -> tuple[Session, ...]:
        """Those of ``/chat/stream``, in order of arrival; of those that are over, the latest 1,000."""
        return tuple(self._sessions)

    @asked
    def active_sessions(self) -> int:
        """How many sessions are not over."""
        return self._sessions.active

    @asked
    def active_requests(self) -> int:
        """How many requests were let in and are not over; without a limit, all."""
        return self._model.active

    # -- requests ------------------------------------------------------------------------------------------

    async def _complete(self, request: Request) -> Response | Stream:
        return await Completion(request, self._new_work(request), seed=self.scenario.seed).answer()

    async def _chat(self, request: Request) -> Response | Stream:
        work = self._new_work(request)
        try:
            question, config = read_question(request)
        except Invalid as problem:
            return problem.response()
        chat = ChatSession(work, self._sessions.begin(question), self._sessions, config)
        if self._model.is_free:
            await chat.begin()
        return Stream(HoldingEvents(chat.events(), chat.end), content_type=CONTENT_TYPE)

    def _health(self, request: Request) -> Response:
        return Response.json(
            {
                "status": "healthy",
                "active_requests": self._model.active,
                "pool_size": self._pool_size,
                "agent_config_initialized": True,
                "active_sessions": self._sessions.active,
                "lock_acquired": self._kind is Kind.LOCK and not self._model.is_free,
            }
        )

    def _list_sessions(self, request: Request) -> Response:
        return Response.json(self._sessions.listed())

    def _tell_metrics(self, request: Request) -> Response:
        if self._metrics is None:
            return self._describe_error(request, 501, NO_METRICS)
        return Response(self._metrics.text(), content_type=self._metrics.content_type)

    # -- what is made for each -----------------------------------------------------------------------------

    def _new_work(self, request: Request) -> Work:
        self._asked += 1
        if self._metrics is not None:
            self._metrics.requests.inc()
        return Work(request, self._model, self._load, Random(f"{self.scenario.seed}/{self._asked}"))

    def _new_agent(self) -> Agent:
        return Agent(ToolManager(limit=self._tool_limit * self._service.time_scale))

    def _new_id(self) -> str:
        return str(uuid.UUID(digest(self.scenario.seed, "session", self._asked)[:32]))

    def _new_metrics(self) -> Metrics | None:
        model = self._model
        try:
            return Metrics(active=lambda: model.active, usage=lambda: model.usage)
        except ImportError:
            return None


def _sizes(kind: Kind, max_concurrent: int | None, pool_size: int | None) -> tuple[int, int]:
    """Both sizes, the defaults such that they fit; that they have to is the rule of the pool alone."""
    for name, value in (("max_concurrent", max_concurrent), ("pool_size", pool_size)):
        if value is not None:
            check_count(name, value)
    if kind is not Kind.POOL:
        return max_concurrent or 3, pool_size or 5
    most = max_concurrent or max(10, pool_size or 0)
    settings = AgentSettings(max_concurrent=most, pool_size=pool_size or min(5, most))
    return settings.max_concurrent, settings.pool_size
