"""Every page of the catalogue has what it is for: a client with the bug, its repair, and the catalogue's own words."""

from pathlib import Path

import pytest

from pytest_httpconc.findings import CATALOGUE

FOLDER = Path(__file__).parents[2] / "docs" / "findings"


@pytest.mark.parametrize("code", CATALOGUE)
def test_page_says_what_the_catalogue_says(code):
    title = (FOLDER / f"{code}.md").read_text().splitlines()[0]
    assert title == f"# {code}: {CATALOGUE[code].statement}"


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_program_with_a_bug_is_followed_by_its_repair(code, blocks):
    has_bug = [code in block.finds for block in blocks if block.page == f"docs/findings/{code}.md"]
    assert has_bug
    assert has_bug == [True, False] * (len(has_bug) // 2)


def test_every_page_is_in_the_catalogue():
    assert {path.stem for path in FOLDER.glob("HC*.md")} == set(CATALOGUE)


@pytest.mark.parametrize("code", CATALOGUE)
def test_list_of_the_catalogue_leads_to_every_page(code):
    assert f"| [{code}]({code}.md) | {CATALOGUE[code].statement} |\n" in (FOLDER / "README.md").read_text()
