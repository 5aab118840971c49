"""The plugin beside the others, and where it is not used or not wanted."""

import subprocess
import sys

import pytest

TWO_TESTS = """
    import pytest, requests

    kept = []

    def test_closed(fake_http):
        requests.get(fake_http.url)

    def test_open(fake_docker):
        kept.append(requests.Session())
        kept[0].get(fake_docker.url)
"""


@pytest.mark.parametrize(
    ("plugins", "arguments"),
    [
        (["xdist.plugin"], ["-n", "2"]),
        (["pytest_randomly"], []),
        (["pytest_asyncio.plugin"], ["--asyncio-mode=auto"]),
        (["pytest_asyncio.plugin"], ["--asyncio-mode=strict"]),
        (["pytest_benchmark.plugin"], []),
    ],
    ids=["xdist", "randomly", "asyncio-auto", "asyncio-strict", "benchmark"],
)
def test_verdicts_are_the_same_beside(run, plugins, arguments):
    result = run(TWO_TESTS, *arguments, plugins=plugins)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_open*", "*HC101*"])


def test_async_test_with_a_server_in_its_own_thread(run):
    source = """
        import aiohttp, pytest

        @pytest.mark.asyncio
        async def test(fake_http, httpconc):
            async with aiohttp.ClientSession() as session, session.get(fake_http.url) as response:
                assert response.status == 404
            httpconc.assert_no_leaks(fake_http)
    """
    run(source, plugins=["pytest_asyncio.plugin"]).assert_outcomes(passed=1)


def test_server_can_be_benchmarked(run):
    source = """
        import requests

        def test(fake_http, benchmark, httpconc):
            with requests.Session() as session:
                benchmark.pedantic(session.get, args=[fake_http.url], rounds=3)
            httpconc.assert_connections(fake_http, at_most=1)
    """
    run(source, plugins=["pytest_benchmark.plugin"]).assert_outcomes(passed=1)


def python(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout


def test_installed_plugin_is_loaded_and_can_be_kept_out():
    assert "fake_docker" in python(
        "-m", "pytest", "--fixtures", "--collect-only", "-q", "-p", "no:cacheprovider", __file__
    )
    without = python("-m", "pytest", "--markers", "-p", "no:httpconc")
    assert "httpconc" not in without
    assert "@pytest.mark.httpconc(*, leaks" in python("-m", "pytest", "--markers")


def test_import_of_the_plugin_brings_nothing_along_and_installs_no_hook():
    code = """if True:
        import pytest, sys
        before = set(sys.modules)
        hooks = []
        sys.addaudithook(lambda event, args: hooks.append(event) if event == "sys.addaudithook" else None)
        import pytest_httpconc.plugin
        print(sorted(name for name in set(sys.modules) - before if not name.startswith("_")), hooks)
    """
    assert python("-c", code).strip() == "['pytest_httpconc', 'pytest_httpconc.plugin', 'pytest_httpconc.tested'] []"


def test_run_without_fake_servers_imports_none(run):
    source = """
        import sys

        def test_nothing():
            pass

        def test_not_imported():
            assert not {"fake_servers", "psutil", "pytest_httpconc.assertions"} & set(sys.modules)
    """
    run(source).assert_outcomes(passed=2)
