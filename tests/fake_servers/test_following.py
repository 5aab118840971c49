"""A ledger looked at again and again."""

import asyncio

import pytest
import requests

from fake_servers import FakeServer, Response
from fake_servers.following import Follower


@pytest.fixture
def server():
    with FakeServer() as server:
        server.route("GET /")(lambda request: Response())

        @server.route("GET /slow")
        async def slow(request):
            await asyncio.sleep(3600)
            return Response()

        yield server


def test_each_look_has_what_is_new_alone(server):
    follower = Follower(server.ledger)
    assert not follower.look()
    with requests.Session() as session:
        session.get(server.url)
        first = follower.look()
        assert ([c.number for c in first.connections], [e.number for e in first.exchanges]) == ([1], [1])
        assert not follower.look()
        session.get(server.url)
        second = follower.look()
        assert [e.number for e in second.exchanges] == [2]
        assert [c.exchanges for c in second.connections] == [2]
    server.ledger.wait_until(lambda ledger: not ledger.held_connections)
    (closed,) = follower.look().connections
    assert not closed.is_open
    assert not follower.look()


def test_exchange_in_progress_is_told_again_when_it_has_changed(server):
    follower = Follower(server.ledger)
    with requests.Session() as session:
        with pytest.raises(requests.Timeout):
            session.get(f"{server.url}/slow", timeout=0.05)
        begun = follower.look().exchanges
        server.ledger.wait_until(lambda ledger: not ledger.in_flight)
        session.get(server.url)
        later = [*begun, *follower.look().exchanges]
        assert [e.number for e in later if e.ended_at is not None] == [1, 2]


def test_of_much_that_is_new_the_last_is_found(server):
    follower = Follower(server.ledger, at_most=2)
    for _ in range(5):
        requests.get(server.url)
    news = follower.look()
    assert ([c.number for c in news.connections], [e.number for e in news.exchanges]) == ([4, 5], [4, 5])
    requests.get(server.url)
    assert [e.number for e in follower.look().exchanges] == [6]


def test_reset_is_told_and_what_came_after_it(server):
    follower = Follower(server.ledger)
    requests.get(server.url)
    assert not follower.look().has_begun_anew
    server.reset()
    requests.get(server.url)
    news = follower.look()
    assert news.has_begun_anew
    assert [e.number for e in news.exchanges] == [1]
    assert not follower.look().has_begun_anew


def test_server_in_a_process_is_followed_alike():
    with FakeServer(host="process") as server:
        server.route("GET /")(lambda request: Response())
        follower = Follower(server.ledger)
        for number in (1, 2):
            requests.get(server.url)
            server.ledger.wait_until(lambda ledger, number=number: ledger.count() == number and not ledger.in_flight)
            assert [(e.number, e.status) for e in follower.look().exchanges] == [(number, 200)]
