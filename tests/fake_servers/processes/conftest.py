"""What these tests share: one process of a module's own serves all its tests, as it takes a while to start."""

import pytest


@pytest.fixture
def server(started):
    started.reset()
    return started
