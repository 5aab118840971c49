"""The fixture: proxies before servers, stopped with the test, and nobody blamed for their connections."""

import pytest
import requests

from fake_servers import ChaosProxy, FakeDockerServer
from fake_servers.faults import Disconnect
from pytest_httpconc import CheckFailed
from pytest_httpconc.clients.docker import RemoteDockerEnvironment
from pytest_httpconc.clients.legacy.docker import RetryingEnvironment
from pytest_httpconc.recordings.forms import load
from pytest_httpconc.recordings.serving import started


def test_everything_that_works_with_a_fake_works_with_a_server_behind_a_proxy(chaos_proxy, fake_docker, httpconc):
    proxy = chaos_proxy(fake_docker)
    proxy.inject(Disconnect(), on="POST /execute", times=1)
    with RetryingEnvironment(server_url=proxy.url, image="python:3.11-slim") as env:
        env.execute("echo data >> log.txt")
    with pytest.raises(CheckFailed, match="HC201"):
        httpconc.assert_at_most_once(proxy, on="POST /execute")
    assert fake_docker.ledger.executions("POST /execute") == 2


def test_client_that_does_not_send_again_passes(chaos_proxy, fake_docker, httpconc):
    proxy = chaos_proxy(fake_docker.url)
    proxy.inject(Disconnect(), on="POST /execute", times=1)
    with RemoteDockerEnvironment(server_url=proxy.url, image="python:3.11-slim") as env:
        assert env.execute("echo data >> log.txt")["returncode"] == -1
    httpconc.assert_at_most_once(proxy, on="POST /execute")
    httpconc.assert_connections(proxy, at_most=2)
    httpconc.assert_no_leaks(proxy, fake_docker)


def test_timeouts_are_read_from_the_client_s_own_sockets(chaos_proxy, fake_docker, httpconc):
    with RemoteDockerEnvironment(server_url=chaos_proxy(fake_docker).url, image="x", timeout=600) as env:
        env.execute("true")
    with FakeDockerServer() as real, ChaosProxy(real.url) as proxy:
        with RemoteDockerEnvironment(server_url=proxy.url, image="x", timeout=3600) as env:
            env.execute("true")
        httpconc.assert_timeout(proxy, on="POST /execute", read=3630)


LEAK = """
    import socket
    import tempfile
    import pytest
    import requests
    from fake_servers import FakeDockerServer, FakeServer

    kept = []

    @pytest.fixture(scope="session")
    def real():
        with tempfile.TemporaryDirectory() as folder, FakeServer(unix_socket=f"{folder}/socket") as server:
            yield server

    def test_leak(chaos_proxy, fake_docker):
        proxies = [chaos_proxy(fake_docker), chaos_proxy(fake_docker.url)]
        kept.append(requests.Session())
        for proxy in proxies:
            kept[0].get(proxy.url + "/health")

    def test_leak_before_a_unix_socket(chaos_proxy, real):
        with socket.socket(socket.AF_UNIX) as own:
            own.connect(real.unix_socket)
            kept.append(requests.Session())
            kept[-1].get(chaos_proxy(f"unix://{real.unix_socket}").url + "/")

    def test_leak_before_a_server_that_has_stopped(chaos_proxy):
        with FakeServer() as real:
            proxy = chaos_proxy(f"tcp://127.0.0.1:{real.port}")
            kept.append(socket.create_connection(("127.0.0.1", proxy.port)))
            kept[-1].sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
            kept[-1].recv(1)

    def test_no_leak(chaos_proxy, fake_docker):
        with requests.Session() as session:
            session.get(chaos_proxy(fake_docker, host="process").url + "/health")
"""


def test_connection_that_leaks_is_blamed_at_the_proxy_and_not_at_the_server_behind_it(run):
    result = run(LEAK)
    result.assert_outcomes(passed=4, errors=3)
    output = result.stdout.str()
    assert output.count("HC101 connection still open after the test") == 3
    assert output.count("HC102 socket abandoned") == 1
    assert output.count("(at ChaosProxy http") >= 4
    assert "(at Fake" not in output
    assert "opened at" in output


def test_proxy_runs_where_the_other_servers_run(run):
    run(
        """
        import asyncio
        import httpx
        import pytest

        @pytest.mark.asyncio
        @pytest.mark.httpconc(virtual_time=True)
        async def test_hour(chaos_proxy, fake_http):
            fake_http.delay(3600)
            proxy = chaos_proxy(fake_http)
            async with httpx.AsyncClient(timeout=7200) as client:
                await client.get(proxy.url + "/x")
            assert asyncio.get_running_loop().time() >= 3600

        @pytest.mark.asyncio
        @pytest.mark.httpconc(host="loop")
        async def test_thread(chaos_proxy, fake_http):
            proxy = chaos_proxy(fake_http, host="thread")
            async with httpx.AsyncClient() as client:
                assert (await client.get(proxy.url + "/x")).status_code == 404

        @pytest.mark.asyncio
        async def test_loop(chaos_proxy, fake_http):
            proxy = chaos_proxy(fake_http, host="loop")
            async with httpx.AsyncClient() as client:
                assert (await client.get(proxy.url + "/x")).status_code == 404

        def test_no_loop(chaos_proxy):
            with pytest.raises(pytest.fail.Exception, match="host='loop' needs an async test"):
                chaos_proxy("http://127.0.0.1:1", host="loop")
        """,
        plugins=["asyncio", "looptime_plugin"],
    ).assert_outcomes(passed=4)


def test_failure_is_replayed_without_the_server_behind_the_proxy(run, pytester):
    source = """
        import requests
        from fake_servers import Response

        def test_orders(chaos_proxy, fake_http):
            fake_http.route("GET /name")(lambda request: Response.text("real"))
            proxy = chaos_proxy(fake_http)
            assert requests.get(proxy.url + "/name", timeout=5).text == "another"
    """
    run(source).assert_outcomes(failed=1)
    [recording] = (pytester.path / ".httpconc").glob("*.json")
    with started(load(recording)) as servers:
        [proxy] = [server for server in servers if isinstance(server, ChaosProxy)]
        assert requests.get(proxy.url + "/name", timeout=5).text == "real"
        assert not proxy.outgoing
