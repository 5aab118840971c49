"""The dashboard without a browser: what it tells, and whom it obeys."""

import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import requests

from fake_servers import FakeServer, FakeServerError, Response, ScenarioError
from fake_servers.decisions import Decisions
from fake_servers.faults import Reset
from pytest_httpconc.dashboard.app import TOKEN_HEADER
from pytest_httpconc.dashboard.controls import Controls
from pytest_httpconc.dashboard.feed import Judge
from pytest_httpconc.dashboard.hosting import Dashboard


@pytest.fixture
def server():
    with FakeServer() as server:
        server.route("GET /")(lambda request: Response())
        yield server


@pytest.fixture
def dashboard(server):
    with Dashboard([server]) as dashboard:
        yield dashboard


@pytest.fixture
def token(dashboard):
    page = requests.get(dashboard.url).text
    return json.loads(page.partition('<script type="application/json" id="data">')[2].partition("</script>")[0])[
        "token"
    ]


@contextmanager
def news(dashboard):
    """The events of a page that is opened now."""
    with requests.get(f"{dashboard.url}events", stream=True, timeout=10) as response:
        lines = response.iter_lines()
        yield (json.loads(line.removeprefix(b"data: ")) for line in lines if line.startswith(b"data: "))


def test_page_is_told_everything_at_first_and_then_what_is_new_alone(server, dashboard):
    with requests.Session() as session:
        session.get(f"{server.url}/?one")
        with news(dashboard) as events:
            first = next(events)
            assert ([row[0] for row in first["bars"]], first["counts"]["exchanges"]) == ([1], 1)
            session.get(f"{server.url}/?two")
            later = next(event for event in events if event["bars"])
            assert [row[0] for row in later["bars"]] == [2]
            assert "injections" not in later
            server.reset()
            assert next(event for event in events if event["begun_anew"])["counts"]["exchanges"] == 0


def test_its_own_traffic_is_in_no_ledger(server, dashboard):
    with news(dashboard) as events:
        next(events)
    assert (server.ledger.count(), server.ledger.total_connections) == (0, 0)


def test_page_of_another_site_can_neither_read_nor_change_anything(server, dashboard, token):
    reset = f"{dashboard.url}servers/0/reset"
    assert requests.post(reset).status_code == 403
    assert requests.post(reset, headers={TOKEN_HEADER: "guessed"}).status_code == 403
    for path in ("", "events", "servers/0/reset"):
        rebound = {"Host": "httpconc.example", TOKEN_HEADER: token}
        assert requests.get(dashboard.url + path, headers=rebound).status_code == 403
    assert requests.post(reset, headers={TOKEN_HEADER: token}).json() == {"problem": ""}
    policy = requests.get(dashboard.url).headers["Content-Security-Policy"]
    assert {"default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'"} <= set(policy.split("; "))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "give a fault"),
        ({"fault": "Foo"}, "fault 'Foo' is not known"),
        ({"fault": "Status(503, {[1]: 2})"}, "can't be read; write it as in"),
        ({"fault": "Reset", "times": "two"}, "times='two' is no number"),
        ({"fault": "Reset", "on": "orders"}, "is not a pattern"),
        ({"seed": "1"}, "seed='1' is not known; allowed are texts for fault, delay, on"),
        ({"times": 2}, "times=2 is not known"),
    ],
)
def test_what_makes_no_sense_is_told_and_changes_nothing(server, dashboard, token, given, problem):
    url = f"{dashboard.url}servers/0/injections"
    assert problem in requests.post(url, json=given, headers={TOKEN_HEADER: token}).json()["problem"]
    for body in ("[", "[" * 60_000):
        assert requests.post(url, data=body, headers={TOKEN_HEADER: token}).status_code == 400
    strange = {TOKEN_HEADER: token, "Content-Type": "application/json; charset=nope"}
    assert requests.post(url, data="{}", headers=strange).status_code == 400
    assert requests.delete(f"{url}/{'9' * 5000}", headers={TOKEN_HEADER: token}).status_code == 404
    assert requests.post(url.replace("/0/", "/1/"), json={}, headers={TOKEN_HEADER: token}).status_code == 404
    assert server.scenario.injections == ()


def test_injection_is_taken_back_by_its_number_and_no_equal_one_with_it(server, dashboard, token):
    server.inject(Reset(), on="GET /x")
    server.inject(Reset(), on="GET /x")
    with news(dashboard) as events:
        numbers = [injection["number"] for injection in next(events)["injections"]]
    kept = server.scenario.injections[0]
    for _ in range(2):  # the second time it is gone, which is no error
        requests.delete(f"{dashboard.url}servers/0/injections/{numbers[1]}", headers={TOKEN_HEADER: token})
        assert server.scenario.injections == (kept,)
        assert server.scenario.injections[0] is kept


@pytest.fixture
def threads():
    """Some threads that take turns as often as can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    with ThreadPoolExecutor(4) as pool:
        yield pool
    sys.setswitchinterval(before)


def test_several_pages_change_a_server_at_once(server, threads):
    controls = Controls(server)
    wanted = [f"GET /{number}" for number in range(200)]
    [*threads.map(lambda on: controls.inject({"fault": "Reset", "on": on}), wanted)]
    assert {injection.on for injection in server.scenario.injections} == {*wanted}
    listed = max(threads.map(lambda _: controls.listed(), range(4)), key=len)
    [*threads.map(lambda injection: controls.take_back(injection["number"]), listed[::2])]
    assert controls.listed() == listed[1::2]


@pytest.mark.parametrize(("host", "count"), [("thread", 400), ("process", 40)])
def test_several_threads_take_back_each_their_own(host, count, threads):
    with FakeServer(host=host) as server:
        for number in range(count):
            server.inject(Reset(), on=f"GET /{number}")
        injections = server.scenario.injections
        [*threads.map(server.take_back, injections[::2])]
        assert server.scenario.injections == injections[1::2]


def test_replay_takes_no_injection(server):
    server.follow(Decisions.of(server.scenario, [], []))
    with pytest.raises(ScenarioError, match="was recorded, and is replayed"):
        Controls(server).inject({"fault": "Reset"})


def test_server_whose_process_has_ended_is_told(server):
    other = FakeServer(host="process").start()
    with Dashboard([server, other]) as dashboard, news(dashboard) as events:
        assert next(event for event in events if event["place"] == 1)["counts"]["exchanges"] == 0
        for child in other._host._children:
            child.kill()
        assert "ended" in next(event for event in events if "ended" in event)["ended"]
    other.stop()


def test_port_that_is_taken_is_told(server):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(FakeServerError, match=f"can't listen on 127.0.0.1:{port}"),
            Dashboard([server], port=port),
        ):
            pass


def test_name_that_is_none_is_told_at_once(server):
    with pytest.raises(FakeServerError, match=r"can't listen on a\.\.b:0"), Dashboard([server], address="a..b"):
        pass
    with pytest.raises(ScenarioError, match="address='' is none"):
        Dashboard([server], address="")


def test_address_with_colons_stands_in_brackets(server):
    with Dashboard([server], address="::1") as dashboard:
        assert dashboard.url.startswith("http://[::1]:")
        assert requests.get(dashboard.url).status_code == 200


def test_name_of_the_machine_may_have_capitals(dashboard, monkeypatch):
    monkeypatch.setattr("fake_servers.authorities.socket.gethostname", lambda: "MyHost")
    for host, status in {"MyHost:1": 200, "myhost": 200, "yourhost": 403}.items():
        assert requests.get(dashboard.url, headers={"Host": host}).status_code == status


def test_judging_rests_ten_times_as_long_as_it_took(server, monkeypatch):
    now = [100.0]

    def slow(ledger):
        now[0] += 2.0
        return [now[0]]

    monkeypatch.setattr("pytest_httpconc.dashboard.feed.time.monotonic", lambda: now[0])
    monkeypatch.setattr("pytest_httpconc.dashboard.feed.find_without_a_test", slow)
    judge = Judge(server.ledger)
    assert judge.find(is_new=True) == [102.0]
    now[0] = 121.9
    assert judge.find(is_new=True) == [102.0]
    now[0] = 122.0
    assert judge.find(is_new=False) == [124.0]  # what had come before
    now[0] = 200.0
    assert judge.find(is_new=False) == [124.0]  # nothing has come since
    judge.begin_anew()
    assert judge.find(is_new=False) == [202.0]


def test_pages_share_what_is_found(server, dashboard, monkeypatch):
    judged = []
    monkeypatch.setattr("pytest_httpconc.dashboard.feed._RESTS", float("inf"))
    monkeypatch.setattr(
        "pytest_httpconc.dashboard.feed.find_without_a_test", lambda ledger: judged.append(ledger) or []
    )
    with news(dashboard) as one, news(dashboard) as other:
        assert next(one)["findings"] == next(other)["findings"] == []
        assert judged == [server.ledger]
