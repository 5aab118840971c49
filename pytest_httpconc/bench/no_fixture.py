"""The fixture where pytest-benchmark is not installed."""

from __future__ import annotations

import pytest


@pytest.fixture
def httpconc_benchmark() -> None:
    """Says what is missing."""
    pytest.fail(
        "httpconc_benchmark needs pytest-benchmark and scipy; install them by pip install 'pytest-httpconc[bench]'",
        pytrace=False,
    )
