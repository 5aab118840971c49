"""`ClientContract`: the ready-made suite for anyone's client."""

from __future__ import annotations

from pytest_httpconc.contract.answers import Answers
from pytest_httpconc.contract.concurrency import Concurrency
from pytest_httpconc.contract.connections import Connections
from pytest_httpconc.contract.faults import Faults
from pytest_httpconc.contract.stale import StaleConnections
from pytest_httpconc.contract.sweeps import Sweeps
from pytest_httpconc.contract.timeouts import Timeouts

__all__ = ["ClientContract"]


class ClientContract(Connections, Faults, StaleConnections, Answers, Timeouts, Concurrency, Sweeps):
    """Some fifty tests of a client: subclass it, give it a fixture ``client`` and a method ``call``.

    ::

        class TestMyClient(ClientContract):
            @pytest.fixture
            def client(self):
                with requests.Session() as session:
                    yield session

            def call(self, client, url, payload):
                return client.post(url, json=payload, timeout=30).json()

    Both may be async; no plugin is needed for it. The fixture is entered anew for each test and for each step of a
    sweep. What is meant to hold is said by class attributes: see `Contract`. Checks that make no sense for the client
    are deselected, and the reasons are listed at the end of the run.
    """
