"""Which exchange meets what: after, times, probability, order and seeds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_servers import FakeServer, Injection, Moment, Scenario, ScenarioError, latency
from fake_servers.faults import Disconnect, Refuse, Reset, Stall, Status
from fake_servers.scenario import ScenarioRun


def faults_of(run: ScenarioRun, calls: int, path: str = "/x") -> list[object]:
    """The faults that so many requests meet."""
    plans = [run.plan("GET", path) for _ in range(calls)]
    return [None if plan is None else plan.fault for plan in plans]


def run_of(*injections: Injection, seed: int = 0) -> ScenarioRun:
    return ScenarioRun(Scenario(injections, seed=seed))


def hits(run: ScenarioRun, calls: int, path: str = "/x") -> list[int]:
    """Which of so many requests meet a fault, counted from 0."""
    return [number for number, fault in enumerate(faults_of(run, calls, path)) if fault]


@given(st.integers(0, 5), st.one_of(st.none(), st.integers(1, 5)))
def test_fault_acts_after_some_matches_and_so_many_times(after, times):
    run = run_of(Injection(fault=Reset(), after=after, times=times))
    assert hits(run, 15) == list(range(15))[after:][:times]


def test_only_matching_requests_count():
    run = run_of(Injection(on="GET /x", fault=Reset(), after=1, times=1))
    assert hits(run, 5, "/y") == []
    assert hits(run, 3, "/x") == [1]


def test_first_of_several_faults_acts_and_the_others_keep_their_times():
    first, second = Status(503), Reset()
    run = run_of(Injection(fault=first, times=2), Injection(fault=second, times=1))
    assert faults_of(run, 4) == [first, first, second, None]


def test_latencies_add_up_beside_a_fault():
    run = run_of(Injection(latency=1), Injection(fault=Reset(), latency=2), Injection(on="GET /x", latency=4))
    assert (run.plan("GET", "/x").latency, run.plan("GET", "/y").latency) == (7, 3)
    assert run.plan("GET", "/x").fault == Reset()


def test_request_without_a_plan_is_served_ordinarily():
    assert run_of(Injection(on="GET /x", latency=1)).plan("GET", "/y") is None
    assert run_of(Injection(latency=0)).plan("GET", "/y") is None


@given(st.integers(), st.floats(0.1, 0.9))
def test_same_seed_gives_the_same_run(seed, probability):
    injections = [Injection(fault=Reset(), probability=probability), Injection(latency=latency.uniform(0, 1))]
    first, again = (run_of(*injections, seed=seed) for _ in range(2))
    assert [first.plan("GET", "/x") for _ in range(50)] == [again.plan("GET", "/x") for _ in range(50)]


def test_other_seed_gives_another_run():
    injection = Injection(fault=Reset(), probability=0.5)
    assert len({tuple(hits(run_of(injection, seed=seed), 50)) for seed in range(10)}) == 10


@given(st.lists(st.sampled_from(["/x", "/y"]), max_size=40))
def test_injection_is_not_disturbed_by_what_happens_elsewhere(paths):
    injections = [
        Injection(on="GET /x", fault=Reset(), probability=0.5),
        Injection(on="GET /y", fault=Status(503), probability=0.3),
        Injection(on="GET /x", latency=latency.exponential(1)),
    ]
    mixed, alone = run_of(*injections), run_of(*injections)
    met = [mixed.plan("GET", path) for path in paths]
    assert [plan for plan, path in zip(met, paths, strict=True) if path == "/x"] == [
        alone.plan("GET", path) for path in paths if path == "/x"
    ]


def test_injection_is_not_disturbed_by_one_that_is_put_behind_it():
    injection = Injection(fault=Reset(), probability=0.5)
    alone, joined = run_of(injection), run_of(injection)
    joined.add(Injection(fault=Status(503), probability=0.5))
    assert hits(alone, 40) == [n for n, fault in enumerate(faults_of(joined, 40)) if fault == Reset()]


def test_probability_is_about_kept():
    assert 400 < len(hits(run_of(Injection(fault=Reset(), probability=0.5)), 1000)) < 600


def test_times_bound_what_chance_lets_through():
    assert len(hits(run_of(Injection(fault=Reset(), probability=0.5, times=3)), 100)) == 3


def test_connections_have_injections_of_their_own():
    run = run_of(Injection(fault=Reset(at=Moment.ACCEPT), after=1, times=2), Injection(fault=Stall()))
    assert [run.plan_connection() for _ in range(4)] == [None, Reset(at=Moment.ACCEPT), Reset(at=Moment.ACCEPT), None]
    assert hits(run, 2) == [0, 1]


def test_listener_faults_act_once_when_enough_were_accepted():
    run = run_of(Injection(fault=Refuse(), after=2))
    assert [run.listener_faults(accepted) for accepted in (0, 1, 2, 2, 3)] == [[], [], [Refuse()], [], []]


def test_unmatched_injections_are_told():
    never = Injection(on="GET /never", fault=Reset())
    run = run_of(Injection(fault=Reset(), after=100), never)
    run.plan("GET", "/x")
    assert run.unmatched == [never]


def test_scenario_is_a_value():
    injection = Injection(fault=Reset())
    scenario = Scenario([injection], seed=3)
    assert scenario == Scenario((injection,), seed=3)
    assert scenario.plus(injection).injections == (injection, injection)
    assert scenario.injections == (injection,)
    assert scenario.plus(injection).seed == 3


def test_scenario_of_something_else_is_refused():
    with pytest.raises(ScenarioError, match="is no Injection; write Injection"):
        Scenario([Reset()])


def test_server_follows_its_scenario_and_what_is_injected_later(add_routes, connect):
    scenario = Scenario([Injection(on="GET /hello", fault=Status(503), times=1)], seed=5)
    with add_routes(FakeServer(scenario=scenario)) as server:
        server.inject(Status(429), on="GET /hello", times=2)
        client = connect(server)
        assert [client.ask("/hello").status for _ in range(4)] == [503, 429, 429, 200]
        assert client.ask("/nothing").status == 204
        assert (len(server.scenario.injections), server.scenario.seed, server.unmatched) == (2, 5, [])


def test_injections_made_between_requests_hold_for_the_next(server, raw):
    assert raw.ask("/hello").status == 200
    server.inject(Status(503), times=1)
    assert [raw.ask("/hello").status for _ in range(2)] == [503, 200]


def test_refused_injection_leaves_the_server_as_it_was(server, raw):
    with pytest.raises(ScenarioError):
        server.inject(Disconnect(at=Moment.ACCEPT), on="GET /hello")
    assert server.scenario.injections == ()
    assert raw.ask("/hello").status == 200
