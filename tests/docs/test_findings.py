"""Every page of the catalogue is true: its first client is caught with the page's code, its second is cleared."""

import re
from pathlib import Path

import pytest

from pytest_httpconc.findings import CATALOGUE

FOLDER = Path(__file__).parents[2] / "docs" / "findings"


def blocks(code):
    return re.findall(r"^```python\n(.*?)^```$", (FOLDER / f"{code}.md").read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("code", CATALOGUE)
def test_page_says_what_the_catalogue_says(code):
    title = (FOLDER / f"{code}.md").read_text().splitlines()[0]
    assert title == f"# {code}: {CATALOGUE[code].statement}"


@pytest.mark.parametrize("code", CATALOGUE)
def test_client_with_the_bug_is_caught(run, code):
    result = run(blocks(code)[0])
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) == 1
    result.stdout.fnmatch_lines(["*CheckFailed: HC*"])
    result.stdout.fnmatch_lines([f"*{code} {CATALOGUE[code].statement}"])


@pytest.mark.parametrize("code", CATALOGUE)
def test_repaired_client_is_cleared(run, code):
    run(blocks(code)[1]).assert_outcomes(passed=1)


def test_every_page_is_in_the_catalogue():
    assert {path.stem for path in FOLDER.glob("HC*.md")} == set(CATALOGUE)
