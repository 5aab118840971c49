"""Findings as text."""

import pytest

from fake_servers.ledger import Closer, Connection, Exchange, Outcome
from pytest_httpconc.findings import CATALOGUE, CheckFailed, Finding
from pytest_httpconc.report.terminal import render, timeline

CONNECTIONS = [
    Connection(number=1, opened_at=0.0, closed_at=0.4, closed_by=Closer.FAULT),
    Connection(number=2, opened_at=0.5),
]
EXCHANGES = [
    Exchange(number=1, connection=1, begun_at=0.1, ended_at=0.4, outcome=Outcome.ENDED_BY_FAULT),
    Exchange(number=2, connection=2, begun_at=0.6, ended_at=1.0, outcome=Outcome.ANSWERED),
]


def test_timeline_has_a_lane_for_each_connection_and_a_bar_for_each_exchange():
    assert timeline(CONNECTIONS, EXCHANGES, width=21).splitlines()[:3] == [
        "timeline of 1.00 s",
        "connection 1   |--1=====x            | closed by fault",
        "connection 2   |          --2=======>| open",
    ]


def test_nothing_has_no_timeline():
    assert timeline([], []) == ""


def test_instant_is_drawn():
    lane = timeline([Connection(number=1, opened_at=5.0)], [], width=10).splitlines()[1]
    assert lane == "connection 1   |----------| open"


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_mark_that_the_legend_explains(outcome):
    ended_at = None if outcome is Outcome.IN_PROGRESS else 1.0
    exchange = Exchange(number=1, connection=1, ended_at=ended_at, outcome=outcome)
    _, lane, legend = timeline([Connection(number=1)], [exchange]).splitlines()
    mark = lane.partition("|")[2].partition("|")[0].strip("1=- ")
    assert len(mark) == 1
    assert f"{mark} " in legend


def test_only_so_many_lanes_are_drawn():
    lines = timeline([Connection(number=n) for n in range(1, 100)], []).splitlines()
    assert lines[-2] == "... and 83 more connections"


def test_finding_reads_like_a_compilers_error():
    finding = Finding(code="HC101", summary="1 connection of 1", evidence=["connection 1: idle"], server="here")
    assert render([finding]).splitlines()[:3] == [
        "HC101 connection still open after the test",
        "  1 connection of 1 (at here)",
        "    connection 1: idle",
    ]
    assert render([finding]).splitlines()[-1] == "  for more: httpconc explain HC101"


def test_long_evidence_is_cut():
    text = render([Finding(code="HC101", summary="", evidence=[f"line {n}" for n in range(50)])])
    assert "line 15" in text
    assert "line 16" not in text
    assert "... and 34 more" in text


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_finding_has_a_hint(code):
    assert "hint: " in render([Finding(code=code, summary="something")])


def test_failure_carries_its_findings():
    finding = Finding(code="HC101", summary="something")
    failure = CheckFailed([finding])
    assert failure.findings == (finding,)
    assert isinstance(failure, AssertionError)
    assert str(failure) == "HC101 connection still open after the test: something"
