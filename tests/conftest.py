"""Shared by all tests."""

# pytester forgets what a run in this process imported; what is imported here is the same in every such run.
import aiohttp  # noqa: F401
import httpx  # noqa: F401
import requests  # noqa: F401

import fake_servers  # noqa: F401
import pytest_httpconc.assertions  # noqa: F401

pytest_plugins = ["pytester"]
