"""The survey itself: clients with one bug each, and what their cells say."""

from __future__ import annotations

import dataclasses
import math
import socket

import pytest
import requests

from fake_servers import Moment
from fake_servers.faults import Disconnect, Reset
from pytest_httpconc.survey.adapters import ADAPTERS, Adapter, Answer
from pytest_httpconc.survey.plan import BLOCKING_TIMEOUT, Trial, comes_while_sending, trials_of
from pytest_httpconc.survey.trials import conduct
from pytest_httpconc.sweeps.responses import Shape

SHAPE = Shape.of(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
EVERY_KIND = pytest.mark.parametrize("client", ["requests", "aiohttp", "openai", "docker-py"])
EXECUTED = Trial(fault_name="FIN after execution", fault=lambda _: Disconnect())
pytestmark = pytest.mark.httpconc(leaks="allow")  # they are what is looked at


class Plain:
    """A client that does what it should."""

    def __init__(self, settings):
        self.settings = settings
        self.session = requests.Session()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session.close()

    def post(self, text):
        response = self.session.post(self.settings.url + "/echo", data=text)
        return Answer(response.status_code, response.text)

    get = post


class Retrying(Plain):
    def post(self, text):
        try:
            return super().post(text)
        except requests.ConnectionError:
            return super().post(text)


class OpensAnother(Plain):
    """Opens a further connection for nothing when a call fails, and closes it with itself."""

    others = ()

    def __exit__(self, *error):
        super().__exit__(*error)
        for other in self.others:
            other.close()

    def post(self, text):
        try:
            return super().post(text)
        except requests.ConnectionError:
            host, port = self.settings.url.removeprefix("http://").split(":")
            self.others = (*self.others, socket.create_connection((host, int(port))))
            raise


class Breaks(Plain):
    """Works no more once a call has failed."""

    is_broken = False

    def post(self, text):
        if self.is_broken:
            raise RuntimeError("broken")
        try:
            return super().post(text)
        except requests.ConnectionError:
            self.is_broken = True
            raise


def meets(kind, trial=EXECUTED):
    adapter = Adapter(name="mine", distributions=("requests",), no_retry="none", make=kind)
    return conduct(adapter, trial, retries=True)


def test_correct_client_leaves_nothing_and_works_on():
    cell = meets(Plain)
    assert (cell.connections, cell.requests, cell.executions, cell.outcome) == (1, 1, 1, "ConnectionError")
    assert (cell.left, cell.leaked, cell.usable) == (0, 0, "yes")


def test_resend_is_counted_as_often_as_it_is_made():
    cell = meets(Retrying)
    assert (cell.connections, cell.requests, cell.executions) == (2, 2, 2)


def test_socket_that_the_client_has_besides_the_one_it_uses_is_left():
    cell = meets(OpensAnother)
    assert (cell.left, cell.leaked, cell.usable) == (1, 0, "yes")


def test_socket_that_outlives_its_client_is_leaked():
    kept = []

    class Leaks(OpensAnother):
        def __exit__(self, *error):
            kept.extend(self.others)
            self.session.close()

    try:
        assert meets(Leaks).leaked == 1
    finally:
        for sock in kept:
            sock.close()


def test_client_that_does_not_recover_is_not_usable():
    assert meets(Breaks).usable == "no"


@pytest.mark.parametrize(
    ("at", "outcome"), [(lambda _: 17, "200, empty"), (lambda shape: shape.size, "200")], ids=["cut", "whole"]
)
def test_success_says_whether_the_answer_is_whole(at, outcome):
    assert (
        meets(Plain, Trial(fault_name="FIN", fault=lambda shape: Disconnect(after_bytes=at(shape)))).outcome == outcome
    )


@EVERY_KIND
def test_names_of_trials_are_unique(client):
    names = [trial.name for trial in trials_of(ADAPTERS[client])]
    assert len(names) == len(set(names))


@EVERY_KIND
def test_every_moment_is_met(client):
    faults = [trial.fault(SHAPE) for trial in trials_of(ADAPTERS[client])]
    for kind in (Disconnect, Reset):
        assert {fault.at for fault in faults if isinstance(fault, kind)} == set(Moment)


@pytest.mark.parametrize("size", [88, 166, 350, 663, 5000])
def test_trickle_to_a_blocking_client_outlasts_its_timeout_and_no_pause_does(size):
    [trial] = [trial for trial in trials_of(ADAPTERS["docker-py"]) if "trickle" in trial.fault_name]
    pace, interval = trial.fault(dataclasses.replace(SHAPE, size=size)).pace
    assert (math.ceil(size / pace) - 1) * interval > 1.5 * BLOCKING_TIMEOUT
    assert interval < BLOCKING_TIMEOUT / 10


def test_exception_is_chance_only_where_the_client_may_be_sending():
    assert comes_while_sending(Reset(at=Moment.ACCEPT))
    assert not comes_while_sending(Reset(at=Moment.EXECUTED))
    assert not comes_while_sending(Disconnect(at=Moment.ACCEPT))
