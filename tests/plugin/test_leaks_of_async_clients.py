"""Clients of asyncio: what they leave open is found, and what they close is not, wherever the server runs."""

import pytest

SOURCE = """
    import aiohttp, httpx, pytest, pytest_asyncio

    kept = []

    def keep(client):
        kept.append(client)
        return client
    {fixture}
    @pytest.mark.asyncio
    {marker}
    async def test({arguments}):
        {body}
"""
# An abandoned client warns when its interpreter ends, as it should; that is not what these tests are about.
QUIET = ("-W", "ignore")
HOSTS = pytest.mark.parametrize("host", ["thread", "loop"])


@pytest.fixture
def run_async(run):
    def run_async(host, body, fixture="", arguments="fake_http"):
        marker = f'@pytest.mark.httpconc(host="{host}")'
        source = SOURCE.format(fixture=fixture, marker=marker, arguments=arguments, body=body)
        return run(source, *QUIET, plugins=["pytest_asyncio.plugin"])

    return run_async


@pytest.mark.parametrize(
    ("host", "client"),
    # Not aiohttp in the server's own loop: its idle connections close by themselves when that server stops.
    [("thread", "aiohttp.ClientSession"), ("thread", "httpx.AsyncClient"), ("loop", "httpx.AsyncClient")],
)
def test_client_that_is_never_closed_is_blamed(run_async, host, client):
    result = run_async(host, f"await keep({client}()).get(fake_http.url)")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*HC101 connection still open after the test", "*idle after 1 request*GET / (404), *"])


@HOSTS
@pytest.mark.parametrize("client", ["aiohttp.ClientSession", "httpx.AsyncClient"])
def test_client_that_is_closed_is_not_blamed(run_async, host, client):
    body = f"""async with {client}() as client:
            await client.get(fake_http.url)"""
    run_async(host, body).assert_outcomes(passed=1)


@HOSTS
@pytest.mark.parametrize("arguments", ["client, fake_http", "fake_http, client"])
def test_async_fixture_that_closes_its_client_is_not_blamed(run_async, host, arguments):
    fixture = """
    @pytest_asyncio.fixture
    async def client():
        async with aiohttp.ClientSession() as session:
            yield session
    """
    run_async(host, "await client.get(fake_http.url)", fixture, arguments).assert_outcomes(passed=1)


def test_host_loop_serves_the_methods_of_a_class(run):
    source = """
        import aiohttp, pytest

        @pytest.mark.httpconc(host="loop")
        class TestClient:
            @pytest.mark.asyncio
            @pytest.mark.parametrize("calls", [1, 2])
            async def test(self, fake_docker, calls):
                async with aiohttp.ClientSession() as session:
                    for _ in range(calls):
                        async with session.get(fake_docker.url + "/health") as response:
                            assert response.status == 200
                assert fake_docker.ledger.count() == calls
    """
    run(source, plugins=["pytest_asyncio.plugin"]).assert_outcomes(passed=2)


def test_failure_within_the_loop_leaves_no_server_running(run_async):
    result = run_async("loop", "assert fake_http.is_running and False")
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*runs in a loop: stop it*")
