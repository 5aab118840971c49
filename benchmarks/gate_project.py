"""The project on which benchmarks/gate.py runs the gate; what is wrong with its clients, ``REGRESSION`` names."""

import asyncio
import os
from contextlib import asynccontextmanager

import aiohttp
import requests

from fake_servers import Injection, Scenario
from fake_servers.faults import Status
from pytest_httpconc import Side

REGRESSION = os.environ.get("REGRESSION", "")
EXTRA = int(os.environ.get("EXTRA", "0"))
FLAKY = Scenario(injections=(Injection(fault=Status(503), times=5),))


@asynccontextmanager
async def evaluator():
    limit = 5 if REGRESSION == "pool limit 50 to 5" else 50
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=limit)) as session:
        yield session, asyncio.Lock()


async def ask(session, url):
    async with session.post(f"{url}/evaluate", json={"instance_id": "task"}) as response:
        return await response.json()


async def evaluate(client, url):
    session, lock = client
    if REGRESSION == "loop blocked":
        return requests.post(f"{url}/evaluate", json={"instance_id": "task"}, timeout=10).json()
    if REGRESSION == "session per call":
        async with aiohttp.ClientSession() as fresh:
            return await ask(fresh, url)
    if REGRESSION == "lock around the call":
        async with lock:
            return await ask(session, url)
    if REGRESSION == "20 % more CPU":
        return await dearer(session, url)
    return await ask(session, url)


async def dearer(session, url):
    """As `ask`, and as much work again as ``EXTRA`` says."""
    answer = await ask(session, url)
    for number in range(EXTRA):
        str(number)
    return answer


async def evaluate_patiently(client, url):
    session, _ = client
    for _ in range(2 if REGRESSION == "one retry added" else 1):
        async with session.post(f"{url}/evaluate", json={"instance_id": "task"}) as response:
            await response.read()
            if response.status == 200:
                break


def post(session, url):
    session.post(f"{url}/execute", json={"command": "true"}, timeout=10).json()


def post_anew(url):
    requests.post(f"{url}/execute", json={"command": "true"}, timeout=10).json()


def test_evaluations(httpconc_benchmark):
    httpconc_benchmark.run(Side(evaluate, evaluator), calls=50, concurrency=50, latency=0.02)


def test_failed_evaluations(httpconc_benchmark):
    httpconc_benchmark.run(Side(evaluate_patiently, evaluator), calls=50, concurrency=10, latency=0.005, scenario=FLAKY)


def test_commands(httpconc_benchmark):
    httpconc_benchmark.compare(Side(post, requests.Session), post_anew, calls=20, concurrency=2, latency=0.002)
