"""What becomes of results: the baseline's update, properties, JSON, Markdown, annotations."""

import json
from pathlib import Path

import pytest

from pytest_httpconc.bench import ci, tables
from pytest_httpconc.bench.baseline import CorruptBaselineError, Entry, MissingBaselineError, load, save
from pytest_httpconc.bench.gate import Gate
from pytest_httpconc.bench.orders import QUICK, RECORDING, THOROUGH
from pytest_httpconc.bench.results import Result
from pytest_httpconc.bench.stats import Ratio
from pytest_httpconc.bench.verdicts import judge


@pytest.fixture
def result(measured):
    """Make a result that is judged by the counts of an entry."""

    def make(name="test_a.py::test", entry=None, **given):
        figures = measured(relative_cpu=Ratio(2.0, 0.0, float("inf")), **given)
        return Result.of(name, ("/project/test_a.py", 7), figures, judge(figures, entry))

    return make


WORSE = Entry(calls=10, concurrency=2, counts={"connections": (1, 1)})
FINE = Entry(calls=10, concurrency=2, counts={"connections": (2, 2)})


def test_result_crosses_to_another_process_and_back(result):
    one = result(entry=WORSE)
    assert Result.from_dict(one.as_dict()).as_dict() == one.as_dict()
    assert Result.from_dict(one.as_dict()).verdict == "worse"


def test_json_has_no_number_that_json_lacks(result):
    (one,) = json.loads(ci.as_json([result()]))["benchmarks"]
    assert one["ratios"]["relative_cpu"] == {"low": 0.0, "value": 2.0, "high": None}


def test_annotation_is_at_the_line_and_in_one_line(result):
    (line,) = ci.regressions_on_lines([result(entry=WORSE, name="a\nb"), result(entry=FINE)], Path("/project"))
    assert line == (
        "::error file=test_a.py,line=7,title=benchmark regression%3A a%0Ab::10 calls now open 2 connections, baseline 1"
    )


def test_markdown_keeps_its_table_whatever_a_test_is_called(result):
    rows = tables.as_markdown([result(entry=FINE, name="test[a|b]")]).splitlines()
    assert "| test[a\\|b] | better or same |" in rows[-1]


def test_properties_tell_benchmarks_of_one_test_apart(result):
    found = dict(ci.properties(result(entry=WORSE, name="test_a.py::test pooled")))
    assert found["httpconc[pooled].verdict"] == "worse"
    assert found["httpconc[pooled].reason"] == "10 calls now open 2 connections, baseline 1"


def test_depth_follows_what_is_asked_for(tmp_path):
    path = tmp_path / "baseline.json"
    assert Gate(path=path).depth is QUICK
    assert Gate(path=path, judges=True).depth is THOROUGH
    assert Gate(path=path, judges=True, updates=True).depth is RECORDING
    assert Gate(path=path, judges=True, updates=True).judge is None


def test_only_an_update_does_without_a_baseline(tmp_path):
    path = tmp_path / "baseline.json"
    assert Gate(path=path, judges=True, updates=True).entries() == {}
    with pytest.raises(MissingBaselineError):
        Gate(path=path, judges=True).entries()


def test_update_does_not_replace_what_it_can_not_read(tmp_path, result):
    path = tmp_path / "baseline.json"
    path.write_text("{")
    gate = Gate(path=path, judges=True, updates=True, results=[result()])
    with pytest.raises(CorruptBaselineError):
        gate.update()
    assert path.read_text() == "{"


def test_update_counts_what_is_new_or_changed(tmp_path, result):
    path = tmp_path / "baseline.json"
    one = result()
    save(path, {one.name: Entry.from_json(one.entry), "gone": FINE})
    results = [one, result("new")]
    assert Gate(path=path, updates=True, results=results).update() == 1
    assert load(path).keys() == {one.name, "new", "gone"}


def test_ratio_of_one_round_is_not_kept(result):
    assert result().entry.keys() == {"calls", "concurrency", "counts"}


def test_new_benchmark_may_be_let_pass(tmp_path, result):
    path = tmp_path / "baseline.json"
    assert Gate(path=path, results=[result()]).has_unjudged
    assert not Gate(path=path, results=[result()], allows_new=True).has_unjudged
    assert not Gate(path=path, results=[result(entry=FINE)]).has_unjudged
