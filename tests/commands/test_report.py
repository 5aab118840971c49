"""``httpconc report`` shows what runs have left as JSON."""

import json

import pytest

from pytest_httpconc import cli

TESTS = """
    import requests


    def test_leaves_a_connection_open(fake_http):
        session = requests.Session()
        session.get(fake_http.url, timeout=10)
        kept.append(session)


    def test_is_fine(fake_http):
        requests.get(fake_http.url, timeout=10)


    def test_expects_something_else(fake_http):
        assert requests.get(fake_http.url, timeout=10).status_code == 200


    kept = []
"""


@pytest.fixture
def left(run, pytester, capsys):
    """The JSON report of a run with a leak, a failure, and a test that passed."""
    run(TESTS, "--httpconc-report=report.json")
    capsys.readouterr()
    return pytester.path / "report.json"


def test_text_has_what_failed_and_what_was_found(left, capsys):
    assert cli.main(["report", str(left)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("2 of 3 tests with servers failed, or something was found in them\n")
    assert "::test_leaves_a_connection_open: error (test_text_has_what_failed_and_what_was_found.py:" in shown
    assert "  HC101 connection still open after the test\n" in shown
    assert "for more: httpconc explain HC101" in shown
    assert "::test_expects_something_else: failed (test_" in shown
    assert ")\n  AssertionError: assert 404 == 200\n" in shown
    assert "test_is_fine" not in shown


def test_page_has_the_tests_of_all_runs(left, capsys):
    other, page = left.with_name("other.json"), left.with_name("all.html")
    content = json.loads(left.read_text())
    content["tests"] = [{**content["tests"][0], "name": "of_another_job"}]
    other.write_text(json.dumps(content))
    assert cli.main(["report", str(left), str(other), "--page", str(page)]) == 0
    assert capsys.readouterr().out == f"4 tests: {page}\n"
    assert "of_another_job" in page.read_text()
    assert "other.json: test_page" in page.read_text()
    assert "test_is_fine" in page.read_text()


def test_text_of_a_test_can_not_steer_a_terminal(left, capsys):
    content = json.loads(left.read_text())
    content["tests"][2]["message"] = "\x1b[2J \ud83d"
    left.write_text(json.dumps(content))
    assert cli.main(["report", str(left)]) == 0
    assert "\n  \\x1b[2J \\ud83d" in capsys.readouterr().out


def changed(**given):
    """A report with one test that has a finding, changed."""
    found = dict.fromkeys(("code", "statement", "summary", "hint", "server"), "")
    found = {**found, "evidence": [], "connections": [], "exchanges": [], "level": "of a later version"}
    test = {**dict.fromkeys(("name", "place", "outcome", "message"), ""), "duration": 1.0}
    whole = {"title": "", "created_at": "", "version": "", "format": 1}
    lists = {"servers": [], "figures": [], "findings": [{**found, **given.pop("found", {})}]}
    return json.dumps({**whole, "tests": [{**test, **lists, **given.pop("test", {})}], **given})


def test_report_may_have_more_than_this_version_knows(tmp_path, capsys):
    path = tmp_path / "report.json"
    path.write_text(changed(test={"colour": "red"}))
    assert cli.main(["report", str(path)]) == 0
    assert cli.main(["report", str(path), "--page", str(tmp_path / "page.html")]) == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is no report (JSONDecodeError"),
        ("[]", "is no report (TypeError"),
        ("[" * 100_000, "is no report (RecursionError"),
        (changed(tests=[{}]), "is no report (KeyError"),
        (changed(test={"name": None}), "is no report (TypeError: None is out of place"),
        (changed(test={"servers": [1]}), "is no report (TypeError: 1 is out of place"),
        (changed(test={"servers": [{}]}), "is no report (KeyError: 'lanes'"),
        (changed(test={"duration": float("nan")}), "is no report (ValueError: NaN is no number"),
        (changed(found={"evidence": None}), "is no report (TypeError: None is out of place"),
        (changed(format=2, tests=[{}]), "has format 2, and this version reads 1"),
    ],
    ids=range(10),
)
def test_file_that_is_no_report_is_one_line_and_a_status(tmp_path, capsys, text, problem):
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(SystemExit) as ended:
        cli.main(["report", str(path)])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{path} {problem}" in line


def test_file_that_is_not_there_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["report", str(tmp_path / "none.json")])
    assert ended.value.code == 2
    assert "none.json: No such file" in capsys.readouterr().err
