"""What a scenario has decided once is met again, by the k-th request of a method and path, and the k-th connection."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_servers import FakeServer, Injection, Moment, Scenario, latency
from fake_servers.decisions import DecidedRun, Decisions
from fake_servers.faults import Disconnect, Refuse, Reset, Stall, Status
from fake_servers.scenario import Plan, ScenarioRun


def decided(server):
    ledger = server.ledger
    return Decisions.of(server.scenario, ledger.connections, ledger.exchanges, server.listener_acted)


@settings(max_examples=50)
@given(st.lists(st.sampled_from(["/x", "/y"]), max_size=20), st.integers(), st.integers())
def test_requests_meet_what_they_met_whatever_the_seed(paths, seed, other):
    injections = [
        Injection(on="GET /x", fault=Reset(), probability=0.5),
        Injection(on="GET /y", latency=latency.uniform(0, 1)),
    ]
    first = ScenarioRun(Scenario(injections, seed=seed))
    met = [first.plan("GET", path) for path in paths]
    plans = [(path, plan or Plan(None, 0.0)) for path, plan in zip(paths, met, strict=True)]
    parts = {("GET", key): tuple(plan for path, plan in plans if path == key) for key in ("/x", "/y")}
    again = DecidedRun(Scenario(injections, seed=other), Decisions(requests=parts))
    assert [again.plan("GET", path) for path in paths] == met


def test_what_comes_after_the_decisions_meets_the_scenario_as_it_would_have_gone_on():
    scenario = Scenario([Injection(fault=Status(503), after=1, times=2)])
    run = DecidedRun(Scenario(), Decisions(scenario=scenario, requests={("GET", "/x"): ()}))
    assert [plan and plan.fault for plan in (run.plan("GET", "/x") for _ in range(4))] == [
        None,
        Status(503),
        Status(503),
        None,
    ]


def test_own_injections_act_on_nothing_and_are_counted():
    run = DecidedRun(Scenario(), Decisions())
    never = Injection(on="GET /never", fault=Reset())
    run.add(Injection(fault=Reset()))
    run.add(never)
    assert run.plan("GET", "/x") is None
    assert run.unmatched == [never]
    run.remove(never)
    assert run.plans_requests


def test_exchanges_meet_again_what_a_server_has_decided_by_chance(add_routes, connect):
    chance = Scenario([Injection(on="GET /hello", fault=Status(503), probability=0.5)], seed=11)
    with add_routes(FakeServer(scenario=chance)) as server:
        statuses = [connect(server).ask("/hello").status for _ in range(12)]
        decisions = decided(server)
    assert set(statuses) == {200, 503}
    with add_routes(FakeServer(seed=99)) as again:
        again.follow(decisions)
        assert [connect(again).ask("/hello").status for _ in range(12)] == statuses
        again.reset()
        assert [connect(again).ask("/hello").status for _ in range(12)] == statuses


def test_what_was_injected_half_way_acts_where_it_acted(add_routes, connect):
    with add_routes(FakeServer()) as server:
        client = connect(server)
        assert client.ask("/hello").status == 200
        server.inject(Disconnect(), on="GET /hello", times=1)
        server.delay(0.001, on="GET /hello", times=1)
        client.get("/hello")
        assert client.until_close() == b""
        server.ledger.wait_until(lambda ledger: ledger.exchanges[-1].ended_at is not None, timeout=10)
        decisions = decided(server)
    with add_routes(FakeServer()) as again:
        again.follow(decisions)
        client = connect(again)
        assert client.ask("/hello").status == 200
        client.get("/hello")
        assert client.until_close() == b""
        met = again.ledger.exchanges[1]
        assert (met.fault, met.latency) == (Disconnect(), 0.001)
        assert connect(again).ask("/hello").status == 200


def test_connections_and_the_listener_meet_what_they_met(add_routes, connect):
    scenario = Scenario(
        [Injection(fault=Disconnect(at=Moment.ACCEPT), after=1, times=1), Injection(fault=Refuse(0), after=1)]
    )
    with add_routes(FakeServer(scenario=scenario)) as server:
        assert connect(server).ask("/hello").status == 200
        server.ledger.wait_until(lambda ledger: server.listener_acted, timeout=10)
        decisions = decided(server)
    assert decisions.listener == ((1, Refuse(0)),)
    decisions = Decisions(connections=(None, Disconnect(at=Moment.ACCEPT)), listener=decisions.listener)
    with add_routes(FakeServer()) as again:
        again.follow(decisions)
        assert connect(again).ask("/hello").status == 200
        run = again._service.run
        assert run.listener_faults(5) == []
        assert run.plan_connection() == Disconnect(at=Moment.ACCEPT)
        assert run.plan_connection() is None


def test_answers_are_on_the_record_whatever_a_fault_made_of_them(server, raw, over):
    server.inject(Reset(after_bytes=3), on="GET /hello")
    server.inject(Status(503), on="GET /nothing")
    raw.ask("/stream")
    raw.ask("/nothing")
    raw.get("/hello")
    raw.until_reset()
    stream, replaced, cut = (exchange.answer for exchange in over(3))
    assert ([part for _, part in stream.parts], stream.is_stream) == ([b"one ", b"", b"two ", b"three"], True)
    assert replaced is None
    assert (cut.status, [part for _, part in cut.parts], cut.is_stream, cut.is_whole) == (200, [b"hello"], False, True)


def test_answers_are_kept_up_to_a_size(server, connect, monkeypatch):
    monkeypatch.setattr("fake_servers.answers.MOST_KEPT", 12)
    for _ in range(3):
        assert connect(server).ask("/hello").body == b"hello"
    assert [exchange.answer.is_whole for exchange in server.ledger.exchanges] == [True, True, False]
    assert connect(server).ask("/stream").body == b"one two three"
    assert server.ledger.exchanges[-1].answer.is_whole is False


@pytest.mark.parametrize("fault", [Stall(seconds=0), None])
def test_planned_latency_is_on_the_record(server, raw, over, fault):
    server.delay(0.0005, on="GET /hello")
    if fault is not None:
        server.inject(fault, on="GET /hello")
    raw.ask("/hello")
    assert [(exchange.latency, exchange.fault) for exchange in over(1)] == [(0.0005, fault)]
