"""`httpconc demo`, as README's first command runs it."""

import subprocess
import sys

import pytest

from pytest_httpconc import demo
from pytest_httpconc.demo import Verdict


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    command = [sys.executable, "-m", "pytest_httpconc", "demo"]
    folder = tmp_path_factory.mktemp("anywhere")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert not done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("client", "verdict"),
    [
        ("RetryingEnvironment", "HC201"),
        ("PerCallEnvironment", "HC103"),
        ("LeakyEnvironment", "HC101"),
        ("ShortTimeoutEnvironment", "aborted by client"),
    ],
)
def test_wrong_client_is_caught(output, client, verdict):
    (line,) = [line for line in output.splitlines() if line.strip().startswith(client)]
    assert "CAUGHT" in line
    assert verdict in line


def test_repaired_client_is_cleared_in_every_test(output):
    lines = [line for line in output.splitlines() if line.strip().startswith("RemoteDockerEnvironment")]
    assert [line.split()[-1] for line in lines] == ["cleared"] * 4


def test_it_ends_with_a_summary(output):
    assert output.splitlines()[-1] == "8 verdicts: 4 caught, 4 cleared, each as it should be"


@pytest.mark.parametrize(("failure", "expected"), [("", "HC201"), ("assert 1 == 2", "")])
def test_wrong_verdict_is_seen(capsys, failure, expected):
    verdict = Verdict(test="A test.", client="Client", findings=(), failure=failure, expected=expected)
    demo._print([verdict], ["details"])
    assert not verdict.is_right
    assert f"(should be: {expected or 'cleared'})" in capsys.readouterr().out


def test_unknown_command_is_one_line_and_a_status():
    done = subprocess.run([sys.executable, "-m", "pytest_httpconc", "nonsense"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "invalid choice: 'nonsense'" in done.stderr
