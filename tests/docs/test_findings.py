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


#: Each page has one pair of programs or more: with the bug, and repaired.
PAIRS = [(code, number) for code in CATALOGUE for number in range(len(blocks(code)) // 2)]


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_program_with_a_bug_is_followed_by_its_repair(code):
    assert len(blocks(code)) >= 2
    assert len(blocks(code)) % 2 == 0


@pytest.mark.parametrize(("code", "number"), PAIRS)
def test_client_with_the_bug_is_caught(run, code, number):
    result = run(blocks(code)[2 * number])
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) == 1
    result.stdout.fnmatch_lines(["*CheckFailed: HC*"])
    result.stdout.fnmatch_lines([f"*{code} {CATALOGUE[code].statement}"])


@pytest.mark.parametrize(("code", "number"), PAIRS)
def test_repaired_client_is_cleared(run, code, number):
    run(blocks(code)[2 * number + 1]).assert_outcomes(passed=1)


def test_every_page_is_in_the_catalogue():
    assert {path.stem for path in FOLDER.glob("HC*.md")} == set(CATALOGUE)
