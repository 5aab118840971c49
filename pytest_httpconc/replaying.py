"""The plugin in a run under ``HTTPCONC_REPLAY``, as `httpconc replay FILE -- pytest ...` starts it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fake_servers import ScenarioError
from pytest_httpconc.recordings.takeover import TakeOver

_TAKE_OVER = pytest.StashKey[TakeOver]()


def pytest_configure(config: pytest.Config) -> None:
    """Read the recording, and see every server that starts."""
    try:
        taking = config.stash[_TAKE_OVER] = TakeOver(Path(os.environ["HTTPCONC_REPLAY"]))
    except ScenarioError as error:
        raise pytest.UsageError(f"HTTPCONC_REPLAY: {error}") from None
    taking.install()


def pytest_unconfigure(config: pytest.Config) -> None:
    """See no further server."""
    if _TAKE_OVER in config.stash:  # it is not where the file can't be read
        config.stash[_TAKE_OVER].uninstall()


def pytest_report_header(config: pytest.Config) -> str:
    """Say what is replayed."""
    return f"httpconc: replaying {config.stash[_TAKE_OVER].path}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin with the first recorded server in each test."""
    item.config.stash[_TAKE_OVER].begin_test()
