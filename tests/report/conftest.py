"""Hand-written evidence for reports."""

from dataclasses import replace

import pytest

from fake_servers import Moment
from fake_servers.faults import Disconnect
from fake_servers.ledger import Closer, Connection, Exchange, Ledger, Outcome
from pytest_httpconc.checks import find_resends
from pytest_httpconc.report.lanes import ServerSeen
from pytest_httpconc.report.model import Found, TestSeen

SERVER = "FakeServer http://127.0.0.1:40123"


def answered(number, connection, begun_at, *, sequence=1, target="/execute", seconds=0.1):
    return Exchange(
        number=number,
        connection=connection,
        sequence=sequence,
        method="POST",
        target=target,
        begun_at=begun_at,
        received_at=begun_at + seconds * 0.1,
        executed_at=begun_at + seconds * 0.2,
        first_byte_at=begun_at + seconds * 0.8,
        finished_at=begun_at + seconds,
        ended_at=begun_at + seconds,
        status=200,
        outcome=Outcome.ANSWERED,
    )


@pytest.fixture
def resent():
    """Two connections: an exchange that a fault ended, sent again; and one that its client aborted."""
    cut = Exchange(
        number=1,
        connection=1,
        method="POST",
        target="/execute",
        begun_at=100.1,
        received_at=100.1,
        executed_at=100.2,
        ended_at=100.4,
        fault=Disconnect(at=Moment.EXECUTED),
        outcome=Outcome.ENDED_BY_FAULT,
    )
    aborted = Exchange(
        number=3,
        connection=2,
        sequence=2,
        target="/slow",
        begun_at=100.8,
        ended_at=101.0,
        outcome=Outcome.ABORTED_BY_CLIENT,
    )
    return Ledger.of(
        [
            Connection(number=1, opened_at=100.0, closed_at=100.4, closed_by=Closer.FAULT, exchanges=1),
            Connection(number=2, opened_at=100.5, exchanges=2, bytes_in=200, bytes_out=300),
        ],
        [cut, answered(2, 2, 100.6), aborted],
    )


@pytest.fixture
def crowd():
    """Make a ledger of many connections that are all kept busy."""

    def ledger(lanes, each):
        return Ledger.of(
            [
                Connection(number=n, opened_at=0.0, closed_at=100.0, closed_by=Closer.CLIENT_FIN, exchanges=each)
                for n in range(1, lanes + 1)
            ],
            [
                answered(lane * each + n + 1, lane + 1, n * 0.2, sequence=n + 1, target=f"/{n}")
                for lane in range(lanes)
                for n in range(each)
            ],
        )

    return ledger


@pytest.fixture
def seen():
    """Make of a ledger, or several, what a report has of a test."""

    def test(*ledgers, name="test_file.py::test_name", **more):
        servers = [ServerSeen.of(ledger, name=SERVER) for ledger in ledgers]
        return TestSeen(name=name, servers=servers, **more).as_dict()

    return test


@pytest.fixture
def resent_test(resent, seen):
    """A failed test in which a request was sent again."""
    findings = [Found.of(replace(finding, server=SERVER)) for finding in find_resends(resent)]
    return seen(resent, name="tests/test_docker.py::test_runs_once", outcome="failed", findings=findings, duration=1.25)
