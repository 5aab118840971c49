"""What the page on proxies shows is true: its Python runs, its commands are read."""

import re
import shlex
from pathlib import Path

import pytest

from pytest_httpconc import cli
from pytest_httpconc.commands.proxy import make_proxy

PAGE = (Path(__file__).parents[2] / "docs" / "proxy.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_example_passes(run):
    (example,) = [block for block in blocks("python") if "def test_" in block]
    run(example).assert_outcomes(passed=1)


@pytest.mark.parametrize("block", [block for block in blocks("python") if "def test_" not in block])
def test_code_does_what_it_says(block):
    exec(block, {})


@pytest.mark.parametrize("command", [line for block in blocks("sh") for line in block.splitlines()])
def test_command_makes_a_proxy(command):
    assert make_proxy(cli.make_parser().parse_args(shlex.split(command)[1:])).upstream in command
