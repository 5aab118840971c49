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
    assert "::test_leaves_a_connection_open: error\n" in shown
    assert "  HC101 connection still open after the test\n" in shown
    assert "for more: httpconc explain HC101" in shown
    assert "::test_expects_something_else: failed\n  AssertionError: assert 404 == 200\n" in shown
    assert "test_is_fine" not in shown


def test_page_has_the_tests_of_all_runs(left, capsys):
    other, page = left.with_name("other.json"), left.with_name("all.html")
    content = json.loads(left.read_text())
    content["tests"] = [{**content["tests"][0], "name": "of_another_job"}]
    other.write_text(json.dumps(content))
    assert cli.main(["report", str(left), str(other), "--page", str(page)]) == 0
    assert capsys.readouterr().out == f"4 tests: {page}\n"
    assert "of_another_job" in page.read_text()
    assert "test_is_fine" in page.read_text()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is no report (JSONDecodeError"),
        ("[]", "is no report (TypeError"),
        ('{"format": 1, "title": "", "created_at": "", "version": ""}', "is no report (KeyError: 'tests')"),
        ('{"format": 1, "title": "", "created_at": "", "version": "", "tests": [{}]}', "is no report (KeyError"),
        ('{"format": 2, "title": "", "created_at": "", "version": "", "tests": []}', "has format 2, and this version"),
    ],
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
