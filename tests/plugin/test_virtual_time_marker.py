"""Tests on a virtual clock, by the marker."""

import pytest

PLUGINS = ("asyncio", "looptime_plugin")
ASYNCIO = "asyncio_default_fixture_loop_scope = function"

HEADLINES = """
    import asyncio
    import pytest
    from fake_servers import FakeEvalServer
    from pytest_httpconc.clients.evals import evaluate

    def calls(server, agents):
        for number in range(agents):
            yield evaluate("Submitted", "diff", "container", f"task-{number}", "bench", "test", server.url)

    @pytest.mark.asyncio
    @pytest.mark.httpconc(virtual_time=True, min_concurrency=10, max_connections=50)
    @pytest.mark.parametrize(("agents", "gpus", "seconds"), [(10, 10, 30), (50, 50, 30), (50, 10, 150)])
    async def test_evaluations(agents, gpus, seconds):
        begun_at = asyncio.get_running_loop().time()
        async with FakeEvalServer(gpus=gpus, duration=30.0) as server:
            await asyncio.gather(*calls(server, agents))
            assert server.ledger.service_time() == 30 * agents
            assert server.ledger.speedup() == gpus
        assert asyncio.get_running_loop().time() - begun_at == seconds
"""


def test_headlines_are_equalities(run):
    run(HEADLINES, plugins=PLUGINS, ini=ASYNCIO).assert_outcomes(passed=3)


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_fixtures_servers_follow_the_clock(run, mode):
    source = f"""
        import asyncio, aiohttp, pytest

        pytestmark = pytest.mark.httpconc(virtual_time=True)

        {"@pytest.mark.asyncio" if mode == "strict" else ""}
        async def test(fake_http, fake_llm):
            fake_http.delay(1800)
            begun_at = asyncio.get_running_loop().time()
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1000)) as session:
                with pytest.raises(asyncio.TimeoutError):
                    await session.get(fake_http.url)
            assert asyncio.get_running_loop().time() - begun_at == 1000
    """
    run(source, plugins=PLUGINS, ini=f"{ASYNCIO}\nasyncio_mode = {mode}").assert_outcomes(passed=1)


def test_ini_option_is_the_default(run):
    source = """
        import asyncio, pytest

        @pytest.mark.asyncio
        @pytest.mark.httpconc(leaks="fail")
        async def test_marked(fake_http):
            await asyncio.sleep(3600)

        @pytest.mark.asyncio
        async def test_unmarked(fake_http):
            await asyncio.sleep(3600)

        def test_sync():
            pass

        @pytest.mark.asyncio
        @pytest.mark.httpconc(virtual_time=False)
        async def test_taken_back():
            begun_at = asyncio.get_running_loop().time()
            await asyncio.sleep(0.01)
            assert asyncio.get_running_loop().time() - begun_at != 0.01
    """
    ini = f"{ASYNCIO}\nhttpconc_virtual_time = true"
    run(source, plugins=PLUGINS, ini=ini).assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("source", "plugins", "message"),
    [
        (
            "def test(fake_http): pass",
            PLUGINS,
            "*virtual_time needs an async test that pytest-asyncio runs, and test is",
        ),
        ("async def test(fake_http): pass", (), "*virtual_time needs pytest-asyncio; install it by pip install *"),
        (
            "async def test(fake_http): pass",
            PLUGINS[:1],
            "*virtual_time needs looptime; install it by pip install 'pytest-httpconc?virtual-time?'",
        ),
    ],
)
def test_test_that_cannot_have_it_says_so(run, source, plugins, message):
    marks = "import pytest\n@pytest.mark.httpconc(virtual_time=True)\n"
    ini = ASYNCIO if plugins else ""
    if plugins:
        marks += "@pytest.mark.asyncio\n" if source.startswith("async") else ""
    result = run(marks + source, plugins=plugins, ini=ini)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"{message}*"])


def test_thread_cannot_follow_a_virtual_clock(run):
    source = """
        import pytest
        from fake_servers import FakeServer

        @pytest.mark.asyncio
        @pytest.mark.httpconc(virtual_time=True)
        async def test_thread():
            with FakeServer():
                pass

        @pytest.mark.asyncio
        @pytest.mark.httpconc(virtual_time=True, host="thread")
        async def test_both(fake_http):
            pass
    """
    result = run(source, "-p", "no:randomly", plugins=PLUGINS, ini=ASYNCIO)
    result.assert_outcomes(failed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*virtual_time=True and host='thread' can't go together*",
            "*ScenarioError: a server in a thread can't follow the virtual clock of the running loop*",
        ]
    )


@pytest.mark.parametrize("client", ["requests.get(url)", "httpx.get(url)", "urllib.request.urlopen(url)"])
def test_blocking_client_in_the_loop_of_its_server_is_refused_and_does_not_hang(run, client):
    source = f"""
        import httpx, pytest, requests, urllib.request

        @pytest.mark.asyncio
        @pytest.mark.httpconc(host="loop")
        async def test(fake_http):
            url = fake_http.url
            {client}
    """
    result = run(source, plugins=PLUGINS, ini=ASYNCIO)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*a blocking client can't be used in the loop that its server runs in*"])
