"""Holding answers back until enough requests are in flight."""

from __future__ import annotations

import threading

import pytest

from fake_servers import FakeServer, ScenarioError

pytestmark = pytest.mark.usefixtures("any_loop")


def test_answers_are_held_until_enough_wait(server, connect):
    hold = server.hold(until_in_flight=3, give_up=30, on="GET /hello")
    clients = [connect() for _ in range(3)]
    for client in clients[:2]:
        client.get("/hello")
    server.ledger.wait_until(lambda ledger: ledger.executions() == 2)
    assert clients[0].hears_nothing()
    assert repr(hold) == "<Rendezvous 'GET /hello': 2 of 3>"
    clients[2].get("/hello")
    assert [client.reply().body for client in clients] == [b"hello"] * 3
    assert (hold.reached, hold.gave_up, hold.most_together) == (True, False, 3)
    assert server.ledger.peak_in_flight == 3


def test_hold_for_a_block_holds_nothing_after_its_end(server, raw, connect):
    with server.held(until_in_flight=2, give_up=30, on="GET /hello") as hold:
        clients = [connect() for _ in range(2)]
        for client in clients:
            client.get("/hello")
        assert [client.reply().status for client in clients] == [200] * 2
        assert server.holds == (hold,)
    with server.held(until_in_flight=2, give_up=30):
        pass
    assert server.holds == ()
    assert raw.ask("/hello").status == 200


def test_hold_stays_open_once_it_opened(server, raw):
    server.hold(until_in_flight=1, give_up=30)
    assert [raw.ask("/hello").status for _ in range(3)] == [200] * 3


def test_serial_client_never_gets_there(server, raw):
    hold = server.hold(until_in_flight=2, give_up=0.01)
    assert [raw.ask("/hello").status for _ in range(3)] == [200] * 3
    assert (hold.reached, hold.gave_up, hold.most_together) == (False, True, 1)
    assert server.holds == (hold,)


def test_pipelined_requests_are_not_in_flight_together_at_the_hold(server, raw):
    hold = server.hold(until_in_flight=2, give_up=0.01)
    raw.send(b"GET /hello HTTP/1.1\r\n\r\n" * 2)
    assert [raw.reply().status for _ in range(2)] == [200] * 2
    assert hold.most_together == 1


def test_other_requests_pass_a_hold(server, connect):
    server.hold(until_in_flight=2, give_up=30, on="GET /hello")
    connect().get("/hello")
    assert connect().ask("/nothing").status == 204


def test_client_that_leaves_no_longer_counts(server, connect, over):
    hold = server.hold(until_in_flight=2, give_up=30)
    first, second, third = (connect() for _ in range(3))
    first.get("/hello")
    server.ledger.wait_until(lambda ledger: ledger.executions() == 1)
    first.finish()
    over(1)
    second.get("/hello")
    server.ledger.wait_until(lambda ledger: ledger.executions() == 2)
    assert second.hears_nothing()
    assert hold.most_together == 1
    third.get("/hello")
    assert second.reply().status == 200


@pytest.mark.parametrize("end", [FakeServer.stop, FakeServer.reset])
def test_hold_ends_with_the_server_and_its_scenario(server, raw, end):
    server.hold(until_in_flight=2, give_up=1000)
    raw.get("/hello")
    server.ledger.wait_until(lambda ledger: ledger.executions() == 1)
    end(server)
    with pytest.raises((EOFError, ConnectionResetError)):
        raw.reply()


def test_hold_proves_that_threads_run_side_by_side(server, connect):
    hold = server.hold(until_in_flight=10, give_up=30)
    clients = [connect() for _ in range(10)]
    threads = [threading.Thread(target=client.ask, args=("/hello",)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert hold.reached
    assert server.ledger.peak_in_flight == 10


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"until_in_flight": 0}, "until_in_flight=0 is no count"),
        ({"until_in_flight": True}, "until_in_flight=True is no count"),
        ({"until_in_flight": 1.5}, "until_in_flight=1.5 is no count"),
        ({"until_in_flight": 1, "give_up": 0}, "give_up=0 is out of range"),
        ({"until_in_flight": 1, "give_up": float("inf")}, "give_up=inf is out of range"),
        ({"until_in_flight": 1, "give_up": None}, "give_up=None is out of range"),
        ({"until_in_flight": 1, "on": "/x"}, "is not a pattern"),
    ],
)
def test_wrong_hold_is_refused_with_what_is_allowed(options, reason):
    with pytest.raises(ScenarioError) as refusal:
        FakeServer().hold(**options)
    assert reason in str(refusal.value)
