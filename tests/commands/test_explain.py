"""``httpconc explain`` prints the catalogue's pages, from wherever the plugin is installed."""

from pathlib import Path

import pytest

from pytest_httpconc import cli
from pytest_httpconc.commands.explain import page
from pytest_httpconc.findings import CATALOGUE

FOLDER = Path(__file__).parents[2] / "docs" / "findings"


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_code_has_its_page_where_the_plugin_is_installed(code):
    source = [line for line in (FOLDER / f"{code}.md").read_text(encoding="utf-8").splitlines() if "<!--" not in line]
    assert page(code).splitlines() == source


def test_page_is_printed_as_it_is_written(capsys):
    assert cli.main(["explain", "HC201"]) == 0
    assert capsys.readouterr().out == page("HC201")


def test_codes_may_be_several_and_in_small_letters(capsys):
    assert cli.main(["explain", "hc101", "hc301"]) == 0
    assert capsys.readouterr().out == page("HC101") + page("HC301")


def test_terminal_shows_the_page_and_not_its_markup(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    assert cli.main(["explain", "HC201"]) == 0
    shown = capsys.readouterr().out
    assert f"HC201: {CATALOGUE['HC201'].statement}" in shown
    assert "\x1b[" in shown
    assert "```" not in shown


def test_without_a_code_the_catalogue_is_listed(capsys):
    assert cli.main(["explain"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{code}  {rule.statement}" for code, rule in CATALOGUE.items()]


def test_unknown_code_is_one_line_and_a_status(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["explain", "HC999"])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "'HC999' is not in the catalogue; allowed are HC101, " in line
