"""How a connection through a proxy ends: as the upstream's does, and the upstream's as the client's."""

import pytest

from fake_servers import ChaosProxy, Moment
from fake_servers.faults import Disconnect, Reset, Stall
from pytest_httpconc.checks import find_resends

ENDS = ["FIN", "RST"]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"


def ended(client, how):
    return client.until_close() if how == "FIN" else client.until_reset()


def is_over(proxy, how):
    proxy.ledger.wait_until(lambda ledger: not ledger.connections[0].is_open, timeout=5)
    assert proxy.ledger.connections[0].closed_by == f"upstream {how}"


@pytest.mark.parametrize("how", ENDS)
def test_idle_connection_that_the_upstream_closes_is_closed_in_the_same_way(proxied, any_loop, how):
    proxy, client, upstream = proxied()
    client.get("/")
    upstream.hears()
    upstream.says(HEAD, b"0123456789")
    assert client.reply().body == b"0123456789"
    upstream.ends(how)
    assert ended(client, how) == b""
    is_over(proxy, how)


@pytest.mark.parametrize("how", ENDS)
def test_connection_without_a_request_is_closed_in_the_same_way(proxied, how):
    proxy, client, upstream = proxied()
    upstream.ends(how)
    assert ended(client, how) == b""
    is_over(proxy, how)


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize(
    "sent",
    [b"", HEAD[:20], HEAD, HEAD + b"0123", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"],
    ids=["nothing", "half a head", "the head", "half a body", "a chunk"],
)
def test_exchange_that_the_upstream_breaks_off_ends_at_the_same_byte(proxied, any_loop, how, sent):
    proxy, client, upstream = proxied()
    client.post("/orders", b"one")
    upstream.hears(b"one")
    upstream.says(sent)
    is_seen_at_once = b"\r\n\r\n" in sent
    if is_seen_at_once:
        assert client.exactly(len(sent)) == sent
    upstream.ends(how)
    assert ended(client, how) == (b"" if is_seen_at_once else sent)
    is_over(proxy, how)
    [exchange] = proxy.ledger.exchanges
    assert (exchange.outcome, exchange.executed_at is not None) == ("ended by upstream", True)


def test_body_without_a_length_that_is_reset_is_no_whole_one(proxied):
    proxy, client, upstream = proxied()
    client.get("/")
    upstream.hears()
    upstream.says(b"HTTP/1.1 200 OK\r\n\r\nso far")
    client.until(b"so far")
    upstream.ends("RST")
    client.until_reset()
    assert proxy.ledger.exchanges[0].outcome == "ended by upstream"


def test_what_is_sent_again_after_the_upstream_broke_off_is_a_resend(proxied, connect, scripted):
    proxy, client, upstream = proxied()
    client.post("/orders", b"one")
    upstream.hears(b"one")
    upstream.ends("RST")
    client.until_reset()
    again = connect(proxy)
    again.post("/orders", b"one")
    upstream = scripted.accept()
    upstream.hears(b"one")
    upstream.says(HEAD, b"0123456789")
    again.reply()
    [finding] = find_resends(proxy.ledger)
    assert finding.code == "HC201"
    assert "executed, then ended by upstream" in finding.evidence[0]


def test_upstream_that_closes_while_a_route_answers_closes_after_the_answer(proxied, new_gate):
    proxy, client, upstream = proxied()
    gate = proxy.route("GET /mine")(new_gate())
    client.get("/mine")
    proxy.ledger.wait_until(lambda ledger: ledger.in_flight == 1, timeout=5)
    upstream.ends("FIN")
    assert client.hears_nothing()
    gate.open()
    assert client.reply().body == b"at last"
    assert client.until_close() == b""


@pytest.mark.parametrize(("leave", "how"), [("finish", "FIN"), ("reset", "RST")])
def test_client_that_leaves_takes_its_upstream_connection_with_it(proxied, any_loop, leave, how):
    proxy, client, upstream = proxied()
    client.get("/")
    upstream.hears()
    getattr(client, leave)()
    assert upstream.hears_end() == how
    assert proxy.ledger.exchanges[0].outcome == "aborted by client"


def test_cancellation_reaches_the_handler_of_a_real_server(real, server, connect, new_gate):
    gate = real.route("GET /gate")(new_gate())
    client = connect()
    client.get("/gate")
    real.ledger.wait_until(lambda ledger: ledger.in_flight == 1, timeout=5)
    client.finish()
    assert gate.cancelled.wait(5)


@pytest.mark.parametrize("fault", [Disconnect(at=Moment.ACCEPT), Reset(at=Moment.ACCEPT)], ids=str)
def test_connection_that_is_cut_when_it_is_accepted_never_reaches_the_upstream(real, connect, fault):
    with ChaosProxy(real) as proxy:
        proxy.inject(fault, times=1)
        client = connect(proxy)
        ended(client, "FIN" if isinstance(fault, Disconnect) else "RST")
        assert connect(proxy).ask("/hello").body == b"hello"
    assert real.ledger.total_connections == 1


def test_connection_that_stalls_when_it_is_accepted_goes_on(real, connect):
    with ChaosProxy(real) as proxy:
        proxy.inject(Stall(at=Moment.ACCEPT, seconds=0.02))
        assert connect(proxy).ask("/hello").body == b"hello"


def test_proxy_that_stops_leaves_nothing_at_the_upstream(real, connect, new_gate):
    real.route("GET /gate")(new_gate())
    with ChaosProxy(real) as proxy:
        busy, idle = connect(proxy), connect(proxy)
        busy.get("/gate")
        assert idle.ask("/hello").status == 200
        real.ledger.wait_until(lambda ledger: ledger.in_flight == 1, timeout=5)
        assert len(proxy.outgoing) == 2
    assert proxy.outgoing == frozenset()
    real.ledger.wait_until(lambda ledger: not ledger.held_connections, timeout=5)


def test_stale_connection_is_the_upstream_s_own(real, server, connect):
    real.inject(Disconnect(at=Moment.NEXT_REQUEST), times=1)
    client = connect()
    assert client.ask("/hello").status == 200
    client.get("/hello")
    assert client.until_close() == b""
    assert [e.outcome for e in server.ledger.exchanges] == ["answered", "ended by upstream"]
    assert real.ledger.executions() == 1
