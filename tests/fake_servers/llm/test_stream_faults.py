"""What goes wrong in a stream of events, as a client that knows no protocol sees it."""

import pytest

from fake_servers.faults import (
    Disconnect,
    Dribble,
    DuplicateEvent,
    Heartbeats,
    MalformedEvent,
    MissingEvent,
    Reset,
    Stall,
)

STREAMS = {
    "/v1/chat/completions": (6, "[DONE]"),
    "/v1/completions": (5, "[DONE]"),
    "/v1/responses": (11, "response.completed"),
    "/v1/messages": (9, "message_stop"),
    "/api/v1/chat/completions": (6, "[DONE]"),
}


@pytest.fixture(params=STREAMS)
def path(request):
    return request.param


@pytest.fixture
def begin(raw, chat_body, path):
    def begin():
        raw.post(path, chat_body(stream=True, prompt="one two three", input="one two three", max_tokens=9))
        return raw

    return begin


def last(event):
    return event.data if event.data == "[DONE]" else event.name


def test_stream_comes_whole_and_the_connection_stays(begin, events_of, path):
    for _ in range(2):
        reply = begin().reply()
        found = events_of(reply.body)
        assert (len(found), last(found[-1])) == STREAMS[path]
        assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"


@pytest.mark.parametrize("after", [0, 1, 3])
def test_stream_breaks_off_between_events(server, begin, after):
    server.inject(Disconnect(after_events=after))
    raw = begin()
    raw.until(b"\r\n\r\n")
    assert raw.until_close().count(b"data: ") == after


def test_stream_is_reset_after_its_last_event(server, begin, path):
    server.inject(Reset(after_events=-1))
    raw = begin()
    raw.until(b"\r\n\r\n")
    received = raw.until_reset()
    assert received.count(b"data: ") == STREAMS[path][0]
    assert not received.endswith(b"0\r\n\r\n")


def test_stall_keeps_the_rest_back(server, begin):
    server.inject(Stall(after_events=2))
    raw = begin()
    raw.until(b"\n\n")
    raw.until(b"\n\n\r\n")
    assert raw.hears_nothing()


def test_event_is_sent_twice(server, begin, events_of, path):
    server.inject(DuplicateEvent(3))
    found = events_of(begin().reply().body)
    assert len(found) == STREAMS[path][0] + 1
    assert found[2] == found[3]


def test_event_that_breaks_off_is_no_json(server, begin, events_of):
    server.inject(MalformedEvent(2))
    with pytest.raises((ValueError, KeyError)):
        events_of(begin().reply().body)


def test_last_event_is_missing(server, begin, events_of, path):
    server.inject(MissingEvent())
    found = events_of(begin().reply().body)
    assert len(found) == STREAMS[path][0] - 1
    assert last(found[-1]) != STREAMS[path][1]


def test_heartbeats_go_on_after_the_last_event(server, begin, path):
    server.inject(Heartbeats(interval=0.001))
    raw = begin()
    received = raw.until(b": heartbeat\n\n") + raw.until(b": heartbeat\n\n")
    assert received.count(b"data: ") == STREAMS[path][0]


def test_stream_trickles(server, begin, events_of, path):
    server.inject(Dribble(size=400, interval=0.001))
    assert len(events_of(begin().reply().body)) == STREAMS[path][0]


@pytest.mark.parametrize("after", [0, 2])
def test_stream_fails_in_its_protocols_words(server, begin, events_of, path, after):
    server.script(status=529, error="Overloaded", after_events=after, times=1)
    found = events_of(begin().reply().body)
    assert len(found) == after + 1
    name, data = found[-1]
    if path == "/v1/messages":
        assert (name, data) == (
            "error",
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        )
    elif path == "/v1/responses":
        assert (name, data["code"], data["message"]) == ("error", "server_error", "Overloaded")
        assert data["sequence_number"] == after
    elif path.startswith("/api"):
        assert data["error"] == {"code": 529, "message": "Overloaded"}
        assert data["choices"][0]["finish_reason"] == "error"
    else:
        assert (name, data["error"]["type"], data["error"]["message"]) == ("", "server_error", "Overloaded")
    assert len(events_of(begin().reply().body)) == STREAMS[path][0]


def test_stream_that_is_shorter_stays_whole(server, begin, events_of, path):
    server.script(status=500, after_events=100)
    found = events_of(begin().reply().body)
    assert (len(found), last(found[-1])) == STREAMS[path]


def test_script_of_a_failing_stream_answers_a_plain_request_with_its_status(server, chat):
    server.script(status=529, error="Overloaded", after_events=2)
    answer = chat()
    assert (answer.status_code, answer.json()["error"]["message"]) == (529, "Overloaded")
    assert server.ledger.executions() == 0
