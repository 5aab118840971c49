"""The reference of the plugin names all that it offers to pytest, and nothing else."""

import re
from pathlib import Path

import pytest

from pytest_httpconc.policy import Policy

ROOT = Path(__file__).parents[2]
SECTIONS = (ROOT / "docs" / "reference" / "pytest.md").read_text().split("\n## ")


def rows(heading):
    """The names that a section's table begins its rows with."""
    (section,) = [section for section in SECTIONS if section.startswith(f"{heading}\n")]
    return set(re.findall(r"^\| `([\w-]+)", section, re.MULTILINE))


@pytest.fixture
def told(pytester):
    """What pytest says itself when it is asked for something."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    return lambda option: pytester.runpytest_inprocess(option).stdout.str()


def test_options_are_those_that_pytest_knows(told):
    text = told("--help")
    assert rows("Command line") == set(re.findall(r"^  (--httpconc[\w-]*|--benchmark)(?![\w-])", text, re.MULTILINE))
    assert rows("Ini file") == set(re.findall(r"^  (httpconc_\w+) ", text, re.MULTILINE))


def test_fixtures_are_those_of_the_plugin(told):
    places = re.findall(r"^(\w+) -- (.+)$", told("--fixtures"), re.MULTILINE)
    assert rows("Fixtures") == {name for name, place in places if "pytest_httpconc/" in place}


def test_marker_has_a_row_for_every_option():
    table = (ROOT / "README.md").read_text().partition("[start:marker]")[2].partition("[end:marker]")[0]
    assert set(re.findall(r"^\| `(\w+)=", table, re.MULTILINE)) == set(Policy.__dataclass_fields__)
