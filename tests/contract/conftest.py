"""Shared by the tests of the contract: users' files are run in a process of their own."""

import re
import textwrap
from dataclasses import dataclass

import pytest

SOURCE = """
import asyncio, threading, time
import aiohttp, pytest, requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry
from pytest_httpconc import ClientContract


class Blocking(ClientContract):
    @pytest.fixture
    def client(self):
        with requests.Session() as session:
            yield session

    def call(self, client, url, payload):
        response = client.post(url, json=payload, timeout=30)
        response.raise_for_status()
        return response.json()


class Async(ClientContract):
    @pytest.fixture
    async def client(self):
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            yield session

    async def call(self, client, url, payload):
        async with client.post(url, json=payload) as response:
            return await response.json()

"""


@dataclass
class Mine:
    """A user's contract, and which of its tests are looked at."""

    body: str
    only: str
    base: str = "Blocking"


@dataclass
class Ran:
    """What came of a run of several contracts."""

    result: pytest.RunResult

    @property
    def text(self):
        return self.result.stdout.str()

    def passed(self, name):
        return self._named(name, "PASSED")

    def failed(self, name):
        return self._named(name, "FAILED")

    def codes(self, name):
        """The codes that the tests of a class have found."""
        parts = re.split(r"^_{3,} (Test[^. ]+)\.\S+ _{3,}$", self.text, flags=re.MULTILINE)
        found = zip(parts[1::2], parts[2::2], strict=True)
        return {code for owner, part in found if owner == name for code in re.findall(r"E +(?:\S+: )?(HC\d+) ", part)}

    def _named(self, name, outcome):
        return set(re.findall(rf"::{name}::(test_\S+) {outcome}", self.text))


@pytest.fixture
def run_contracts(run):
    """Run several contracts, by name, in one process."""

    def run_contracts(*arguments, source=SOURCE, plugins=(), ini="", **contracts):
        for name, mine in contracts.items():
            body = textwrap.indent(textwrap.dedent(mine.body), "    ")
            source += f"\n\nclass {name}({mine.base}):\n{body}\n"
        only = " or ".join(f"({name} and ({mine.only}))" for name, mine in contracts.items())
        return Ran(run(source, "-v", *arguments, "-k", only, plugins=plugins, ini=ini))

    return run_contracts
