"""What a server is told crosses as a copy; what can't be copied is named."""

import sys
import threading
from abc import ABC
from dataclasses import dataclass

import pytest
import requests

from fake_servers import FakeServer, Response, ScenarioError
from fake_servers.crossing import Asked, asked, told
from fake_servers.processes.packing import pack
from fake_servers.processes.unpacking import unpack

LOCK = threading.Lock()


@dataclass
class Order:
    number: int


class Counting(FakeServer, ABC):
    """A service of a user's own, defined in a test module."""

    def __init__(self, first, **options):
        self._count = first
        super().__init__(**options)
        self.delay(0.001)
        self.route("GET /count")(self._answer)

    @told()
    def add(self, number):
        self._add_twice(number)
        self._count -= number

    @told()
    def _add_twice(self, number):
        self._count += 2 * number

    @asked
    def count(self):
        """How many there are."""
        return self._count

    def _answer(self, request):
        self._count += 1
        return Response.json(self._count)


def test_service_of_a_users_own_is_told_and_asked():
    with Counting(10, host="process") as server:
        assert requests.get(server.url + "/count").json() == 11
        server.add(5)
        assert (requests.get(server.url + "/count").json(), server.count) == (17, 17)
        assert len(server.scenario.injections) == 1
    assert server.count == 17
    assert Counting.__dict__["count"] is Counting.count
    assert Counting.count.__doc__ == "How many there are."


def test_where_nothing_crosses_it_is_an_ordinary_method_and_property():
    server = Counting(1)
    server.add(1)
    assert (server.count, server.is_elsewhere) == (2, False)
    assert Asked.names(Counting) == {"count", "listener_acted", "unmatched"}


def test_class_of_a_test_module_is_the_same_when_it_comes_back():
    assert unpack(pack(Order(1))) == Order(1)
    assert "cloudpickle" in sys.modules


def make_closure(thing):
    def handler(request):
        return Response.text(repr(thing))

    return handler


def uses_global(request):
    return Response.text(repr(LOCK))


@pytest.mark.parametrize(
    ("handler", "named"),
    [(make_closure(threading.Lock()), "'thing', used by make_closure"), (uses_global, "'LOCK', used by uses_global")],
)
def test_what_can_not_be_sent_is_named(handler, named):
    server = FakeServer(host="process")
    server.route("POST /x")(handler)
    with pytest.raises(ScenarioError, match=rf"^{named}.* of route\('POST /x'\) can't be sent .*host='thread'"):
        server.start()
    assert not server.is_running


def test_running_server_is_not_told_what_can_not_be_sent():
    with FakeServer(host="process") as server:
        with pytest.raises(ScenarioError, match="'LOCK'"):
            server.route("POST /x")(uses_global)
        assert server.routes == ()


def test_another_server_can_not_be_sent_with_a_handler():
    other, server = FakeServer(), FakeServer(host="process")
    server.route("GET /x")(make_closure(other))
    with pytest.raises(ScenarioError, match="'thing', used by"):
        server.start()


def test_modules_of_this_processs_path_are_there(tmp_path, monkeypatch):
    (tmp_path / "helper_of_a_user.py").write_text("WORD = 'helped'\ndef say(): return WORD\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir("/")
    import helper_of_a_user

    server = FakeServer(host="process")
    server.route("GET /x")(lambda request: Response.text(helper_of_a_user.say()))
    with server:
        assert requests.get(server.url + "/x").text == "helped"
