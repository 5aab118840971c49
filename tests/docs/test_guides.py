"""What the guides show is true: their Python runs, their scenario files are read."""

import re
from pathlib import Path

import pytest

from fake_servers import Scenario
from fake_servers.faults import Disconnect

FOLDER = Path(__file__).parents[2] / "docs"
GUIDE = (FOLDER / "scenario-files.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: re.search(r"def (test_\w+)", block)[1])
def test_example_passes(run, block):
    run(block).assert_outcomes(passed=1)


def test_scenario_file_is_read():
    (text,) = blocks("toml")
    scenario = Scenario.from_toml(text)
    assert scenario.injections[0].fault == Disconnect()
    assert Scenario.from_toml(scenario.to_toml()) == scenario
