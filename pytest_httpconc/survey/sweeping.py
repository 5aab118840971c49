"""The sweeps of each client: every truncation, and of an async one every cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from fake_servers import FakeServer
from pytest_httpconc.findings import Finding
from pytest_httpconc.survey.adapters import Adapter, Answer, Settings
from pytest_httpconc.survey.stage import new_server
from pytest_httpconc.sweeps import Cancellations, sweep_cancellations, sweep_truncations

__all__ = ["Swept", "cancel_everywhere", "cut_everywhere"]

_TEXT: Final = "hello"


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep has shown.

    Args:
        points: after how many bytes a response was cut, or at how many suspensions a call was cancelled.
        found: code and first occurrence of each finding.
    """

    points: int
    found: tuple[str, ...]


def cut_everywhere(adapter: Adapter) -> Swept:
    """Cut the response to a POST after every byte, with retries off: a resend would have it answered in full."""

    async def post_in_loop(client: Any) -> Answer:
        answer: Answer = await client.post(_TEXT)
        return answer

    def post(client: Any) -> Answer:
        answer: Answer = client.post(_TEXT)
        return answer

    with new_server(adapter, "thread") as server:
        client = _factory(adapter, server, retries=False)
        result = sweep_truncations(server, post_in_loop if adapter.is_async else post, client)
    return Swept(result.size, _told(result.findings))


def cancel_everywhere(adapter: Adapter) -> Swept:
    """Cancel a POST at every suspension, alone, and then with another call beside it if nothing was found.

    It runs in real time: an SDK asks a thread for something first, and a virtual clock would not wait for that.
    Which of the two calls meets a step first is chance, so of what is found beside another only the code is told.
    """
    alone = asyncio.run(_cancelled(adapter, contenders=0))
    if alone.findings:
        return Swept(alone.points, _told(alone.findings))
    beside = asyncio.run(_cancelled(adapter, contenders=1))
    return Swept(alone.points, tuple(f"{finding.code}: beside another call" for finding in beside.findings))


async def _cancelled(adapter: Adapter, *, contenders: int) -> Cancellations:
    async def post(client: Any, nonce: str) -> Answer:
        answer: Answer = await client.post(nonce)
        return answer

    with new_server(adapter, "thread") as server:
        client = _factory(adapter, server, retries=True)
        return await sweep_cancellations(server, post, client, contenders)


def _factory(adapter: Adapter, server: FakeServer, *, retries: bool) -> Callable[[], Any]:
    settings = Settings(url=server.url, retries=retries)
    return lambda: adapter.make(settings)


def _told(findings: tuple[Finding, ...]) -> tuple[str, ...]:
    return tuple(f"{finding.code}: {finding.summary}" for finding in findings)
