"""Bodies in parts of one event each, however their bytes come."""

import asyncio
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_servers import Stream
from fake_servers.errors import UpstreamEnded
from fake_servers.faults import Disconnect, DuplicateEvent, MissingEvent
from fake_servers.proxy.events import end_of_event, in_events

EVENTS = b"data: 1\n\ndata: 2\ndata: 3\n\n: comment\n\ndata: [DONE]\n\n"


def regrouped(parts, kind="text/event-stream", error=None):
    async def source():
        for part in parts:
            yield part
        if error is not None:
            raise error

    async def collect():
        got = []
        try:
            async for event in in_events(source(), end_of_event(kind, None)):
                got.append(event)  # noqa: PERF401 -- what came before an error counts
        except UpstreamEnded:
            got.append("ended")
        return got

    return asyncio.run(collect())


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_event_is_a_part(size, line_end):
    data = EVENTS.replace(b"\n", line_end)
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    assert regrouped(parts) == [event + line_end * 2 for event in data.split(line_end * 2)[:-1]]


def test_line_is_a_part_where_events_are_lines():
    assert regrouped([b'{"a"', b': 1}\n{"b": 2}\n{'], "application/x-ndjson; charset=utf-8") == [
        b'{"a": 1}\n',
        b'{"b": 2}\n',
        b"{",
    ]


def test_part_of_an_event_goes_out_before_the_end_is_passed_on():
    assert regrouped([b"data: 1\n\nda", b"ta"], error=UpstreamEnded(reset=True)) == [b"data: 1\n\n", b"data", "ended"]


def test_event_that_does_not_end_is_not_kept_for_ever():
    assert [len(part) for part in regrouped([b"x" * (1 << 20)] * 3)] == [2 << 20, 1 << 20]


@settings(max_examples=50)
@given(st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"data: x", b":"]), max_size=12), st.integers(1, 3))
def test_bytes_stay_what_they_are(pieces, size):
    data = b"".join(pieces)
    got = regrouped([data[at : at + size] for at in range(0, len(data), size)])
    assert b"".join(got) == data
    assert all(len(re.findall(rb"[^\r\n]\n\n", part)) <= 1 for part in got)


@pytest.mark.parametrize(
    ("kind", "encoding"), [("application/json", None), ("text/event-stream", "gzip"), ("", None)], ids=str
)
def test_other_bodies_have_no_events(kind, encoding):
    assert end_of_event(kind, encoding) is None


@pytest.fixture
def events(real):
    async def parts():
        for at in range(0, len(EVENTS), 5):  # not where they end
            yield EVENTS[at : at + 5]

    @real.route("GET /events")
    async def events(request):
        return Stream(parts(), content_type="text/event-stream")


@pytest.mark.parametrize("part", [b": keep-alive\n", b"data: half of an", b"data: 1\r\r"])
def test_part_of_an_event_is_passed_on_while_the_rest_does_not_come(proxied, part):
    _, client, upstream = proxied()
    client.get("/events")
    upstream.hears()
    upstream.says(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", part)
    client.until(part)


def test_stream_is_cut_after_some_events(server, events, raw):
    server.inject(Disconnect(after_events=2))
    raw.get("/events")
    assert raw.until_close().endswith(b"data: 2\ndata: 3\n\n\r\n")


@pytest.mark.parametrize(
    ("fault", "body"),
    [
        (DuplicateEvent(1), b"data: 1\n\n" + EVENTS),
        (MissingEvent(), EVENTS.replace(b"data: [DONE]\n\n", b"")),
    ],
    ids=str,
)
def test_stream_is_spoiled_in_an_event(server, events, raw, fault, body):
    server.inject(fault)
    assert raw.ask("/events").body == body


@pytest.mark.parametrize("fault", [DuplicateEvent(1), Disconnect(after_events=1)], ids=str)
def test_body_without_events_is_passed_over_by_faults_in_them(server, raw, fault):
    server.inject(fault)
    assert raw.ask("/stream").body == b"one two three"
