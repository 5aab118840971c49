"""A load is judged from the server's ledger: each client's pool by itself, and what shows often told once."""

import json
from dataclasses import replace

import pytest

from fake_servers import Connection, Exchange, FakeServer, Ledger, ScenarioError
from fake_servers.ledger import Outcome
from fake_servers.records import Closer
from pytest_httpconc import ClientContract
from pytest_httpconc.contract.making import Maker
from pytest_httpconc.load.judging import Declared, judge, unmarked
from pytest_httpconc.load.marks import Mark, clients_of
from pytest_httpconc.load.serving import fixtures_at, server_for

USER = Declared(user="MyUser", on="POST /**")


def opened(number, at, until=100.0):
    return Connection(number=number, opened_at=at, closed_at=until, closed_by=Closer.CLIENT_FIN if until else None)


def called(number, mark, *, connection, at, took=0.1, status=200, outcome=Outcome.ANSWERED, nonce=None):
    return Exchange(
        number=number,
        connection=connection,
        method="POST",
        target="/call",
        body=json.dumps({"nonce": nonce or mark.next()}).encode(),
        begun_at=at,
        received_at=at,
        executed_at=at,
        first_byte_at=at + took,
        finished_at=at + took if outcome is Outcome.ANSWERED else None,
        ended_at=at + took,
        status=status,
        outcome=outcome,
    )


def codes(connections, exchanges, *declared):
    return [finding.code for finding in judge(Ledger.of(connections, exchanges), declared or [USER])]


def test_clients_with_a_connection_each_are_right():
    one, two = Mark("MyUser"), Mark("MyUser")
    exchanges = [called(n, (one, two)[n % 2], connection=1 + n % 2, at=float(n)) for n in range(1, 11)]
    limits = Declared(user="MyUser", on="POST /**", max_connections=1, one_at_a_time=True)
    assert codes([opened(1, 0.5), opened(2, 0.6)], exchanges, limits) == []


def test_connection_of_another_client_is_none_that_could_have_been_reused():
    one, two = Mark("MyUser"), Mark("MyUser")
    exchanges = [called(1, one, connection=1, at=1.0), called(2, two, connection=2, at=2.0)]
    own = Declared(user="MyUser", on="POST /**", one_at_a_time=True)
    assert codes([opened(1, 0.5), opened(2, 1.5)], exchanges, own) == []
    exchanges[1] = called(2, one, connection=2, at=2.0)
    assert codes([opened(1, 0.5), opened(2, 1.5)], exchanges, own) == ["HC103"]


def test_client_that_is_over_its_limit_is_found_and_one_that_may_not_reuse_is_not():
    mark = Mark("MyUser")
    connections = [opened(1, 0.5), opened(2, 1.5)]
    exchanges = [called(1, mark, connection=1, at=1.0), called(2, mark, connection=2, at=2.0)]
    assert codes(connections, exchanges, Declared(user="MyUser", on="POST /**", max_connections=1)) == [
        "HC104",
        "HC103",
    ]
    assert codes(connections, exchanges, Declared(user="MyUser", on="*", one_at_a_time=True, reuses=False)) == []


def test_connection_that_is_open_when_all_clients_are_closed_has_leaked():
    assert codes([opened(1, 0.5, until=None)], [called(1, Mark("MyUser"), connection=1, at=1.0)]) == ["HC101"]


def resent(mark):
    nonce = mark.next()
    lost = called(1, mark, connection=1, at=1.0, nonce=nonce, status=None, outcome=Outcome.ENDED_BY_FAULT)
    return [lost, called(2, mark, connection=2, at=2.0, nonce=nonce)]


def test_call_that_is_sent_again_is_found_unless_it_may_be():
    connections, exchanges = [opened(1, 0.5, until=1.2), opened(2, 1.5)], resent(Mark("MyUser"))
    assert codes(connections, exchanges) == ["HC201"]
    assert codes(connections, exchanges, Declared(user="MyUser", on="POST /**", idempotent=True)) == []
    assert codes(connections, exchanges, Declared(user="MyUser", on="POST /**", ignore=("HC201",))) == []


def test_answers_that_reached_the_wrong_callers_are_a_finding():
    (finding,) = judge(Ledger.of(), [USER], mixed=3)
    assert (finding.code, finding.summary) == ("HC501", "an answer without the nonce of its call came 3 times")
    assert judge(Ledger.of(), [Declared(user="MyUser", on="*", ignore=("HC501",))], mixed=3) == []


def test_each_class_of_users_is_judged_by_its_own_limits():
    exchanges = resent(Mark("MyUser"))
    other = Declared(user="Other", on="POST /**")
    idempotent = Declared(user="MyUser", on="POST /**", idempotent=True)
    assert codes([opened(1, 0.5, until=1.2), opened(2, 1.5)], exchanges, idempotent, other) == []


def test_what_one_class_passes_over_is_found_with_another():
    connections, exchanges = [opened(1, 0.5, until=1.2), opened(2, 1.5)], resent(Mark("MyUser"))
    other = Declared(user="Other", on="POST /**", ignore=("HC201", "HC501"))
    assert codes(connections, exchanges, USER, other) == ["HC201"]
    assert [finding.code for finding in judge(Ledger.of(), [USER, other], mixed=1)] == ["HC501"]


def test_pool_of_a_client_with_one_call_at_a_time_has_no_need_of_its_limit():
    mark = Mark("MyUser")
    exchanges = [called(n, mark, connection=n, at=float(n)) for n in range(1, 4)]
    connections = [opened(n, n - 0.5) for n in range(1, 4)]
    alone = Declared(user="MyUser", on="*", max_connections=3, one_at_a_time=True)
    assert codes(connections, exchanges, alone) == ["HC103"]
    assert codes(connections, exchanges, replace(alone, one_at_a_time=False)) == []
    assert codes(connections, exchanges, replace(alone, reuses=False)) == []


def test_calls_that_were_never_together_are_found():
    mark = Mark("MyUser")
    exchanges = [called(n, mark, connection=1, at=float(n)) for n in range(1, 5)]
    limits = Declared(user="MyUser", on="POST /**", min_concurrency=2)
    assert codes([opened(1, 0.5)], exchanges, limits) == ["HC401"]


def test_what_shows_often_is_told_once_with_how_often():
    marks = [Mark("MyUser") for _ in range(6)]
    connections = [opened(2 * n + k, 10.0 * n + k) for n in range(6) for k in (1, 2)]
    exchanges = [
        called(2 * n + k, mark, connection=2 * n + k, at=10.0 * n + k + 0.1)
        for n, mark in enumerate(marks)
        for k in (1, 2)
    ]
    (finding,) = judge(Ledger.of(connections, exchanges), [Declared(user="MyUser", on="*", one_at_a_time=True)])
    assert finding.summary.startswith("6 times, the first: 2 connections for 2 requests")
    assert finding.evidence[-1] == "and 2 times more"


def test_nonce_is_found_in_a_target_too_and_its_absence_is_said():
    mark = Mark("KäuferUser")
    käufer = Declared(user="KäuferUser", on="POST /**")
    in_target = Exchange(number=1, connection=1, method="POST", target=f"/make?name={mark.next()}")
    nameless = Exchange(number=2, connection=1, method="POST", target="/make\udcff")  # a byte that is no UTF-8
    assert [len(own) for own in clients_of("KäuferUser", [in_target, nameless]).values()] == [1]
    assert unmarked(Ledger.of([opened(1, 0.0)], [in_target]), [käufer]) == []
    assert unmarked(Ledger.of([opened(1, 0.0)], [nameless]), [käufer]) == ["KäuferUser"]


class OfAServer(ClientContract):
    @pytest.fixture
    def client(self, server):
        return f"client of {server.url} on {server.address} port {server.port}"

    def call(self, client, url, payload):
        return payload


class OfMore(OfAServer):
    @pytest.fixture
    def client(self, server, tmp_path):
        return tmp_path


class WithAServerOfItsOwn(OfAServer):
    @pytest.fixture
    def server(self):
        with FakeServer() as server:
            yield server


def test_client_is_made_without_pytest_as_its_fixture_makes_it():
    with Maker.without_pytest(OfAServer(), fixtures_at("https://10.0.0.5/")).entered() as client:
        assert client == "client of https://10.0.0.5 on 10.0.0.5 port 443"


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Maker.without_pytest(OfMore(), fixtures_at("http://x")), "asks for tmp_path, which pytest alone"),
        (lambda: Maker.without_pytest(ClientContract(), {}), "ClientContract has no fixture 'client' in its class"),
        (lambda: server_for([FakeServer(host="process"), FakeServer()], OfAServer), "2 servers are declared"),
        (lambda: server_for([FakeServer()], OfAServer), "make it with host='process'"),
        (lambda: server_for([None], WithAServerOfItsOwn), "'server' of WithAServerOfItsOwn starts its server itself"),
    ],
)
def test_what_can_not_be_under_load_is_refused(make, problem):
    with pytest.raises(ScenarioError) as refused:
        make()
    assert problem in str(refused.value)


def test_server_of_a_contract_is_one_in_a_process_of_its_own():
    server = server_for([None], OfAServer)
    assert server.is_elsewhere
    assert "*" in server.routes
