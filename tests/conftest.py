"""Shared by all tests."""

import asyncio

# pytester forgets what a run in this process imported; what is imported here is the same in every such run.
import aiohttp  # noqa: F401
import httpx  # noqa: F401
import requests  # noqa: F401

import fake_servers  # noqa: F401
import pytest_httpconc.assertions  # noqa: F401

# looptime's plugin asks for the event loop in every test; where none was ever set, asyncio would make one each time.
asyncio.set_event_loop(None)

pytest_plugins = ["pytester"]
