"""README begins with two commands, each one line to be copied; its code is run with that of the other pages."""


def test_there_are_just_two_commands(blocks):
    shell = [block.text for block in blocks if block.page == "README.md" and block.language == "sh"]
    assert [command.count("\n") for command in shell] == [1, 1]


BEHIND_PROXIES = """
import pytest
from fake_servers import FakeDockerServer, FakeServer

@pytest.fixture
def real():
    with FakeDockerServer() as docker, FakeServer() as http:
        yield {"docker": docker, "http": http}

@pytest.fixture
def fake_docker(real, chaos_proxy):
    return chaos_proxy(real["docker"])

@pytest.fixture
def fake_http(real, chaos_proxy):
    return chaos_proxy(real["http"])
"""


def test_examples_work_word_for_word_behind_proxies(blocks, run, pytester):
    pytester.makeconftest(BEHIND_PROXIES)
    names = ["test_commands_run_once", "test_orders", "test_agents_run_together", "test_commands_may_take_half_an_hour"]
    shown = [block.text for block in blocks if block.page == "README.md" and block.language == "python"]
    result = run("\n\n".join(text for text in shown if any(f"def {name}(" in text for name in names)))
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["*CheckFailed: HC201 *", "*(at ChaosProxy http*"])
