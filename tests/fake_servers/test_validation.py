"""JSON requests, checked field by field."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_servers.http import Request
from fake_servers.validation import Field, Invalid, read, read_body

FIELDS = (
    Field("name", str),
    Field("limit", (int, float), 1.5),
    Field("env", dict, {}, items=str),
    Field("tags", list, ["a"], items=str),
    Field("dry", bool, False),
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=9)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner), max_leaves=9
)
OBJECTS = st.dictionaries(st.sampled_from([field.name for field in FIELDS]), JSON)


def problems(value):
    with pytest.raises(Invalid) as invalid:
        read(value, FIELDS, at=("body",))
    return [(problem["loc"], problem["msg"]) for problem in invalid.value.problems]


def test_what_is_left_out_has_its_default():
    assert read({"name": "x"}, FIELDS, at=("body",)) == {
        "name": "x",
        "limit": 1.5,
        "env": {},
        "tags": ["a"],
        "dry": False,
    }


def test_defaults_are_nobody_elses():
    read({"name": "x"}, FIELDS, at=("body",))["tags"].append("b")
    assert read({"name": "x"}, FIELDS, at=("body",))["tags"] == ["a"]


def test_what_is_not_known_is_passed_over():
    assert "more" not in read({"name": "x", "more": 1}, FIELDS, at=("body",))


def test_every_problem_is_told():
    assert problems({"limit": "1", "env": {"A": 1, "B": "b", "C": None}, "tags": ["a", 1], "dry": 0}) == [
        (["body", "name"], "Field required"),
        (["body", "limit"], "Input should be a valid number"),
        (["body", "env", "A"], "Input should be a valid string"),
        (["body", "env", "C"], "Input should be a valid string"),
        (["body", "tags", 1], "Input should be a valid string"),
        (["body", "dry"], "Input should be a valid boolean"),
    ]


@pytest.mark.parametrize("value", [None, [], "x", 1, True])
def test_what_is_no_object_is_refused(value):
    assert problems(value) == [(["body"], "Input should be a valid object")]


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), -float("inf"), 10**400, -(10**400)])
def test_number_that_is_not_finite_is_refused(limit):
    assert problems({"name": "x", "limit": limit}) == [(["body", "limit"], "Input should be a finite number")]


@pytest.mark.parametrize("limit", [0, -3, 2.5, 10**300])
def test_any_finite_number_is_one(limit):
    assert read({"name": "x", "limit": limit}, FIELDS, at=("body",))["limit"] == limit


@pytest.mark.parametrize(
    ("field", "value", "place"),
    [("name", "\ud800", []), ("env", {"A": "\udfff"}, ["A"]), ("tags", ["a", "b\ud800"], [1])],
)
def test_half_of_a_surrogate_pair_is_no_text(field, value, place):
    message = "Input should be a valid string, unable to parse raw data as a unicode string"
    assert problems({"name": "x", field: value}) == [(["body", field, *place], message)]


@pytest.mark.parametrize("limit", [True, False])
def test_boolean_is_no_number(limit):
    assert problems({"name": "x", "limit": limit}) == [(["body", "limit"], "Input should be a valid number")]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{'name': 1}", b"\xff\xfe", b'{"name": "x"} {}', b"[" * 100_000, b"9" * 5000],
    ids=["empty", "cut short", "no JSON", "no text", "too much", "too deep", "too long a number"],
)
def test_body_that_is_no_json_is_refused(body):
    with pytest.raises(Invalid) as invalid:
        read_body(Request("POST", "/", (), body=body), FIELDS)
    (problem,) = invalid.value.problems
    assert (problem["loc"], problem["type"]) == (["body"], "json_invalid")
    assert problem["msg"].startswith("JSON decode error")


def test_answer_is_422_in_the_shape_of_fastapi():
    response = Invalid([{"type": "missing", "loc": ["body", "a"], "msg": "Field required"}]).response()
    assert response.status == 422
    assert json.loads(response.body) == {"detail": [{"type": "missing", "loc": ["body", "a"], "msg": "Field required"}]}


@given(value=OBJECTS)
def test_object_is_read_or_refused_and_every_problem_names_a_field(value):
    try:
        result, found = read(value, FIELDS, at=("body",)), []
    except Invalid as invalid:
        result, found = {}, invalid.problems
    names = [field.name for field in FIELDS]
    assert list(result) == ([] if found else names)
    assert {problem["loc"][1] for problem in found} <= set(names)
    assert found or all(result[name] == value[name] for name in value)
