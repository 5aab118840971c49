"""The marker, and the ini options that are its defaults."""

import pytest

LEAK = """
    import pytest, requests

    kept = [requests.Session(), requests.Session()]
    {module}

    {marker}
    def test(fake_http):
        for session in kept[:{count}]:
            session.get(fake_http.url)
"""


def leak(marker="", module="", count=1):
    return LEAK.format(marker=marker, module=module, count=count)


@pytest.mark.parametrize(
    ("marker", "count", "outcomes"),
    [
        ("", 1, {"passed": 1, "errors": 1}),
        ('@pytest.mark.httpconc(leaks="allow")', 1, {"passed": 1}),
        ('@pytest.mark.httpconc(leaks="warn")', 1, {"passed": 1, "warnings": 1}),
        ('@pytest.mark.httpconc(ignore=["HC101"])', 1, {"passed": 1}),
        ("@pytest.mark.httpconc(max_idle=1)", 1, {"passed": 1}),
        ("@pytest.mark.httpconc(max_idle=1)", 2, {"passed": 1, "errors": 1}),
        ("@pytest.mark.httpconc(max_idle=2, max_connections=2)", 2, {"passed": 1, "errors": 1}),
        ("@pytest.mark.httpconc(max_idle=2, max_connections=2, ignore=['HC103'])", 2, {"passed": 1}),
    ],
)
def test_marker_changes_the_policy(run, marker, count, outcomes):
    # The second session opens a connection although the first one's was idle: HC103, but only above the limit.
    if "max_connections=2" in marker and "ignore" not in marker:
        marker = marker.replace("max_connections=2", "max_connections=1")
    run(leak(marker, count=count)).assert_outcomes(**outcomes)


@pytest.mark.parametrize(
    ("ini", "outcomes"),
    [
        ("httpconc_leaks = allow", {"passed": 1}),
        ("httpconc_leaks = warn", {"passed": 1, "warnings": 1}),
        ("httpconc_max_idle = 1", {"passed": 1}),
        ("httpconc_ignore = HC101 HC103", {"passed": 1}),
        ("httpconc_min_concurrency = 2\nhttpconc_leaks = allow", {"passed": 1, "errors": 1}),
        ("httpconc_min_speedup = 1.5\nhttpconc_leaks = allow", {"passed": 1, "errors": 1}),
    ],
)
def test_ini_option_is_the_default(run, ini, outcomes):
    run(leak(), ini=ini).assert_outcomes(**outcomes)


def test_marker_goes_before_the_ini_file_and_the_closest_marker_goes_first(run):
    source = leak('@pytest.mark.httpconc(leaks="fail")', module='pytestmark = pytest.mark.httpconc(leaks="warn")')
    run(source, ini="httpconc_leaks = allow").assert_outcomes(passed=1, errors=1)


def test_markers_of_function_and_module_add_up(run):
    source = leak("@pytest.mark.httpconc(min_concurrency=1)", module='pytestmark = pytest.mark.httpconc(leaks="allow")')
    run(source).assert_outcomes(passed=1)


AT_MOST_ONCE = """
    import pytest, requests
    from fake_servers.faults import Disconnect

    @pytest.mark.httpconc(at_most_once=True)
    def test(fake_http):
        fake_http.inject(Disconnect(), times=1)
        for _ in range(2):
            try:
                requests.{method}(fake_http.url, data="x")
            except requests.ConnectionError:
                pass
"""


@pytest.mark.parametrize(("method", "errors"), [("post", 1), ("patch", 1), ("get", 0), ("put", 0)])
def test_at_most_once_is_about_methods_that_are_not_idempotent(run, method, errors):
    run(AT_MOST_ONCE.format(method=method)).assert_outcomes(passed=1, errors=errors)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("leak='allow'", "*does not know leak; allowed are *leaks*"),
        ("leaks='never'", "*leaks='never' is not known; allowed are 'fail', 'warn', 'allow'"),
        ("max_idle=-1", "*max_idle=-1 is out of range; allowed are whole numbers from 0 up*"),
        ("min_speedup=0", "*min_speedup=0 is out of range*"),
        ("ignore=['HC999']", "*HC999* is not in the catalogue; allowed are HC101*"),
        ("host='moon'", "*host='moon' is not known; allowed are 'thread', 'loop', 'process'"),
        ("'allow'", "*takes keywords only*"),
    ],
)
def test_marker_that_makes_no_sense_is_refused(run, arguments, message):
    result = run(leak(f"@pytest.mark.httpconc({arguments})"))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([message])


@pytest.mark.parametrize("option", ["max_connections=1", "at_most_once=True", "min_concurrency=2", "min_speedup=2"])
def test_marker_that_asks_for_a_check_needs_a_server(run, option):
    result = run(f"import pytest\n@pytest.mark.httpconc({option})\ndef test(): pass")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*asks for a check, but it sent nothing to a fake server"])


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_host_loop_runs_the_server_in_the_tests_own_loop(run, mode):
    source = """
        import asyncio, pytest, threading
        import aiohttp

        @pytest.mark.asyncio
        @pytest.mark.httpconc(host="loop")
        async def test(fake_http):
            @fake_http.route("GET /")
            async def root(request):
                assert threading.current_thread() is threading.main_thread()
                return type(fake_http)._Response(b"hello")

            async with aiohttp.ClientSession() as session, session.get(fake_http.url) as response:
                assert await response.text() == "hello"

        @pytest.mark.asyncio
        @pytest.mark.httpconc(host="loop")
        async def test_leak(fake_http):
            test_leak.kept = await asyncio.open_connection("127.0.0.1", fake_http.port)
            await fake_http.ledger.until(lambda ledger: ledger.open_connections == 1)
    """.replace("type(fake_http)._Response", "__import__('fake_servers').Response")
    result = run(source, "-W", "ignore", f"--asyncio-mode={mode}", plugins=["pytest_asyncio.plugin"])
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_leak*", "*HC101*"])


def test_host_loop_needs_an_async_test(run):
    result = run(leak("@pytest.mark.httpconc(host='loop')"))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*host='loop' needs an async test*"])
