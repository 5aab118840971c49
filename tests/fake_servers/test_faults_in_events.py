"""Faults among the events of a stream, each of which is one part of it."""

import asyncio
import threading

import pytest

from fake_servers import FakeServer, Response, ScenarioError, Stream
from fake_servers.faults import (
    Disconnect,
    Dribble,
    DuplicateEvent,
    Heartbeats,
    Malformed,
    MalformedEvent,
    MissingEvent,
    Moment,
    Reset,
    Stall,
)

EVENTS = [b'data: {"n": 1}\n\n', b'data: {"n": 2}\n\n', b"data: [DONE]\n\n"]


class Source:
    """Yields the events, and knows when it was closed."""

    def __init__(self):
        self.closed = threading.Event()

    async def events(self):
        try:
            for event in EVENTS:
                await asyncio.sleep(0)
                yield event
        finally:
            self.closed.set()


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def server(source):
    with FakeServer() as server:
        server.route("GET /events")(lambda request: Stream(source.events(), content_type="text/event-stream"))
        server.route("GET /sized")(lambda request: Stream(source.events(), length=sum(map(len, EVENTS))))
        server.route("GET /plain")(lambda request: Response(b"".join(EVENTS)))
        yield server


def chunks(*events):
    return b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events)


def body_of(raw):
    return raw.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("after", range(4))
def test_connection_ends_after_so_many_events(server, raw, source, after):
    server.inject(Disconnect(after_events=after))
    raw.get("/events")
    assert body_of(raw.until_close()) == chunks(*EVENTS[:after])
    server.ledger.wait_until(lambda ledger: not ledger.in_flight)
    assert server.ledger.exchanges[0].outcome == "ended by fault"
    assert source.closed.wait(10)


@pytest.mark.parametrize("after", [4, 100])
def test_end_after_more_events_than_there_are_leaves_the_response_whole(server, raw, after):
    server.inject(Disconnect(after_events=after))
    raw.get("/events")
    assert body_of(raw.until_close()) == chunks(*EVENTS) + b"0\r\n\r\n"
    assert server.ledger.exchanges[0].outcome == "answered"


def test_last_event_without_the_end_of_the_body(server, raw):
    server.inject(Disconnect(after_events=-1))
    raw.get("/events")
    assert body_of(raw.until_close()) == chunks(*EVENTS)
    assert server.ledger.exchanges[0].outcome == "ended by fault"


def test_end_of_the_body_comes_late(server, raw):
    server.hold(until_in_flight=1)
    server.inject(Stall(after_events=-1, seconds=0.05), times=1)
    raw.get("/events")
    reply = raw.reply()
    assert reply.body == b"".join(EVENTS)
    exchange = server.ledger.exchanges[0]
    assert exchange.outcome == "answered"
    assert exchange.service_time >= 0.05
    assert raw.ask("/events").body == reply.body


def test_reset_between_events(server, raw):
    server.inject(Reset(after_events=2))
    raw.get("/events")
    assert body_of(raw.until_reset()) == chunks(*EVENTS[:2])


def test_silence_between_events(server, raw):
    server.inject(Stall(after_events=1))
    raw.get("/events")
    raw.until(chunks(EVENTS[0]))
    assert raw.hears_nothing()
    raw.finish()
    server.ledger.wait_until(lambda ledger: not ledger.in_flight)
    assert server.ledger.exchanges[0].outcome == "aborted by client"


@pytest.mark.parametrize(
    ("fault", "events"),
    [
        (DuplicateEvent(), [EVENTS[0], *EVENTS]),
        (DuplicateEvent(2), [*EVENTS[:2], *EVENTS[1:]]),
        (DuplicateEvent(-1), [*EVENTS, EVENTS[-1]]),
        (DuplicateEvent(9), EVENTS),
        (MalformedEvent(), [b'data: {"\n\n', *EVENTS[1:]]),
        (MalformedEvent(-1), [*EVENTS[:2], b"data: [\n\n"]),
        (MissingEvent(), EVENTS[:2]),
        (MissingEvent(1), EVENTS[1:]),
        (Dribble(size=7, interval=0.001), EVENTS),
    ],
    ids=str,
)
def test_events_are_garbled(server, raw, source, fault, events):
    server.inject(fault, times=1)
    raw.get("/events")
    assert raw.reply().raw.partition(b"\r\n\r\n")[2] == chunks(*events) + b"0\r\n\r\n"
    assert source.closed.wait(10)
    assert raw.ask("/events").body == b"".join(EVENTS)


def test_heartbeats_never_end(server, raw, source):
    server.inject(Heartbeats(interval=0.001))
    raw.get("/events")
    raw.until(chunks(*EVENTS))
    for _ in range(20):
        raw.until(b": heartbeat\n\n\r\n")
    assert server.ledger.in_flight == 1
    raw.finish()
    server.ledger.wait_until(lambda ledger: not ledger.in_flight)
    assert server.ledger.exchanges[0].outcome == "aborted by client"
    assert source.closed.wait(10)


@pytest.mark.parametrize("fault", [DuplicateEvent(), MissingEvent(), Heartbeats()])
def test_response_that_is_no_stream_stays_as_it_is(server, raw, fault):
    server.inject(fault)
    assert raw.ask("/plain").body == b"".join(EVENTS)


def test_cut_counts_the_one_block_of_a_response_that_is_no_stream_as_its_end(server, raw):
    server.inject(Disconnect(after_events=1))
    raw.get("/plain")
    assert body_of(raw.until_close()) == b"".join(EVENTS)
    assert server.ledger.exchanges[0].outcome == "answered"


@pytest.mark.parametrize("fault", [Disconnect(at=Moment.EXECUTED), Reset(at=Moment.EXECUTED), Malformed()], ids=str)
def test_source_is_closed_where_no_event_is_ever_sent(server, raw, fault):
    closed = threading.Event()

    class Unstarted:
        def __aiter__(self):
            return self

        async def __anext__(self):
            raise StopAsyncIteration

        async def aclose(self):
            closed.set()

    server.route("GET /unstarted")(lambda request: Stream(Unstarted()))
    server.inject(fault)
    raw.get("/unstarted")
    server.ledger.wait_until(lambda ledger: ledger.exchanges and not ledger.in_flight)
    server.ledger.wait_until(lambda ledger: ledger.connections[0].closed_at)
    assert closed.wait(10)


@pytest.mark.parametrize("path", ["/events", "/sized", "/plain"])
def test_client_that_has_its_answer_finds_it_in_the_ledger(server, raw, path):
    for number in range(100):
        raw.ask(path)
        assert server.ledger.exchanges[number].outcome == "answered"
        assert server.ledger.in_flight == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Disconnect(after_events=1, after_bytes=1), "two ways to say where"),
        (lambda: Disconnect(after_events=-2), "allowed are whole numbers from -1 up"),
        (lambda: Disconnect(at=Moment.IDLE, after_events=1), "goes with at=Moment.RESPONSE"),
        (lambda: DuplicateEvent(0), "event=0 is out of range; allowed are whole numbers from 1 up"),
        (lambda: MissingEvent(1.5), "event=1.5 is out of range"),
        (lambda: Heartbeats(interval=0), "interval=0 is out of range"),
    ],
)
def test_place_that_makes_no_sense_is_refused(make, message):
    with pytest.raises(ScenarioError, match=message):
        make()


def test_faults_say_where_they_act():
    assert str(Disconnect(after_events=3)) == "Disconnect(after_events=3)"
    assert str(Stall(after_events=-1)) == "Stall(after_events=-1, for ever)"


@pytest.mark.parametrize(
    "fault", [DuplicateEvent(), MalformedEvent(2), MissingEvent(), Stall(after_events=-1, seconds=0)]
)
def test_stream_of_known_length_is_sent_in_chunks_where_its_events_are_spoilt(server, raw, fault):
    server.inject(fault, times=1)
    assert raw.ask("/sized").headers["transfer-encoding"] == "chunked"
    reply = raw.ask("/sized")
    assert (reply.headers["content-length"], reply.body) == (str(len(reply.body)), b"".join(EVENTS))
    assert server.errors == ()


def test_connection_ends_after_the_last_event_of_a_known_length_too(server, raw):
    server.inject(Disconnect(after_events=-1))
    raw.get("/sized")
    assert body_of(raw.until_close()) == chunks(*EVENTS)
