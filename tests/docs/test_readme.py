"""README shows what really happens."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def block(name):
    (found,) = [block for block in BLOCKS if f"def {name}(" in block]
    return found


@pytest.mark.parametrize(("name", "code"), [("test_commands_run_once", "HC201"), ("test_ping", "HC101")])
def test_bug_that_readme_shows_is_caught(run, name, code):
    result = run(block(name))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*CheckFailed: {code} *", f"*see docs/findings/{code}.md"])


EXAMPLES = [
    "test_orders",
    "test_agents_run_together",
    "test_commands_may_take_half_an_hour",
    "test_fifty_agents_take_as_long_as_one",
    "test_exec_with_docker_py",
    "test_completion_with_openai",
    "test_stream_with_anthropic",
    "test_evaluations_with_my_client",
]


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_that_readme_shows_passes(run, name):
    plugins = ["asyncio", "looptime_plugin"] if "virtual_time" in block(name) else []
    run(block(name), plugins=plugins).assert_outcomes(passed=1)


def test_contract_that_readme_shows_passes(run):
    (contract,) = [block for block in BLOCKS if "(ClientContract)" in block]
    outcomes = run(contract, "-o", "httpconc_grace=10").parseoutcomes()
    assert outcomes["passed"] >= 50
    assert not {"failed", "errors"} & set(outcomes)


def test_every_example_is_run():
    assert len(BLOCKS) == len(EXAMPLES) + 3


def test_there_are_just_two_commands():
    shell = re.findall(r"^```sh\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    assert [command.count("\n") for command in shell] == [1, 1]
