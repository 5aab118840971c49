"""The mistakes once made in evaluating, one a function; all else, its arguments too, is the repaired client's."""

from __future__ import annotations

import aiohttp
import requests

from pytest_httpconc.clients.evals import TOTAL_TIMEOUT, evaluate_through


async def blocking_evaluate(*submission: str, **fields: str) -> tuple[float, float]:
    """Mistake: `requests.post` inside `async def`, so that the event loop stands still until the answer comes."""

    async def post(url: str, body: object) -> tuple[int, bytes]:
        response = requests.post(url, json=body, timeout=TOTAL_TIMEOUT)
        return response.status_code, response.content

    reward, speedup, _ = await evaluate_through(post, *submission, **fields)
    return reward, speedup


async def sessionless_evaluate(*submission: str, **fields: str) -> tuple[float, float]:
    """Mistake: a session and a connector for every call, so that no limit applies and no connection is reused."""

    async def post(url: str, body: object) -> tuple[int, bytes]:
        connector = aiohttp.TCPConnector(limit=100, limit_per_host=50)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=TOTAL_TIMEOUT)) as session,
            session.post(url, json=body) as response,
        ):
            return response.status, await response.read()

    reward, speedup, _ = await evaluate_through(post, *submission, **fields)
    return reward, speedup
