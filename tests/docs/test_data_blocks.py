"""What the pages show of files is what their readers take: scenarios, settings, baselines, jobs of CI."""

import configparser
import json

import pytest
import tomlkit
import yaml

from fake_servers import Scenario
from pytest_httpconc.bench.baseline import load

#: Every block is in one of these languages, and something is asked of each but of text, which shows an output.
LANGUAGES = {"ini", "json", "python", "sh", "text", "toml", "yaml"}


def _in(blocks, language):
    return [block for block in blocks if block.language == language]


@pytest.fixture
def refused(pytester):
    """The options of an ini file that pytest, with our plugin, does not know."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    config = pytester.parseconfig()

    def is_known(name):
        try:
            config.getini(name)
        except ValueError:
            return False
        return True

    return lambda options: [name for name in options if not is_known(name)]


def test_every_block_says_its_language(blocks):
    assert [f"{block}: {block.info!r}" for block in blocks if block.language not in LANGUAGES] == []


def test_bugs_are_announced_only_of_python(blocks):
    assert [str(block) for block in blocks if block.finds and block.language != "python"] == []


def test_scenario_files_are_read_and_lose_nothing(blocks):
    scenarios = [Scenario.from_toml(block.text) for block in _in(blocks, "toml") if "[[injections]]" in block.text]
    assert scenarios
    assert all(scenario.injections for scenario in scenarios)
    assert [Scenario.from_toml(scenario.to_toml()) for scenario in scenarios] == scenarios


def test_settings_in_toml_are_known(blocks, refused):
    for block in _in(blocks, "toml"):
        settings = tomlkit.parse(block.text).get("tool", {}).get("pytest", {}).get("ini_options", {})
        assert (str(block), refused(settings)) == (str(block), [])


def test_settings_in_ini_files_are_known(blocks, refused):
    for block in _in(blocks, "ini"):
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(block.text)
        assert parser.sections()
        settings = parser["pytest"] if parser.has_section("pytest") else {}
        assert (str(block), refused(settings)) == (str(block), [])


def test_baseline_is_read_by_the_gate(blocks, tmp_path):
    shown = [block for block in _in(blocks, "json") if "benchmarks" in json.loads(block.text)]
    assert shown
    for block in shown:
        path = tmp_path / "httpconc-baseline.json"
        path.write_text(block.text, encoding="utf-8")
        assert load(path)


def test_jobs_of_ci_are_yaml(blocks):
    assert [str(block) for block in _in(blocks, "yaml") if not isinstance(yaml.safe_load(block.text), dict)] == []
