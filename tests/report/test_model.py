"""What a report holds of a test."""

import json
import math

import pytest

from fake_servers import ScenarioError
from fake_servers.ledger import Connection, Exchange, Ledger
from pytest_httpconc.findings import Finding
from pytest_httpconc.report.lanes import ServerSeen
from pytest_httpconc.report.model import Figure, Found, Report, TestSeen, Verdict


def rows(table):
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


def test_instants_count_from_the_servers_first_record(resent):
    server = ServerSeen.of(resent).as_dict()
    assert server["span"] == 1.0
    assert [(lane["opened_at"], lane["closed_at"]) for lane in rows(server["lanes"])] == [(0.0, 0.4), (0.5, None)]
    assert [(bar["begun_at"], bar["ended_at"]) for bar in rows(server["bars"])] == [(0.1, 0.4), (0.6, 0.7), (0.8, 1.0)]


def test_bar_tells_what_became_of_its_exchange(resent):
    cut, answered, aborted = rows(ServerSeen.of(resent).as_dict()["bars"])
    assert (cut["outcome"], cut["fault"], cut["status"]) == ("ended by fault", "Disconnect(at=EXECUTED)", None)
    assert (answered["outcome"], answered["fault"], answered["status"]) == ("answered", "", 200)
    assert (aborted["outcome"], aborted["received_at"], aborted["progress"]) == ("aborted by client", None, "part read")
    assert cut["fingerprint"] == answered["fingerprint"] != aborted["fingerprint"]


def test_lane_tells_which_line_opened_it(resent):
    server = ServerSeen.of(resent, opened=lambda connection: f"opened at line {connection.number}").as_dict()
    assert [lane["opened"] for lane in rows(server["lanes"])] == ["opened at line 1", "opened at line 2"]


def test_counts_are_the_ledgers(resent):
    counts = ServerSeen.of(resent).counts
    assert counts["connections"] == 2
    assert counts["open at the end"] == 1
    assert (counts["exchanges"], counts["executions"]) == (3, 2)
    assert counts["makespan"] == pytest.approx(0.6)


def test_server_that_nothing_reached_is_empty():
    server = ServerSeen.of(Ledger.of()).as_dict()
    assert (server["span"], server["lanes"]["rows"], server["bars"]["rows"]) == (0.0, [], [])


def test_finding_names_its_records_by_their_numbers():
    finding = Finding(
        code="HC101",
        summary="one is open",
        evidence=("connection 7: idle",),
        connections=[Connection(number=7)],
        exchanges=[Exchange(number=9, connection=7)],
        server="here",
    )
    found = Found.of(finding)
    assert (found.code, found.statement, found.hint) == ("HC101", finding.statement, finding.hint)
    assert (found.connections, found.exchanges, found.evidence) == ([7], [9], ["connection 7: idle"])


@pytest.mark.parametrize("name", ["value", "low", "high", "baseline_low", "baseline_high"])
@pytest.mark.parametrize("number", [math.inf, math.nan])
def test_number_that_json_does_not_know_is_refused_where_it_is_given(name, number):
    with pytest.raises(ScenarioError, match="'p99' has a number that is not finite"):
        Figure(**({"name": "p99", "value": 1.0} | {name: number}))


def test_report_becomes_json_and_says_its_format(resent):
    figure = Figure(name="speedup", value=4.9, low=4.7, high=5.1, baseline_low=4.5, unit="x", verdict=Verdict.HELD)
    test = TestSeen(name="test", servers=[ServerSeen.of(resent)], figures=[figure])
    content = json.loads(Report(tests=[test.as_dict()], version="1").as_json())
    assert content["format"] == 1
    assert content["tests"] == [test.as_dict()]
    assert content["tests"][0]["figures"][0]["verdict"] == "held"


def test_json_is_ascii_whatever_a_client_has_sent():
    ledger = Ledger.of([Connection(number=1)], [Exchange(number=1, connection=1, target="/\udcff\u2028ü")])
    text = Report(tests=[TestSeen(name="test", servers=[ServerSeen.of(ledger)]).as_dict()]).as_json()
    assert text.isascii()
    assert rows(json.loads(text)["tests"][0]["servers"][0]["bars"])[0]["target"] == "/\udcff\u2028ü"
