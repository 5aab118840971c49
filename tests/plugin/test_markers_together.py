"""Markers of class, module and function, what they ask for, and ini options that make no sense."""

import pytest

CALLS = """
    import pytest, requests
    from concurrent.futures import ThreadPoolExecutor
    {module}

    def call(server, calls, workers):
        if workers > 1:
            server.hold(until_in_flight=workers, give_up=20)
        server.delay(0.02)
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda _: requests.get(server.url).status_code, range(calls)))

    {of_class}
    class Test:
        {marker}
        def test(self, fake_http):
            call(fake_http, calls=2, workers={workers})
"""


@pytest.fixture
def run_calls(run):
    def run_calls(marker="", of_class="", module="", workers=1, **options):
        return run(CALLS.format(marker=marker, of_class=of_class, module=module, workers=workers), **options)

    return run_calls


def mark(arguments):
    return f"@pytest.mark.httpconc({arguments})"


@pytest.mark.parametrize(
    ("option", "workers", "code"),
    [
        ("min_concurrency=2", 2, None),
        ("min_concurrency=2", 1, "HC401"),
        ("min_concurrency=3", 2, "HC403"),
        ("min_speedup=0.1", 2, None),
        ("min_speedup=1.5", 1, "HC404"),
        ("max_connections=2", 2, None),
        ("max_connections=1", 2, "HC104"),
        ("max_connections=1", 1, "HC103"),
        ("max_connections=1, ignore=['HC103']", 1, None),
        ("max_connections=1, ignore='HC103'", 1, None),
    ],
)
def test_marker_asks_for_a_check_at_the_end_of_the_test(run_calls, option, workers, code):
    result = run_calls(mark(option), workers=workers)
    result.assert_outcomes(passed=1, errors=0 if code is None else 1)
    if code:
        result.stdout.fnmatch_lines(["*ERROR at teardown of Test.test*", f"*{code} *"])


@pytest.mark.parametrize(
    ("module", "of_class", "function", "errors"),
    [
        (2, None, None, 1),
        (None, 2, None, 1),
        (2, 1, None, 0),
        (1, 2, None, 1),
        (2, 2, 1, 0),
        (1, 1, 2, 1),
    ],
)
def test_closest_marker_wins(run_calls, module, of_class, function, errors):
    marks = [mark(f"min_concurrency={n}") if n else "" for n in (function, of_class, module)]
    result = run_calls(marks[0], marks[1], marks[2].replace("@", "pytestmark = "))
    result.assert_outcomes(passed=1, errors=errors)


def test_marker_takes_back_what_the_ini_file_asks_for(run_calls):
    ini = "httpconc_max_connections = 1"
    run_calls(ini=ini).assert_outcomes(passed=1, errors=1)
    run_calls(mark("max_connections=None"), ini=ini).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("ini", "message"),
    [
        ("httpconc_leaks = never", "*leaks='never' is not known; allowed are 'fail', 'warn', 'allow'"),
        ("httpconc_max_idle = many", "*httpconc_max_idle='many' is not a number, as in httpconc_max_idle = 1"),
        ("httpconc_max_idle = 1.5", "*httpconc_max_idle='1.5' is not a number*"),
        ("httpconc_max_connections = 0", "*max_connections=0 is out of range; allowed are whole numbers from 1 up*"),
        ("httpconc_min_speedup = nan", "*min_speedup=nan is out of range; allowed are numbers above 0*"),
        ("httpconc_ignore = HC1 HC103", "*ignore=?'HC1'? is not in the catalogue; allowed are HC101*"),
        ("httpconc_host = moon", "*host='moon' is not known; allowed are 'thread', 'loop', 'process'"),
    ],
)
def test_ini_option_that_makes_no_sense_is_refused(run, ini, message):
    source = """
        import requests
        from fake_servers import FakeServer

        def test_with_a_fixture(fake_http):
            pass

        def test_with_a_server_of_its_own():
            with FakeServer() as server:
                requests.get(server.url)
    """
    result = run(source, ini=ini)
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines([message])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize("ignore", ["5", "None", "['HC103', 5]", "[['HC103']]", "''"])
def test_codes_that_are_none_are_refused(run_calls, ignore):
    result = run_calls(mark(f"ignore={ignore}"))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ignore=* is not in the catalogue; allowed are HC101*"])


@pytest.mark.parametrize("ini", ["httpconc_min_concurrency = 2", "httpconc_at_most_once = true"])
def test_ini_option_asks_nothing_of_a_test_without_a_server(run, ini):
    source = """
        import pytest

        def test_bare():
            pass

        @pytest.mark.httpconc(leaks="allow")
        def test_marked():
            pass
    """
    run(source, ini=ini).assert_outcomes(passed=2)


def test_two_servers_are_judged_each_for_itself(run):
    source = """
        import pytest, requests
        from fake_servers import FakeServer

        @pytest.mark.httpconc(max_connections=1)
        def test_one_each(fake_http, fake_docker):
            requests.get(fake_http.url)
            requests.get(fake_docker.url)

        @pytest.mark.httpconc(max_connections=1)
        def test_two_at_one(fake_http, fake_docker):
            with FakeServer() as third:
                for server in (fake_http, fake_docker, third, third):
                    requests.get(server.url)
    """
    result = run(source)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_two_at_one*"])
    assert result.stdout.str().count("HC103 a new connection") == 1


@pytest.mark.parametrize("arguments", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_warning_tells_the_whole_finding(run, arguments):
    source = """
        import pytest, requests

        kept = requests.Session()

        @pytest.mark.httpconc(leaks="warn")
        def test(fake_http):
            kept.get(fake_http.url)
    """
    result = run(source, *arguments, plugins=["xdist.plugin"] if arguments else [])
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*HttpConcWarning: HC101 connection still open*", "*connection 1 *open*", "*hint: *"])
