"""Server-sent events, in whatever blocks they come."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_httpconc.clients.sse import EventDecoder

STREAM = "event: x\ndata: one\n\n: comment\n\ndata:two\ndata: lines\n\nid: 5\n\ndata: schön ✓\n\ndata: cut off".encode()
EVENTS = ["one", "two\nlines", "schön ✓"]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@given(cuts=st.lists(st.integers(0, len(STREAM) + 20), max_size=8))
def test_blocks_and_line_ends_make_no_difference(line_end, cuts):
    stream = STREAM.replace(b"\n", line_end)
    decoder = EventDecoder()
    places = [0, *sorted(cuts), len(stream)]
    found = [event for a, b in itertools.pairwise(places) for event in decoder.feed(stream[a:b])]
    assert found == EVENTS


def test_empty_data_is_an_event_and_fields_without_data_are_none():
    assert EventDecoder().feed(b"data\n\ndata:\n\nevent: x\n\nretry: 5\n\n") == ["", ""]


def test_event_is_complete_with_its_empty_line_and_not_before():
    decoder = EventDecoder()
    assert decoder.feed(b"data: a\n") == []
    assert decoder.feed(b"\n") == ["a"]


def test_byte_order_mark_is_no_part_of_the_first_event():
    assert EventDecoder().feed(b"\xef\xbb\xbfdata: a\n\n") == ["a"]
