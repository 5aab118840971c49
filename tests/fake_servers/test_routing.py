"""Patterns and routers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_servers import FakeServer, ScenarioError
from fake_servers.routing import Pattern, Router

segments = st.lists(st.text("abc.-_~%1", min_size=1, max_size=3), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("text", "meant", "not_meant"),
    [
        ("*", ["GET /", "POST /a/b", "OPTIONS *", " "], []),
        ("GET /jobs", ["GET /jobs"], ["POST /jobs", "GET /jobs/", "GET /jobs/1", "GET /"]),
        ("GET /jobs/*", ["GET /jobs/1"], ["GET /jobs", "GET /jobs/", "GET /jobs/1/2"]),
        ("GET /*/log", ["GET /a/log"], ["GET /log", "GET //log", "GET /a/b/log", "GET /a/logs"]),
        ("* /v1/**", ["GET /v1", "PUT /v1/a/b", "GET /v1/"], ["GET /v2", "GET /v10"]),
        ("GET *", ["GET /", "GET /a/b"], ["POST /"]),
        ("* /x", ["GET /x", "DELETE /x"], ["GET /y"]),
        ("GET /**", ["GET /", "GET /a"], ["POST /"]),
        ("GET /a.b", ["GET /a.b"], ["GET /axb"]),
        ("GET /a.b/*", ["GET /a.b/c"], ["GET /axb/c"]),
    ],
)
def test_pattern_means_these_requests_and_no_others(text, meant, not_meant):
    pattern = Pattern.parse(text)
    assert [route for route in meant if not pattern.matches(*route.split(" ", 1))] == []
    assert [route for route in not_meant if pattern.matches(*route.split(" ", 1))] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "GET",
        "/x",
        "get /x",
        "GET x",
        "GET  /x",
        "GET /x y",
        "GET /a*",
        "GET /**/b",
        "GET /a**",
        "** /x",
        None,
        5,
        ("GET", "/x"),
    ],
)
def test_text_of_another_form_is_refused_with_an_example(text):
    with pytest.raises(ScenarioError, match="as in"):
        Pattern.parse(text)


@given(segments)
def test_plain_path_means_itself_alone(parts):
    path = "/" + "/".join(parts)
    pattern = Pattern.parse(f"GET {path}")
    assert pattern.is_exact
    assert pattern.matches("GET", path)
    assert not pattern.matches("GET", path + "/x")


@given(segments, st.data())
def test_star_stands_for_any_one_segment(parts, data):
    index = data.draw(st.integers(0, len(parts) - 1))
    pattern = Pattern.parse("GET /" + "/".join([*parts[:index], "*", *parts[index + 1 :]]))
    assert pattern.matches("GET", "/" + "/".join(parts))
    assert not pattern.matches("GET", "/" + "/".join([*parts, "more"]))


def test_exact_route_goes_before_a_pattern_and_patterns_in_order():
    router: Router[str] = Router()
    for text in ("* /a/**", "GET /a/*", "GET /a/b"):
        router.add(text, text)
    assert [router.find("GET", path) for path in ("/a/b", "/a/c", "/a/b/c", "/z")] == [
        "GET /a/b",
        "* /a/**",
        "* /a/**",
        None,
    ]


def test_route_registered_again_is_replaced():
    router: Router[int] = Router()
    for number, text in enumerate(["GET /a", "GET /*", "GET /a", "GET /*"]):
        router.add(text, number)
    assert (router.find("GET", "/a"), router.find("GET", "/b"), list(router)) == (2, 3, ["GET /a", "GET /*"])


def test_head_falls_back_to_get_but_not_the_other_way():
    router: Router[str] = Router()
    router.add("GET /a", "get")
    router.add("HEAD /b", "head")
    assert (router.find("HEAD", "/a"), router.find("HEAD", "/b"), router.find("GET", "/b")) == ("get", "head", None)


def test_methods_of_a_path_are_told():
    router: Router[int] = Router()
    for text in ("POST /a", "GET /a", "DELETE /*", "GET /b"):
        router.add(text, 0)
    assert (router.methods("/a"), router.methods("/c"), router.methods("/a/b")) == (
        ["DELETE", "GET", "POST"],
        ["DELETE"],
        [],
    )


def test_server_tells_its_routes_and_refuses_a_wrong_one():
    server = FakeServer()
    server.route("GET /a")(lambda request: None)
    with pytest.raises(ScenarioError, match="is not a pattern"):
        server.route("/b")(lambda request: None)
    assert server.routes == ("GET /a",)
