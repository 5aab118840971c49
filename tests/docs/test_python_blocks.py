"""What the pages show in Python does what they say: it passes, or just what they name is found in it."""

import re
import shutil
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pytest_httpconc.findings import CATALOGUE

ROOT = Path(__file__).parents[2]
#: Plugins that examples use beside ours.
PLUGINS = ("asyncio", "looptime_plugin", "pytest_benchmark.plugin")
INI = f"asyncio_default_fixture_loop_scope = function\npythonpath = {ROOT / 'examples' / 'agent_service'}"

EXECUTION = """
import runpy


def test_block():
    runpy.run_path({path!r}, run_name="__main__")
"""


@dataclass(frozen=True)
class Outcome:
    """What became of one block: how many tests passed, and what the others said."""

    passed: int = 0
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Project:
    """The files that a page names, as they stand where it shows an output of them; what it shows, and says is found."""

    place: str
    files: dict[str, str]
    finds: frozenset[str]
    outputs: list[str]


@pytest.fixture
def run_blocks(run, pytester):
    """Run blocks in one process; give what became of each, by its name."""

    def run_blocks(blocks, *arguments, **settings):
        sources = {f"test_{block.name}": _source(block, pytester.path) for block in blocks}
        run(sources, "--junitxml=all.xml", *arguments, **settings)
        outcomes = {block.name: Outcome() for block in blocks}
        for case in ET.parse(pytester.path / "all.xml").iter("testcase"):
            name = (case.get("classname") or case.get("name")).split(".")[0].removeprefix("test_")
            outcomes[name] = _with(outcomes[name], case)
        return outcomes

    return run_blocks


def _source(block, folder):
    if block.is_test:
        return block.text
    path = folder / f"{block.name}.py"
    path.write_text(block.text, encoding="utf-8")
    return EXECUTION.format(path=str(path))


def _with(outcome, case):
    told = [element.text or element.get("message") for element in case if element.tag in {"failure", "error"}]
    told += [f"skipped: {element.get('message')}" for element in case if element.get("type") == "pytest.skip"]
    return Outcome(outcome.passed + (not told), (*outcome.failures, *told))


def _codes(text):
    """What a run has found: each finding is told by its statement at the end of a line."""
    lines = text.splitlines()
    told = {code: f"{code} {rule.statement}" for code, rule in CATALOGUE.items()}
    return {code for code, statement in told.items() if any(line.endswith(statement) for line in lines)}


def _problems(blocks, outcomes):
    """Where a block did not do what its page says."""
    for block in blocks:
        outcome = outcomes[block.name]
        said = "\n".join(outcome.failures)
        if _codes(said) != block.finds or bool(said) != bool(block.finds):
            yield f"{block}: found {sorted(_codes(said))} and not {sorted(block.finds)}"
        elif block.finds and not block.is_contract and len(outcome.failures) != 1:
            yield f"{block}: {len(outcome.failures)} tests failed and not one"
        elif block.is_contract and outcome.passed < 50:
            yield f"{block}: {outcome.passed} tests of a contract passed, which are too few"
        elif not outcome.passed and not said:
            yield f"{block}: nothing ran"
        for line in _untrue(block.output if block.finds else "", said):
            yield f"{block}: its output has no {line!r}"


def _untrue(claimed, actual):
    """The lines that were not printed; timelines are drawn anew each time, and dots stand for what is left out."""
    printed = {_blurred(line) for line in actual.splitlines()}
    lines = [line for line in claimed.splitlines() if "|" not in line and line != "..."]
    return [line for line in lines if _blurred(line) not in printed]


def _blurred(line):
    """A line without what is different in every run: times, ports and fingerprints."""
    line = " ".join(line.strip("= ").replace("pytest_httpconc.findings.", "").split())
    return re.sub(r"\b[0-9a-f]{16}\b|\d+\.\d+ ?m?s\b( \(.+?\))?|(?<=:)\d{4,5}\b", "?", line)


def _projects(page):
    """A page's projects: wherever it shows an output after its files have changed, one begins."""
    projects, files, finds = [], {}, frozenset()
    for block in page:
        if block.title:
            files, finds = {**files, block.title: block.text}, block.finds
        elif block.language == "text" and files:
            if not projects or projects[-1].files is not files:
                projects.append(Project(str(block), files, finds, []))
            projects[-1].outputs.append(block.text)
    assert not files or projects[-1].files is files, f"no output is shown of {sorted(files)}"
    return projects


def _alike(blocks):
    """Each block but those whose text stands on an earlier page too."""
    return list({(block.text, block.finds): block for block in reversed(blocks)}.values())


def _python(blocks):
    return [block for block in _alike(blocks) if block.language == "python" and not block.title]


def test_catalogue_catches_the_clients_with_bugs_and_clears_the_repaired_ones(blocks, run_blocks):
    shown = [block for block in _python(blocks) if block.page.startswith("docs/findings/")]
    assert list(_problems(shown, run_blocks(shown))) == []


def test_contracts_that_the_pages_show_hold(blocks, run_blocks):
    shown = [block for block in _python(blocks) if block.is_contract]
    assert list(_problems(shown, run_blocks(shown, "-o", "httpconc_grace=10"))) == []


def test_examples_of_readme_and_the_guides_do_what_they_say(blocks, run_blocks):
    shown = [block for block in _python(blocks) if not block.is_contract and "findings" not in block.page]
    assert list(_problems(shown, run_blocks(shown, plugins=PLUGINS, ini=INI))) == []


def test_files_that_a_page_names_do_together_what_it_says(blocks, run, pytester, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    projects = [project for _, page in groupby(blocks, lambda block: block.page) for project in _projects(page)]
    assert projects
    for project in projects:
        sources = {title.removesuffix(".py"): text for title, text in project.files.items()}
        shutil.rmtree(pytester.path / "__pycache__", ignore_errors=True)  # versions may follow within a second
        ran = run(sources, "-o", "httpconc_grace=10")
        printed = ran.stdout.str()
        assert (project.place, _codes(printed), ran.ret) == (project.place, project.finds, 1 if project.finds else 0)
        assert [line for output in project.outputs for line in _untrue(output, printed)] == []


FOUND = f"E   CheckFailed: HC201 {CATALOGUE['HC201'].statement}"


@pytest.mark.parametrize(
    ("finds", "output", "outcome"),
    [
        ({"HC201"}, "", Outcome(passed=1)),
        ({"HC101"}, "", Outcome(failures=(FOUND,))),
        ({"HC101", "HC201"}, "", Outcome(failures=(FOUND,))),
        ({"HC201"}, "", Outcome(failures=(FOUND, FOUND))),
        ({"HC201"}, "for more: httpconc explain HC101", Outcome(failures=(FOUND,))),
        ((), "", Outcome(failures=(FOUND,))),
        ((), "", Outcome(failures=("E   ZeroDivisionError",))),
        ((), "", Outcome()),
    ],
)
def test_block_that_does_not_do_what_its_page_says_is_a_problem(blocks, finds, output, outcome):
    block = replace(blocks[0], finds=frozenset(finds), output=output)
    assert len(list(_problems([block], {block.name: outcome}))) == 1


def test_block_that_does_what_its_page_says_is_none(blocks):
    bug = replace(blocks[0], finds=frozenset({"HC201"}), output=f"...\n{FOUND}")
    assert list(_problems([bug], {bug.name: Outcome(failures=(FOUND,))})) == []
    repaired = replace(blocks[0], finds=frozenset())
    assert list(_problems([repaired], {repaired.name: Outcome(passed=1)})) == []
