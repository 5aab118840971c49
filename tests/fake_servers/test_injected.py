"""Injections for the length of a block, and the bytes that were sent meanwhile."""

from __future__ import annotations

import pytest
import requests

from fake_servers import FakeServer, Moment, Scenario, ScenarioError
from fake_servers.faults import Disconnect, Reset, Status
from fake_servers.scenario import Injection, ScenarioRun


def status(server):
    return requests.get(server.url, timeout=5).status_code


def test_injection_ends_with_its_block(fake_http):
    with fake_http.injected(Status(503)):
        assert status(fake_http) == 503
    assert status(fake_http) == 404
    assert fake_http.scenario == Scenario()


def test_injection_that_never_acted_is_taken_back_and_is_not_unmatched(fake_http):
    with fake_http.injected(Reset(), on="POST /never", times=1):
        assert len(fake_http.unmatched) == 1
    assert fake_http.unmatched == []


def test_injection_is_taken_back_when_the_block_fails(fake_http):
    with pytest.raises(KeyError), fake_http.injected(Reset()):
        raise KeyError
    assert fake_http.scenario == Scenario()


def test_an_equal_injection_of_the_users_own_stays(fake_http):
    fake_http.inject(Status(503))
    with fake_http.injected(Status(503)):
        pass
    assert status(fake_http) == 503


def test_wrong_injection_is_refused(fake_http):
    with pytest.raises(ScenarioError, match="times="), fake_http.injected(Reset(), times=0):
        pass


def test_reset_in_between_is_no_error(fake_http):
    with fake_http.injected(Reset()):
        fake_http.reset()
    assert status(fake_http) == 404


def test_run_without_injections_is_ordinary_service_again():
    run = ScenarioRun(Scenario())
    injection = Injection(fault=Disconnect(at=Moment.ACCEPT))
    other = Injection(fault=Reset())
    run.add(injection)
    run.add(other)
    run.remove(injection)
    assert run.plan_connection() is None
    assert run.plans_requests
    run.remove(other)
    assert not run.plans_requests


@pytest.mark.parametrize("tls", [False, True])
def test_tapped_keeps_what_is_sent_by_connection(tls):
    with FakeServer(tls=tls) as server:
        verify = server.ca_path if tls else True
        with server.tapped() as sent:
            requests.get(server.url, timeout=5, verify=verify)
        requests.get(server.url, timeout=5, verify=verify)
        server.ledger.wait_until(lambda ledger: not ledger.open_connections)
        first, second = server.ledger.connections
        assert sent[first.number].startswith(b"HTTP/1.1 404 ")
        assert len(sent[first.number]) == first.bytes_out
        assert second.number not in sent
