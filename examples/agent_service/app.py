"""A small service of agents: each question is worked at by a pipeline of its own, with a model and a container.

    LLM_URL=http://127.0.0.1:8081 DOCKER_URL=http://127.0.0.1:8082 adev runserver examples/agent_service

It serves ``POST /chat/stream``, ``GET /health`` and ``GET /sessions``; PIPELINE_POOL_SIZE and
MAX_CONCURRENT_REQUESTS say how much it does at a time. See README.md.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from fake_servers.agent import (
    AgentSettings,
    ConcurrencyLimiter,
    NoSlot,
    PipelinePool,
    Session,
    SessionRegistry,
    ToolManager,
)
from fake_servers.agent.sessions import Status

WAIT_LIMIT = 300.0
MODEL = "gpt-4o"
IMAGE = "python:3.11-slim"


class Pipeline:
    """Works at one question at a time; two requests that share one mix their answers."""

    def __init__(self, llm_url: str, docker_url: str) -> None:
        self._llm_url = llm_url
        self._docker_url = docker_url
        self._tools = ToolManager()
        self.question = ""

    async def run(self, http: aiohttp.ClientSession, question: str) -> AsyncGenerator[dict[str, Any], None]:
        """Yield what it has found out, as events without a session."""
        self.question = question
        yield {"type": "thinking", "content": self.question}
        async with self._container(http) as execute:
            results = await self._tools.run(
                {
                    "echo": lambda: execute(f"echo {shlex.quote(self.question)}"),
                    "where": lambda: execute("pwd"),
                }
            )
        for result in results:
            yield {"type": "tool_result", "name": result.name, "output": result.output, "error": result.error}
        yield {"type": "answer", "content": await self._ask(http)}

    async def _ask(self, http: aiohttp.ClientSession) -> str:
        body = {"model": MODEL, "messages": [{"role": "user", "content": self.question}]}
        answer = await _post(http, f"{self._llm_url}/v1/chat/completions", body)
        return str(answer["choices"][0]["message"]["content"])

    @asynccontextmanager
    async def _container(self, http: aiohttp.ClientSession) -> AsyncIterator[Callable[[str], Any]]:
        started = await _post(http, f"{self._docker_url}/start", {"config": {"image": IMAGE}})
        container = {"container_id": started["container_id"]}

        async def execute(command: str) -> str:
            done = await _post(http, f"{self._docker_url}/execute", {**container, "command": command})
            return str(done["output"])

        try:
            yield execute
        finally:
            await _post(http, f"{self._docker_url}/cleanup", container)


class AgentService:
    """The service's state: its pipelines, who may run, and who is being served."""

    def __init__(self, pool: PipelinePool[Pipeline], limiter: ConcurrencyLimiter) -> None:
        self._pool = pool
        self._limiter = limiter
        self._sessions = SessionRegistry()

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """``POST /chat/stream``."""
        question = await _question(request)
        session = self._sessions.begin(question)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        try:
            await response.prepare(request)
            async with aclosing(self._events(request, session)) as events:
                async for event in events:
                    line = json.dumps({**event, "session_id": session.id})
                    await response.write(f"data: {line}\n\n".encode())
            await response.write_eof()
        finally:
            self._sessions.end(session.id, Status.DISCONNECTED)
        return response

    async def _events(self, request: web.Request, session: Session) -> AsyncGenerator[dict[str, Any], None]:
        yield {"type": "session_start"}
        try:
            async with (
                self._limiter.slot(wait_limit=WAIT_LIMIT),
                self._pool.instance(session.id, wait_limit=WAIT_LIMIT) as pipeline,
                aclosing(pipeline.run(request.app[HTTP], session.question)) as found,
            ):
                self._sessions.process(session.id)
                async for event in found:
                    yield event
        except (NoSlot, aiohttp.ClientError) as error:
            self._sessions.end(session.id, Status.ERROR)
            yield {"type": "error", "error": str(error) or f"no slot within {WAIT_LIMIT:g} s"}
        else:
            self._sessions.end(session.id, Status.COMPLETED)
            yield {"type": "completed"}

    async def health(self, request: web.Request) -> web.Response:
        """``GET /health``."""
        counts = {"active_requests": self._limiter.active, "active_sessions": self._sessions.active}
        return web.json_response({"status": "healthy", "pool_size": self._pool.size, **counts})

    async def sessions(self, request: web.Request) -> web.Response:
        """``GET /sessions``."""
        return web.json_response(self._sessions.listed())


HTTP = web.AppKey("HTTP", aiohttp.ClientSession)


async def _question(request: web.Request) -> str:
    try:
        body = await request.json()
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"the body is no JSON: {error}") from None
    question = body.get("question") if isinstance(body, dict) else None
    if not isinstance(question, str) or not question.strip():
        raise web.HTTPUnprocessableEntity(text="'question' has to be a text that is not empty")
    return question


async def _post(http: aiohttp.ClientSession, url: str, body: object) -> Any:
    async with http.post(url, json=body) as response:
        response.raise_for_status()
        return await response.json()


async def _clients(app: web.Application) -> AsyncIterator[None]:
    """One session for all requests, for as long as the service runs."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1830)) as app[HTTP]:
        yield


def app_factory() -> web.Application:
    """The service as `adev runserver` runs it: it says what it does."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return create_app()


def create_app(pool: PipelinePool[Pipeline] | None = None) -> web.Application:
    """The service, with its settings from the environment; ``pool`` may be another."""
    settings = AgentSettings.from_environment()
    llm_url = os.environ.get("LLM_URL", "http://127.0.0.1:8081")
    docker_url = os.environ.get("DOCKER_URL", "http://127.0.0.1:8082")
    if pool is None:
        pool = PipelinePool(lambda: Pipeline(llm_url, docker_url), pool_size=settings.pool_size)
    service = AgentService(pool, ConcurrencyLimiter(max_concurrent=settings.max_concurrent))
    app = web.Application()
    app.cleanup_ctx.append(_clients)
    app.router.add_post("/chat/stream", service.chat)
    app.router.add_get("/health", service.health)
    app.router.add_get("/sessions", service.sessions)
    return app
