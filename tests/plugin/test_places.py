"""A leak is blamed on the line that opened the socket."""

import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from fake_servers import FakeServer, Response
from pytest_httpconc import probe

CLIENTS = {
    "requests": "kept.append(requests.Session()); kept[-1].get(url)",
    "httpx": "kept.append(httpx.Client()); kept[-1].get(url)",
    "urllib3": "kept.append(urllib3.PoolManager()); kept[-1].request('GET', url)",
    "http.client": "kept.append(http.client.HTTPConnection(url[7:])); kept[-1].request('GET', '/')",
    "socket": "kept.append(socket.create_connection(('127.0.0.1', int(url[17:]))))",
}
SOURCE = """
import asyncio, gc, http.client, socket
import aiohttp, httpx, pytest, requests, urllib3
from fake_servers import FakeServer

kept = []

def ping(url):
    {call}

def test(fake_http):
    ping(fake_http.url)
"""


@pytest.mark.parametrize("client", CLIENTS)
def test_line_that_opened_the_socket_is_named_and_who_called_it(run, client):
    result = run(SOURCE.format(call=CLIENTS[client]))
    result.assert_outcomes(passed=1, errors=1)
    through = f", through {client}" if client in {"requests", "httpx", "urllib3"} else ""
    (name,) = (word for word in str(result.stdout).split() if word.endswith(".py"))
    result.stdout.fnmatch_lines(
        ["*HC101 *", f"*  opened at {name}:8 in ping{through}, called from {name}:11 in test"],
    )


@pytest.mark.parametrize(
    ("library", "place"),
    [
        ("aiohttp.ClientSession", "*  opened at *.py:7 in ping, through aiohttp, called from *.py:12 in test"),
        # anyio connects in a task of its own, whose stack begins where the loop was run.
        ("httpx.AsyncClient", "*  opened at *.py:12 in test, through anyio"),
    ],
)
def test_line_of_an_async_client_is_named(run, library, place):
    source = f"""
import asyncio, aiohttp, httpx

kept = []

async def ping(url):
    kept.append({library}())
    await kept[-1].get(url)

def test(fake_http):
    loop = asyncio.new_event_loop()
    kept.append(loop)
    loop.run_until_complete(ping(fake_http.url))
"""
    result = run(source, "-W", "ignore")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*HC101 *", place])


def test_line_in_a_thread_is_named(run):
    source = """
import threading, requests

kept = []

def ping(url):
    kept.append(requests.Session())
    kept[-1].get(url)

def test(fake_http):
    thread = threading.Thread(target=ping, args=[fake_http.url])
    thread.start()
    thread.join()
"""
    result = run(source)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*  opened at *.py:7 in ping, through requests"])


def test_each_of_many_connections_has_its_own_line(run):
    source = """
import socket

kept = []

def first(server):
    kept.append(socket.create_connection((server.address, server.port)))

def second(server):
    kept.append(socket.create_connection((server.address, server.port)))

def test(fake_http):
    for client in (first, second, first):
        client(fake_http)
        fake_http.ledger.wait_until(lambda ledger: ledger.total_connections == len(kept))
"""
    result = run(source)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*connection 1 *", "* in first, *", "*connection 2 *", "* in second, *", "*connection 3 *", "* in first, *"],
        consecutive=True,
    )


def test_line_is_found_where_tls_was_quicker_than_the_server(httpconc):
    go_on = threading.Event()
    with FakeServer(tls=True) as server, ThreadPoolExecutor(1) as other:

        @server.route("GET /block")
        def block(request):
            go_on.wait(5)
            return Response()

        other.submit(requests.get, server.url + "/block", verify=server.ca_path, timeout=10)
        server.ledger.wait_until(lambda ledger: ledger.in_flight == 1)
        context = ssl.create_default_context(cafile=server.ca_path)
        plain = socket.create_connection((server.address, server.port))
        with context.wrap_socket(plain, server_hostname="localhost", do_handshake_on_connect=False) as sealed:
            go_on.set()
            sealed.do_handshake()
            connection = server.ledger.connections[-1]
            assert connection.peer == sealed.getsockname()
            assert "in test_line_is_found_where_tls_was_quicker" in probe.describe_opening(server, connection)


def test_socket_that_python_does_not_own_is_said_to_be_this_processs(run):
    source = """
import asyncio, uvloop

kept = []

async def ping(url):
    host, port = url[7:].split(":")
    pair = await asyncio.get_running_loop().create_connection(asyncio.Protocol, host, int(port))
    kept.append(pair)

def test(fake_http):
    loop = uvloop.new_event_loop()
    kept.append(loop)
    loop.run_until_complete(ping(fake_http.url))
"""
    result = run(source, "-W", "ignore")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*opened at an unknown line: the socket is held by this process, but is none of Python's"]
    )


def test_socket_of_another_process_names_the_process(run):
    source = """
import subprocess, sys

kept = []
CLIENT = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); sys.stdin.read()"

def start(server):
    kept.append(subprocess.Popen([sys.executable, "-c", CLIENT, str(server.port)], stdin=subprocess.PIPE))
    server.ledger.wait_until(lambda ledger: ledger.total_connections == 1)

def test(fake_http):
    start(fake_http)

def test_afterwards():
    kept[0].communicate()
"""
    result = run(source, "-p", "no:randomly")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*opened at an unknown line: the socket is held by process * (python*)"])


def test_abandoned_socket_has_its_line_too(run):
    source = """
import socket
from fake_servers import Moment
from fake_servers.faults import Disconnect

kept = []

def test(fake_http):
    fake_http.inject(Disconnect(at=Moment.ACCEPT))
    kept.append(socket.create_connection((fake_http.address, fake_http.port)))
    fake_http.ledger.wait_until(lambda ledger: ledger.total_connections and not ledger.open_connections)
"""
    result = run(source)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*HC102 *",
            "*connection 1 from port * in CLOSE_WAIT, closed by fault: no request*",
            "*  opened at *.py:9 in test",
        ]
    )


def test_pool_may_keep_an_abandoned_connection_where_the_marker_says_so(run):
    source = """
import pytest, requests
from fake_servers import Moment
from fake_servers.faults import Disconnect

kept = requests.Session()

@pytest.mark.httpconc(max_idle=1)
def test(fake_http):
    fake_http.inject(Disconnect(at=Moment.IDLE))
    kept.get(fake_http.url)
    fake_http.ledger.wait_until(lambda ledger: ledger.total_connections and not ledger.open_connections)
"""
    run(source).assert_outcomes(passed=1)


def test_hook_is_installed_when_there_is_something_to_see(run):
    source = """
import sys

def test_before():
    assert "pytest_httpconc.probe" not in sys.modules

def test_after(fake_http):
    assert "pytest_httpconc.probe" in sys.modules
"""
    run(source).assert_outcomes(passed=2)


@pytest.mark.parametrize("client", ["requests.Session", "httpx.Client", "urllib3.PoolManager"])
def test_session_that_was_never_closed_is_the_cause(run, client):
    call = "request('GET', url)" if "urllib3" in client else "get(url)"
    source = f"""
import httpx, requests, urllib3

kept = {client}()

def test(fake_http):
    for path in ("/a", "/b"):
        url = fake_http.url + path
        kept.{call}

def test_closes(fake_http):
    with {client}() as session:
        url = fake_http.url
        session.{call}
"""
    result = run(source, "-p", "no:randomly")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        ["*HC105 session or client never closed", f"*a {client} that was never closed keeps 1 connection: 1"]
    )


def test_async_session_that_was_never_closed_is_the_cause(run):
    source = """
import asyncio, aiohttp

kept = []

async def ping(url):
    kept.append(aiohttp.ClientSession())
    await kept[-1].get(url)

def test(fake_http):
    loop = asyncio.new_event_loop()
    kept.append(loop)
    loop.run_until_complete(ping(fake_http.url))
"""
    result = run(source, "-W", "ignore")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*a aiohttp.ClientSession that was never closed keeps 1 connection: 1"])


def test_response_that_is_held_is_the_cause_where_the_session_was_closed(run):
    source = """
import requests

kept = []

def test(fake_http):
    session = requests.Session()
    kept.append(session)
    kept.append(session.get(fake_http.url))
    session.close()
"""
    result = run(source)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*through requests; its session was closed, so a response that is still held keeps it"]
    )
    result.stdout.no_fnmatch_line("*HC105*")
