"""Hand-written records: each exchange takes a second, unless a test says otherwise."""

import pytest

from fake_servers.ledger import Connection, Exchange, Outcome


@pytest.fixture
def exchange():
    def exchange(number, *, at=None, connection=1, seconds=1.0, outcome=Outcome.ANSWERED, **fields):
        begun = float(number) * 10 if at is None else float(at)
        end = begun + seconds
        answered = outcome is Outcome.ANSWERED
        defaults = {
            "method": "POST",
            "target": "/execute",
            "body": b"same",
            "begun_at": begun,
            "received_at": begun,
            "executed_at": begun,
            "first_byte_at": end if answered else None,
            "finished_at": end if answered else None,
            "ended_at": None if outcome is Outcome.IN_PROGRESS else end,
            "status": 200 if answered else None,
        }
        return Exchange(number=number, connection=connection, outcome=outcome, **{**defaults, **fields})

    return exchange


@pytest.fixture
def connection():
    def connection(number, opened_at=0.0, closed_at=None, closed_by=None, **fields):
        return Connection(number=number, opened_at=opened_at, closed_at=closed_at, closed_by=closed_by, **fields)

    return connection
