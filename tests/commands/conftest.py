"""`httpconc` as a process."""

import subprocess
import sys
from contextlib import ExitStack

import pytest


@pytest.fixture
def start():
    """Start `httpconc` with these arguments; it is killed at the end, however far the test has come."""
    with ExitStack() as ends:

        def start(*arguments):
            command = [sys.executable, "-m", "pytest_httpconc", *arguments]
            process = ends.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            ends.callback(process.kill)
            return process

        yield start
