"""Requests as handlers see them, and responses as they make them."""

from __future__ import annotations

import pytest

from fake_servers import Request, Response, ScenarioError, Stream
from fake_servers.http import RelayedFields, _kept_head, encode, encode_head


async def nothing():
    yield b""


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", {}),
        ("/a/b?x=1&y=&x=2", "/a/b", {"x": "2", "y": ""}),
        ("/a?b?c=d", "/a", {"b?c": "d"}),
        ("/a?x=%20+%C3%A9", "/a", {"x": "  é"}),
        ("http://host/a?x=1", "/a", {"x": "1"}),
        ("http://host", "/", {}),
        ("http://host?x=1", "/", {"x": "1"}),
        ("http://[::1", "/", {}),
        ("//[x?y=1", "//[x", {"y": "1"}),
        ("/a?u=http://x/y", "/a", {"u": "http://x/y"}),
        ("*", "*", {}),
        ("host:443", "host:443", {}),
    ],
)
def test_target_is_path_and_query(target, path, query):
    request = Request("GET", target, [])
    assert (request.path, request.query, request.target) == (path, query, target)


def test_header_fields_are_found_in_any_case():
    request = Request("GET", "/", [(b"X-Name", b"caf\xe9"), (b"x-name", b"2")])
    assert (request.headers["x-NAME"], request.headers.getall("X-Name")) == ("café", ["café", "2"])


def test_body_is_decoded_as_json():
    assert Request("POST", "/", [], body=b'{"a": [1]}').json() == {"a": [1]}
    with pytest.raises(ValueError, match="Expecting value"):
        Request("POST", "/", [], body=b"nonsense").json()


def test_request_prints_what_it_is():
    assert repr(Request("POST", "/x?y", [], body=b"abc")) == "<Request POST /x?y (3 bytes)>"


@pytest.mark.parametrize(
    ("response", "wire"),
    [
        (Response(), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        (Response("é"), b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xc3\xa9"),
        (Response(bytearray(b"ab"), status=599), b"HTTP/1.1 599 \r\nContent-Length: 2\r\n\r\nab"),
        (Response(b"lost", status=204), b"HTTP/1.1 204 No Content\r\n\r\n"),
        (Response(b"lost", status=304), b"HTTP/1.1 304 Not Modified\r\n\r\n"),
        (
            Response.json({"a": 1}, status=201, headers={"X": "y"}),
            b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nX: y\r\nContent-Length: 8\r\n\r\n"
            + b'{"a": 1}',
        ),
        (
            Response.text("hi", headers=[("A", "1"), ("A", "2")]),
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nA: 1\r\nA: 2\r\n"
            b"Content-Length: 2\r\n\r\nhi",
        ),
    ],
    ids=repr,
)
def test_response_is_these_bytes_in_every_run(response, wire):
    assert encode(Request("GET", "/", []), response) == wire
    assert encode(Request("HEAD", "/", []), response) == wire.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def test_persistence_is_said_where_it_is_not_the_versions_default():
    response = Response(b"")
    heads = {
        (version, kept): encode(Request("GET", "/", [], http_version=version, keep_alive=kept), response)
        for version in ("1.0", "1.1")
        for kept in (True, False)
    }
    assert {key for key, head in heads.items() if b"Connection: close" in head} == {("1.0", False), ("1.1", False)}
    assert {key for key, head in heads.items() if b"Connection: keep-alive" in head} == {("1.0", True)}


@pytest.mark.parametrize("make", [Response, lambda **options: Stream(nothing(), **options)], ids=["Response", "Stream"])
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"status": 199}, "status=199 is not a final status; allowed are 200 to 599"),
        ({"status": 600}, "status=600 is not a final status"),
        ({"status": "200"}, "status='200' is not a final status"),
        ({"headers": {"X": "a\r\nb"}}, "must have a name and no line break"),
        ({"headers": [("X\n", "a")]}, "must have a name and no line break"),
        ({"headers": {"": "a"}}, "must have a name"),
        ({"headers": {"X": "\0"}}, "must have a name and no line break"),
        ({"headers": {"X": "é"}}, "must be ASCII"),
        ({"content_type": "a\r\nb"}, "must have a name and no line break"),
    ],
    ids=str,
)
def test_what_would_break_the_wire_is_refused(make, options, reason):
    with pytest.raises(ScenarioError) as refusal:
        make(**options)
    assert reason in str(refusal.value)


def test_answers_print_what_they_are():
    assert repr(Response("abc", status=201)) == "<Response 201 (3 bytes)>"
    assert repr(Stream(nothing())) == "<Stream 200 (unknown length)>"
    assert repr(Stream(nothing(), length=5)) == "<Stream 200 (5 bytes)>"


def test_heads_of_another_server_s_answers_are_not_kept():
    before = _kept_head.cache_info()
    assert encode_head(200, RelayedFields([("X-Request", "7")])) == b"HTTP/1.1 200 OK\r\nX-Request: 7\r\n"
    assert _kept_head.cache_info() == before
    assert encode_head(200, (("X-Request", "7"),)) == b"HTTP/1.1 200 OK\r\nX-Request: 7\r\n"
    assert _kept_head.cache_info() != before
