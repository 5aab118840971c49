"""What the benchmarks that `pytest --benchmark benchmarks` runs have in common."""

import asyncio
import sys
from pathlib import Path

import pytest

from fake_servers import FakeDockerServer, FakeEvalServer

sys.path.insert(0, str(Path(__file__).parent))  # for the modules that the scripts here share

# looptime's plugin asks for the event loop in every test; where none was ever set, asyncio would make one each time.
asyncio.set_event_loop(None)


@pytest.fixture
def docker():
    with FakeDockerServer(host="process") as server:
        yield server


@pytest.fixture
def evals():
    with FakeEvalServer(host="process") as server:
        yield server
