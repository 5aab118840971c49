"""A storm that breaks a client shrinks to the one injection that does."""

import contextlib
import subprocess
import sys

import pytest
import requests
from hypothesis import Phase, find, given, settings

from fake_servers import FakeServer, Injection, Moment, Response, Scenario, ScenarioError, latency
from fake_servers.faults import Disconnect, HalfClose, Redirect, Refuse, Reset, Stall, Status, WrongCertificate
from fake_servers.latency import Fixed, Uniform
from pytest_httpconc.strategies import drawn, faults, injections, latencies, scenario

PLACE = "POST /orders"
QUICKLY = settings(
    deadline=None, database=None, derandomize=True, max_examples=3000, phases=[Phase.generate, Phase.shrink]
)


def executions(storm, client):
    """How often an order was executed that a client placed once."""
    with FakeServer(scenario=storm) as server:
        server.route(PLACE)(lambda request: Response(status=201))
        with contextlib.suppress(requests.RequestException):
            client(server.url + "/orders")
        return server.ledger.executions(PLACE)


def order(url):
    return requests.post(url, data="tea", timeout=5)


def order_again_when_disconnected(url):
    try:
        return order(url)
    except requests.ConnectionError:
        return order(url)


def order_again_when_unavailable(url):
    answer = order(url)
    return order(url) if answer.status_code == 503 else answer


def test_storm_shrinks_to_the_disconnect_that_is_answered_by_a_resend():
    smallest = find(
        scenario(on=PLACE), lambda storm: executions(storm, order_again_when_disconnected) > 1, settings=QUICKLY
    )
    assert smallest == Scenario([Injection(on=PLACE, fault=Disconnect(at=Moment.EXECUTED), times=1)])


def test_storm_shrinks_to_the_status_that_is_answered_by_a_resend():
    def asks_twice(storm):
        with FakeServer(scenario=storm) as server:
            server.route(PLACE)(lambda request: Response(status=201))
            with contextlib.suppress(requests.RequestException):
                order_again_when_unavailable(server.url + "/orders")
            return server.ledger.count(PLACE) > 1

    storms = scenario(on=["GET /x", PLACE], kinds=[Disconnect, Status])
    smallest = find(storms, asks_twice, settings=QUICKLY)
    assert smallest == Scenario([Injection(on=PLACE, fault=Status(503), times=1)])


def test_storm_without_need_of_a_fault_shrinks_to_nothing():
    assert find(scenario(), lambda storm: True, settings=QUICKLY) == Scenario()


@settings(deadline=None, max_examples=30)
@given(scenario(on=PLACE))
def test_client_that_never_resends_weathers_every_storm(storm):
    assert executions(storm, order) <= 1


def test_smallest_slow_scenario_has_the_shortest_latency():
    slow = find(scenario(kinds=[HalfClose]), lambda storm: any(i.latency for i in storm.injections), settings=QUICKLY)
    assert slow == Scenario([Injection(latency=latency.fixed(0.0), times=1)])


@settings(max_examples=50, deadline=None)
@given(scenario(on=[PLACE, "GET /x"], max_injections=2, latency_up_to=3600.0, max_times=4))
def test_scenarios_keep_to_their_limits(storm):
    assert len(storm.injections) <= 2
    for injection in storm.injections:
        assert (injection.fault is None) != (injection.latency is None)
        assert injection.times is None or 1 <= injection.times <= 4
        assert injection.on in {PLACE, "GET /x"} or injection.meets_connections or injection.meets_listener
        assert max(getattr(injection.latency, name, 0) for name in ("seconds", "high")) <= 3600


@settings(max_examples=50, deadline=None)
@given(injections(latency_up_to=0))
def test_no_latency_is_made_where_none_is_wanted(injection):
    assert injection.latency is None


@settings(max_examples=50, deadline=None)
@given(faults())
def test_faults_that_hold_a_test_up_are_made_on_demand_only(fault):
    assert not isinstance(fault, WrongCertificate)
    assert getattr(fault, "seconds", 0) is not None
    assert getattr(fault, "seconds", 0) <= 0.02


@settings(max_examples=50, deadline=None)
@given(faults(Stall, Redirect("/x"), WrongCertificate, Refuse, seconds_up_to=9.0))
def test_only_the_faults_that_are_named_are_made(fault):
    assert isinstance(fault, (Stall, WrongCertificate, Refuse)) or fault == Redirect("/x")


@settings(max_examples=20, deadline=None)
@given(latencies(0.5))
def test_latencies_keep_to_their_limit(made):
    assert isinstance(made, (Fixed, Uniform))


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: scenario(max_injections=0), "max_injections=0 is out of range; allowed are whole numbers from 1 up"),
        (lambda: scenario(on="orders"), "on='orders' is not a pattern"),
        (lambda: scenario(on=[]), "means no request"),
        (lambda: injections(max_times=0), "max_times=0 is out of range"),
        (lambda: injections(latency_up_to=-1), "out of range; allowed are seconds"),
        (lambda: latencies(-1), "up_to=-1 is out of range; allowed are seconds from 0 up"),
        (lambda: faults(Reset, 503), "503 is no fault; give classes or faults"),
        (lambda: faults(Redirect), "Redirect has settings to be chosen; give one"),
        (lambda: faults(seconds_up_to=0), "seconds_up_to=0 is out of range; allowed are seconds above 0"),
    ],
)
def test_wrong_argument_is_told(make, problem):
    with pytest.raises(ScenarioError, match=problem):
        make()


def test_what_was_drawn_last_is_remembered_alone():
    storms = []
    find(scenario(), lambda storm: storms.append(storm) or True, settings=QUICKLY)
    assert [some.scenario for some in drawn] == storms[-1:]


STORM = """
    import requests
    from fake_servers import FakeServer, Response
    from fake_servers.faults import Disconnect, Status
    from hypothesis import Phase, given, settings
    from pytest_httpconc.strategies import scenario

    @settings(deadline=None, database=None, derandomize=True, max_examples=300, phases=[Phase.generate, Phase.shrink])
    @given(scenario(on="POST /orders", kinds=[Disconnect, Status]))
    def test_order(storm):
        with FakeServer(scenario=storm) as server:
            server.route("POST /orders")(lambda request: Response(status=201))
            try:
                try:
                    requests.post(server.url + "/orders", data="tea", timeout=5)
                except requests.ConnectionError:
                    {again}
            except requests.RequestException:
                pass
            assert server.ledger.executions("POST /orders") <= 1
"""
FILE = "test_failing_storm_is_left_as_the_smallest_scenario.test_order"


def test_failing_storm_is_left_as_the_smallest_scenario(run, pytester):
    result = run(STORM.format(again='requests.post(server.url + "/orders", data="tea", timeout=5)'))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"the scenario is in .httpconc?{FILE}.toml, as Scenario.from_toml*"])
    smallest = Scenario([Injection(on=PLACE, fault=Disconnect(at=Moment.EXECUTED), times=1)])
    assert Scenario.from_toml(pytester.path / ".httpconc" / f"{FILE}.toml") == smallest
    recording = (pytester.path / ".httpconc" / f"{FILE}.json").read_text()
    assert recording.count('"kind": "FakeServer"') == 1
    run(STORM.format(again="pass")).assert_outcomes(passed=1)
    assert [path.name for path in (pytester.path / ".httpconc").iterdir()] == [".gitignore"]


def test_what_is_missing_is_said():
    source = "import sys; sys.modules['hypothesis'] = None; import pytest_httpconc.strategies"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: pytest_httpconc.strategies needs hypothesis; install it by pip install hypothesis"
    )
