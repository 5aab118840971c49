"""Sessions that ask all together, each with a word of its own, and what they were answered."""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import aiohttp

from fake_servers import FakeServer, ScenarioError
from fake_servers.deadlines import timeout as time_limit
from fake_servers.server import clock_is_virtual
from pytest_httpconc.checks.isolation import Heard, Nonce, find_mixed_answers
from pytest_httpconc.clients.agent_stream import ask as ask_session
from pytest_httpconc.clients.answers import APIError
from pytest_httpconc.clients.chat import ChatClient
from pytest_httpconc.findings import Finding
from pytest_httpconc.targets import check_target, reachable

__all__ = ["Sessions"]

_STREAM: Final = "POST /chat/stream"
_UNKNOWN: Final = frozenset({404, 405})

Ask = Callable[[str, str], Any]


class Sessions:
    """Concurrent sessions against one target.

    Args:
        target: a fake server, a URL, an aiohttp application or an ASGI app.
        count: how many sessions, 2 or more.
        ask: ``ask(url, question)``, sync or async, which returns events or an answer; by default a session
            of ``/chat/stream``, or, where there is none, a chat completion.
        timeout: seconds that it may take in all, above 0.

    Raises:
        ScenarioError: an argument is out of range.
    """

    def __init__(self, target: Any, *, count: int, ask: Ask | None, timeout: float) -> None:
        check_target(target)
        if isinstance(count, bool) or not isinstance(count, int) or count < 2:
            raise ScenarioError(f"sessions={count!r} is out of range; allowed are whole numbers from 2 up, as in 10")
        if ask is not None and not callable(ask):
            raise ScenarioError(f"ask={ask!r} can't be called; give a function ask(url, question)")
        self._target = target
        self._ask = ask
        self._timeout = timeout
        run = uuid.uuid4().hex[:6]
        self._nonces = [Nonce(f"word-{run}-{number:04d}") for number in range(1, count + 1)]

    async def find_mixed(self) -> list[Finding]:
        """Have all of them ask, and find the answers that are mixed.

        Raises:
            ScenarioError: a session failed, it all took too long, or answers do not tell whose they are.
        """
        before = self._target.ledger.count() if isinstance(self._target, FakeServer) else 0
        with self._overlapping():
            outcomes = await self._outcomes()
        heard = [
            Heard(number=number, nonce=nonce, events=_as_events(outcome))
            for number, (nonce, outcome) in enumerate(zip(self._nonces, outcomes, strict=True), 1)
            if not isinstance(outcome, BaseException)
        ]
        found = find_mixed_answers(heard, **self._evidence(before))
        if not found:
            self._check_judged(outcomes, heard)
        return found

    def _check_judged(self, outcomes: list[Any], heard: list[Heard]) -> None:
        failed = [(n, e) for n, e in enumerate(outcomes, 1) if isinstance(e, BaseException)]
        if failed:
            number, error = failed[0]
            raise ScenarioError(
                f"{len(failed)} of {len(outcomes)} sessions failed, and nothing is proved; session {number}: {error!r}"
            ) from error
        if not any(session.has_own for session in heard):
            raise ScenarioError(
                f"no answer has the word of its question, such as {heard[0].nonce}, and nothing is proved: have the "
                f"service say what it was asked, as an echo does; session 1 was answered {heard[0].events!s:.200}"
            )

    def _evidence(self, before: int) -> dict[str, Any]:
        if not isinstance(self._target, FakeServer):
            return {}
        exchanges = [e for e in self._target.ledger.exchanges if e.number > before]
        used = {e.connection for e in exchanges}
        return {
            "exchanges": exchanges,
            "connections": [c for c in self._target.ledger.connections if c.number in used],
        }

    @contextmanager
    def _overlapping(self) -> Iterator[None]:
        """Have a fake server answer nobody until all have asked; of any other, it is taken on trust."""
        target = self._target
        if self._ask is None and isinstance(target, FakeServer) and _STREAM in target.routes:
            with target.held(until_in_flight=len(self._nonces), on=_STREAM):
                yield
        else:
            yield

    async def _outcomes(self) -> list[Any]:
        """What each session was answered, or the exception that it raised."""
        clock = time_limit(self._timeout)
        try:
            async with clock, reachable(self._target) as url, self._asking() as ask:
                asked = (ask(url, f"What is {nonce}?") for nonce in self._nonces)
                return await asyncio.gather(*asked, return_exceptions=True)
        except (TimeoutError, asyncio.TimeoutError):
            raise ScenarioError(
                f"the sessions took over {self._timeout:g} s; give them longer by timeout=, or have fewer sessions"
            ) from None

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[Callable[[str, str], Any]]:
        """How one session asks, as a coroutine function; blocking calls have a thread each."""
        ask = self._ask
        if ask is None:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
                yield lambda url, question: _ask_by_default(session, url, question)
        elif inspect.iscoroutinefunction(ask) or inspect.iscoroutinefunction(type(ask).__call__):
            yield ask
        else:
            if clock_is_virtual():
                raise ScenarioError(
                    "a blocking ask() can't follow a virtual clock, which would run ahead of it; write 'async def ask'"
                )
            loop, blocking = asyncio.get_running_loop(), ask
            threads = ThreadPoolExecutor(len(self._nonces))
            try:
                yield lambda url, question: loop.run_in_executor(threads, blocking, url, question)
            finally:
                threads.shutdown(wait=False)  # one that still blocks when the time is over must not hold up the test


async def _ask_by_default(session: aiohttp.ClientSession, url: str, question: str) -> Any:
    try:
        return await ask_session(url, question, session=session)
    except APIError as error:
        if error.status not in _UNKNOWN:
            raise
    async with ChatClient(f"{url}/v1") as client:
        answer = await client.complete("agent", [{"role": "user", "content": question}])
    return answer.content


def _as_events(answer: object) -> list[object]:
    return list(answer) if isinstance(answer, (list, tuple)) else [answer]
