"""The baseline file: good, missing, corrupt, of another version, read-only."""

import json
import os

import pytest

from pytest_httpconc.bench import baseline
from pytest_httpconc.bench.baseline import Entry, Interval, load, save

ENTRY = Entry(
    calls=60,
    concurrency=20,
    counts={"requests": (60, 60), "connections": (18, 20)},
    ratios={"relative_cpu": Interval(1.9, 2.0, 2.125)},
    exact_cpu=True,
    virtual_seconds=600.0,
)
TEXT = """\
{
  "benchmarks": {
    "a.py::test": {
      "calls": 60,
      "concurrency": 20,
      "counts": {
        "connections": [18, 20],
        "requests": 60
      },
      "exact_cpu": true,
      "ratios": {
        "relative_cpu": [1.9, 2.0, 2.125]
      },
      "virtual_seconds": 600.0
    },
    "b.py::test": {
      "calls": 1,
      "concurrency": 1,
      "counts": {}
    }
  },
  "format": 2
}
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "baseline.json"


def test_file_is_sorted_and_readable_and_reads_back(path):
    entries = {"b.py::test": Entry(calls=1, concurrency=1), "a.py::test": ENTRY}
    save(path, entries)
    assert path.read_text() == TEXT
    assert load(path) == entries


def test_small_ratio_reads_back(path):
    save(path, {"a": Entry(calls=1, concurrency=1, ratios={"speedup": Interval(0.00012345, 0.0002, 0.0003)})})
    assert load(path)["a"].ratios["speedup"] == Interval(0.0001234, 0.0002, 0.0003)


def test_missing_file_says_how_to_make_one(path):
    with pytest.raises(baseline.MissingBaselineError, match="--httpconc-update-baseline") as caught:
        load(path)
    assert caught.value.exit_status == 10


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": 2}',
        '{"format": 2, "benchmarks": []}',
        '{"format": 2, "benchmarks": {"a": {}}}',
        TEXT.replace("60,", '"60",'),
        TEXT.replace("[18, 20]", "[20, 18]"),
        TEXT.replace("[18, 20]", "[18]"),
        TEXT.replace('"requests"', '"wishes"'),
        TEXT.replace("[1.9, 2.0, 2.125]", "[1.9, 2.0]"),
        TEXT.replace("[1.9, 2.0, 2.125]", "[0, 2.0, 2.125]"),
        TEXT.replace("[1.9, 2.0, 2.125]", "[1.9, 2.0, 1.0]"),
        TEXT.replace("600.0", '"soon"'),
    ],
)
def test_corrupt_file_is_told_from_others_and_stays(path, text):
    path.write_text(text)
    with pytest.raises(baseline.CorruptBaselineError, match="corrupt") as caught:
        load(path)
    assert caught.value.exit_status == 11
    assert path.read_text() == text


def test_file_that_is_no_text_is_corrupt(path):
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(baseline.CorruptBaselineError, match="can't be read"):
        load(path)


@pytest.mark.parametrize("version", ["0", "1", "3", '"2"'])
def test_file_of_another_version_is_not_read(path, version):
    path.write_text(TEXT.replace('"format": 2', f'"format": {version}'))
    with pytest.raises(baseline.OtherFormatError, match="format") as caught:
        load(path)
    assert caught.value.exit_status == 12


def test_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(baseline.UnwritableBaselineError) as caught:
        save(tmp_path / "nowhere" / "baseline.json", {})
    assert caught.value.exit_status == 14


def test_write_that_fails_leaves_the_file_and_nothing_beside_it(path, monkeypatch):
    save(path, {"a.py::test": ENTRY})
    before = path.read_text()

    def refuse(self, target):
        raise PermissionError(f"{target} is read-only")

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(baseline.UnwritableBaselineError, match="read-only"):
        save(path, {})
    assert path.read_text() == before
    assert os.listdir(path.parent) == [path.name]


def test_read_only_file_stays(path, monkeypatch):
    path.write_text("reviewed")
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere
    with pytest.raises(baseline.UnwritableBaselineError, match="read-only"):
        save(path, {})
    assert path.read_text() == "reviewed"


def test_mode_of_the_file_stays(path):
    save(path, {})
    path.chmod(0o600)
    save(path, {"a.py::test": ENTRY})
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["benchmarks"].keys() == {"a.py::test"}
