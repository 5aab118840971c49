"""Faults on connections that carry no HTTP: those that act on bytes do, and the others wait or are refused."""

import contextlib

import pytest

from fake_servers import ChaosProxy, Injection, Moment, Scenario, ScenarioError, faults
from fake_servers.faults import Disconnect, Dribble, HalfClose, Reset, Stall, Status, Throttle

SMTP = b"EHLO client\r\n"
REDIS = b"*1\r\n$4\r\nPING\r\n"


@pytest.mark.parametrize("scheme", ["tcp", "http"])
@pytest.mark.parametrize("fault", [Disconnect(after_bytes=3), Reset(after_bytes=3)], ids=str)
def test_connection_is_cut_after_some_bytes_of_the_upstream_s(proxied, scheme, fault):
    proxy, client, upstream = proxied(scheme)
    proxy.inject(fault, on="TCP *", times=1)
    client.send(SMTP)
    upstream.hears(b"client\r\n")
    upstream.says(b"2", b"50 welcome")
    assert (client.until_close() if isinstance(fault, Disconnect) else client.until_reset()) == b"250"
    assert upstream.hears_end() in {"FIN", "RST"}
    proxy.ledger.wait_until(lambda ledger: not ledger.open_connections, timeout=5)
    [connection] = proxy.ledger.connections
    assert (connection.closed_by, connection.fault) == ("fault", fault)


@pytest.mark.parametrize("fault", [Disconnect(after_bytes=11), Reset(after_bytes=11)], ids=str)
def test_connection_is_cut_when_so_many_bytes_have_come_and_no_more(proxied, fault):
    proxy, client, upstream = proxied("tcp")
    proxy.inject(fault)
    upstream.says(b"220 ready\r\n")
    assert (client.until_close() if isinstance(fault, Disconnect) else client.until_reset()) == b"220 ready\r\n"
    proxy.ledger.wait_until(lambda ledger: ledger.connections[0].closed_by == "fault")


def test_connection_on_which_the_upstream_says_nothing_uses_up_no_fault(proxied, connect, scripted):
    proxy, client, upstream = proxied("tcp")
    proxy.inject(Disconnect(after_bytes=3), times=1)
    upstream.ends("FIN")
    assert client.until_close() == b""
    second = connect(proxy)
    scripted.accept().says(b"0123456789")
    assert second.until_close() == b"012"
    assert [connection.fault for connection in proxy.ledger.connections] == [None, Disconnect(after_bytes=3)]


def test_reset_of_the_proxy_ends_what_is_slow_on_a_plain_connection(proxied, connect, scripted):
    proxy, client, upstream = proxied("tcp")
    proxy.inject(Throttle(rate=1))
    upstream.says(b"ab")
    assert client.exactly(1) == b"a"
    proxy.reset()
    with contextlib.suppress(ConnectionResetError):
        assert client.until_close() == b""
    assert not proxy.outgoing
    again = connect(proxy)
    scripted.accept().says(b"0123456789")
    assert again.exactly(10) == b"0123456789"


@pytest.mark.parametrize(
    "fault", [Stall(after_bytes=3, seconds=0.02), Throttle(rate=1000), Dribble(size=2, interval=0.001)], ids=str
)
def test_bytes_of_the_upstream_s_come_late_and_slowly(proxied, fault):
    proxy, client, upstream = proxied("tcp", scenario=Scenario([Injection(fault=fault, latency=0.01)]))
    client.send(b"x")
    upstream.says(b"0123456789")
    assert client.exactly(10) == b"0123456789"
    assert not proxy.unmatched


def test_fault_of_http_waits_for_a_connection_that_speaks_it(proxied, connect):
    proxy, client, upstream = proxied()
    proxy.inject(Disconnect(at=Moment.REQUEST))
    client.send(REDIS)
    upstream.hears(REDIS)
    upstream.says(b"+PONG\r\n")
    assert client.until(b"\r\n") == b"+PONG\r\n"
    assert [injection.fault for injection in proxy.unmatched] == [Disconnect(at=Moment.REQUEST)]
    speaking = connect(proxy)
    speaking.get("/")
    assert speaking.until_close() == b""


@pytest.mark.parametrize(
    "fault",
    [Disconnect(), Reset(at=Moment.IDLE), Stall(after_events=1), Status(503), HalfClose(), faults.WrongLength()],
    ids=str,
)
def test_fault_that_needs_http_is_refused_where_there_is_none(fault):
    proxy = ChaosProxy("tcp://127.0.0.1:6379")
    with pytest.raises(ScenarioError, match=r"needs HTTP, and tcp://127.0.0.1:6379 is plain TCP; there act"):
        proxy.inject(fault)
    with pytest.raises(ScenarioError, match="needs HTTP"):
        ChaosProxy("tcp://127.0.0.1:6379", scenario=Scenario([Injection(fault=fault)]))


def test_requests_can_t_be_named_or_held_where_there_are_none():
    proxy = ChaosProxy("tcp://127.0.0.1:6379")
    with pytest.raises(ScenarioError, match="names requests"):
        proxy.delay(1, on="GET /x")
    with pytest.raises(ScenarioError, match="counts requests"):
        proxy.hold(until_in_flight=2)
