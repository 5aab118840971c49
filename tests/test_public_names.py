"""The public names are there, sorted, and complete; imports run in the directions that the architecture says."""

import subprocess
import sys
from pathlib import Path

import pytest

import fake_servers
import pytest_httpconc
from fake_servers import faults, latency

ROOT = Path(__file__).parents[1]
MODULES = [fake_servers, pytest_httpconc, faults, latency]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_all_is_sorted_and_every_name_of_it_exists(module):
    assert module.__all__ == sorted(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


def test_all_of_fake_servers_names_everything_that_it_imports_from_itself():
    imported = {
        name
        for name, value in vars(fake_servers).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("fake_servers")
    }
    assert imported <= set(fake_servers.__all__)


def test_every_fault_is_named():
    kinds = {
        name
        for name, value in vars(faults).items()
        if isinstance(value, type) and issubclass(value, faults.Fault) and not value.__subclasses__()
    }
    assert kinds | {"Fault", "Moment"} == set(faults.__all__)


@pytest.mark.parametrize("name", ["nothing", "Finding2"])
def test_unknown_name_of_the_plugin_is_an_attribute_error(name):
    with pytest.raises(AttributeError, match=name):
        getattr(pytest_httpconc, name)


def test_name_that_needs_an_extra_says_which():
    source = "import sys; sys.modules['numpy'] = None; from pytest_httpconc import Side"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: pytest_httpconc.Side needs numpy; install it by pip install 'pytest-httpconc[bench]'"
    )


def test_imports_run_downwards():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
