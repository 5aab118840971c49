"""What released clients do, where it matters: a release that does something else is noticed here."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from pytest_httpconc.survey.adapters import ADAPTERS
from pytest_httpconc.survey.sweeping import cancel_everywhere, cut_everywhere
from pytest_httpconc.survey.waits import Waits, default_waits

INSTALLED = [name for name, adapter in ADAPTERS.items() if adapter.versions() is not None]
SDKS = ["openai", "openai (async)", "anthropic", "anthropic (async)"]
PLAIN = ["requests", "urllib3", "httpx", "httpx (async)", "httpx2", "httpx2 (async)", "aiohttp", "docker-py"]

EXECUTED = "FIN after execution"
STALE = "FIN at the next request's first byte"
IDLE = "FIN while idle"
CUT_HEAD = "FIN in the headers"
CUT_BODY = "FIN in the body"
BAD_STATUS = "status 503, Retry-After: 0"
REDIRECT = "redirect 307"

AIOHTTP = version("aiohttp")

# what is surveyed of a client, with default settings: how often something was executed, and the outcome
DEFAULTS = [
    ("requests", "POST", EXECUTED, 1, "ConnectionError"),
    ("requests", "POST", STALE, 0, "ConnectionError"),
    ("requests", "GET", STALE, 0, "ConnectionError"),
    ("requests", "POST", CUT_HEAD, 1, "200, empty"),
    ("requests", "POST", CUT_BODY, 1, "ChunkedEncodingError"),
    ("requests", "POST", "malformed header", 1, "200"),
    ("requests", "POST", REDIRECT, 1, "200"),
    ("urllib3", "POST", EXECUTED, 1, "ProtocolError"),
    ("urllib3", "GET", EXECUTED, 4, "MaxRetryError"),
    ("urllib3", "POST", STALE, 0, "ProtocolError"),
    ("urllib3", "GET", STALE, 1, "200"),
    ("urllib3", "POST", CUT_HEAD, 1, "200, empty"),
    ("httpx", "POST", EXECUTED, 1, "RemoteProtocolError"),
    ("httpx", "GET", STALE, 0, "RemoteProtocolError"),
    ("httpx", "POST", CUT_HEAD, 1, "RemoteProtocolError"),
    ("httpx", "POST", REDIRECT, 0, "307"),
    ("httpx (async)", "GET", STALE, 0, "RemoteProtocolError"),
    ("httpx2", "GET", STALE, 0, "RemoteProtocolError"),
    ("httpx2 (async)", "GET", STALE, 0, "RemoteProtocolError"),
    ("aiohttp", "POST", EXECUTED, 1, "ServerDisconnectedError"),
    ("aiohttp", "GET", EXECUTED, 2, "ServerDisconnectedError"),
    ("aiohttp", "POST", STALE, 0, "ServerDisconnectedError"),
    ("aiohttp", "GET", STALE, 1, "200"),
    ("aiohttp", "POST", CUT_HEAD, 1, "ServerDisconnectedError"),
    ("aiohttp", "POST", "a trickle that outlasts the timeout", 1, "TimeoutError"),
    ("docker-py", "POST", EXECUTED, 1, "ConnectionError"),
    ("docker-py", "POST", CUT_HEAD, 1, "JSONDecodeError"),
    *((sdk, "POST", EXECUTED, 3, "APIConnectionError") for sdk in SDKS),
    *((sdk, "POST", STALE, 1, "200") for sdk in SDKS),
    *((sdk, "POST", BAD_STATUS, 0, "InternalServerError") for sdk in SDKS[:2]),
    *((sdk, "POST", BAD_STATUS, 0, "ServiceUnavailableError") for sdk in SDKS[2:]),
    *((sdk, "stream", "FIN after 2 events", 1, "RemoteProtocolError") for sdk in SDKS),
    *((sdk, "stream", "last event missing", 1, "200") for sdk in SDKS),
]

UNRETRIED = [
    ("urllib3", "GET", EXECUTED, 1, "ProtocolError"),
    ("aiohttp", "GET", EXECUTED, 2, "ServerDisconnectedError"),
    ("aiohttp", "POST", STALE, 1, "200"),
    *((sdk, "POST", EXECUTED, 1, "APIConnectionError") for sdk in SDKS),
    *((sdk, "POST", STALE, 0, "APIConnectionError") for sdk in SDKS),
]

# connect, read, whole call
WAITS = {
    "requests": Waits("none", "none", "not seen"),
    "urllib3": Waits("none", "none", "not seen"),
    "httpx": Waits("5 s", "5 s", "not seen"),
    "httpx (async)": Waits("5 s", "5 s", "none"),
    "httpx2": Waits("5 s", "5 s", "not seen"),
    "httpx2 (async)": Waits("5 s", "5 s", "none"),
    "aiohttp": Waits("300 s" if AIOHTTP.startswith("3.10.") else "30 s", "none", "300 s"),  # 30 s came later
    "openai": Waits("5 s", "600 s", "not seen"),
    "openai (async)": Waits("5 s", "600 s", "none"),
    "anthropic": Waits("5 s", "600 s", "not seen"),
    "anthropic (async)": Waits("5 s", "600 s", "none"),
    "docker-py": Waits("60 s", "60 s", "not seen"),
}


def is_as_known(client, what, now, known):
    """Fail where a release behaves otherwise, and say what that means."""
    assert now == known, (
        f"{client}, {what}: now {now}, known is {known}. Installed are {ADAPTERS[client].versions()}; if that release "
        "means it, change this test, and make docs/clients.md anew by 'httpconc survey'"
    )


@pytest.mark.parametrize(("client", "call", "fault", "executions", "outcome"), DEFAULTS)
def test_with_default_settings(meet, client, call, fault, executions, outcome):
    cell = meet(client, f"{call}: {fault}")
    is_as_known(client, f"{call}: {fault}", (cell.executions, cell.outcome), (executions, outcome))
    is_as_known(client, "sockets left, and the next call", (cell.left, cell.leaked, cell.usable), (0, 0, "yes"))


@pytest.mark.parametrize(("client", "call", "fault", "executions", "outcome"), UNRETRIED)
def test_without_retries(meet, client, call, fault, executions, outcome):
    cell = meet(client, f"{call}: {fault}", retries=False)
    is_as_known(client, f"without retries, {call}: {fault}", (cell.executions, cell.outcome), (executions, outcome))
    is_as_known(client, "sockets left, and the next call", (cell.left, cell.leaked, cell.usable), (0, 0, "yes"))


@pytest.mark.parametrize("client", PLAIN + SDKS)
@pytest.mark.parametrize("call", ["POST", "GET"])
def test_fin_that_has_arrived_on_an_idle_connection_costs_nothing(meet, client, call):
    cell = meet(client, f"{call}: {IDLE}")
    is_as_known(client, f"{call}: {IDLE}", (cell.connections, cell.executions, cell.outcome), (1, 1, "200"))


@pytest.mark.parametrize("client", PLAIN)
def test_status_503_is_not_retried_for_a_post(meet, client):
    cell = meet(client, f"POST: {BAD_STATUS}")
    is_as_known(client, f"POST: {BAD_STATUS}", (cell.requests, cell.usable), (1, "yes"))


@pytest.mark.parametrize("client", SDKS)
def test_sdk_sends_three_times_on_status_503(meet, client):
    is_as_known(client, BAD_STATUS, meet(client, f"POST: {BAD_STATUS}").requests, 3)


@pytest.mark.parametrize("client", ["httpx", "httpx2", "httpx (async)", "httpx2 (async)"])
def test_bytes_beyond_the_end_of_a_response_fail_the_next_call(meet, client):
    cell = meet(client, "POST: body 5 bytes longer than declared")
    is_as_known(client, "a body longer than declared", (cell.outcome, cell.usable), ("200, cut short", "second call"))


@pytest.mark.parametrize("client", WAITS)
def test_default_timeouts_as_they_reach_the_wire(client):
    is_as_known(client, "default timeouts", default_waits(ADAPTERS[client]), WAITS[client])


@pytest.mark.parametrize(
    ("client", "found"),
    [("requests", ["HC601", "HC602"]), ("urllib3", ["HC601", "HC602"]), ("httpx", []), ("aiohttp", [])],
)
def test_sweep_of_truncations(client, found):
    swept = cut_everywhere(ADAPTERS[client])
    is_as_known(client, "truncations", [words[:5] for words in swept.found], found)


@pytest.mark.parametrize(
    ("client", "points", "found"),
    [("httpx (async)", 4, ["HC701"]), ("httpx2 (async)", 5, []), ("aiohttp", 3, [])],
)
def test_sweep_of_cancellations(client, points, found):
    swept = cancel_everywhere(ADAPTERS[client])
    is_as_known(client, "cancellations", (swept.points, [words[:5] for words in swept.found]), (points, found))


@pytest.mark.parametrize("client", [name for name in INSTALLED if name in PLAIN])
def test_refused_connection_opens_none_and_the_client_works_again(meet, client):
    cell = meet(client, "POST: connection refused")
    is_as_known(client, "refused", (cell.connections, cell.executions, cell.usable), (0, 0, "yes"))
