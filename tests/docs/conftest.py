"""Runs what the documentation shows."""

import pytest


@pytest.fixture
def run(pytester, monkeypatch):
    """Run a test file's source in a process of its own: what a client with a bug leaves must reach no other test."""

    def run(source):
        pytester.makepyfile(source)
        pytester.makeini("[pytest]\nhttpconc_grace = 0.2")
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        return pytester.runpytest_subprocess("-p", "pytest_httpconc.plugin", "-p", "no:cacheprovider")

    return run
