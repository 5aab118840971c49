"""Servers and clients of a wider scope than the test: each test answers for what it did itself."""

import pytest

SERVER = """
    import pytest, requests
    from fake_servers import FakeServer
    from fake_servers.faults import Disconnect, Status

    kept = []

    def keep():
        kept.append(requests.Session())
        return kept[-1]

    @pytest.fixture(scope="{scope}")
    def server():
        with FakeServer() as server:
            {fault}
            yield server
"""
SCOPES = pytest.mark.parametrize("scope", ["class", "module", "package", "session"])


@pytest.fixture
def run_with_server(run):
    def run_with_server(tests, *arguments, scope="module", fault="pass"):
        return run(SERVER.format(scope=scope, fault=fault) + tests, *arguments)

    return run_with_server


@SCOPES
def test_leak_is_blamed_on_the_test_that_made_it_and_on_no_other(run_with_server, scope):
    tests = """
    class Test:
        def test_closes(self, server):
            requests.get(server.url)

        def test_leaks(self, server):
            keep().get(server.url)

        def test_closes_too(self, server):
            requests.get(server.url)
    """
    result = run_with_server(tests, scope=scope)
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(
        ["*ERROR at teardown of Test.test_leaks*", "*1 connection of 1 (at *", "*connection 2 *"]
    )


def test_pool_of_the_same_scope_may_keep_its_connection_where_the_marker_says_so(run_with_server):
    tests = """
    pytestmark = pytest.mark.httpconc(max_idle=1, max_connections=1)

    @pytest.fixture(scope="module")
    def client(server):
        with requests.Session() as session:
            yield session

    @pytest.mark.parametrize("number", range(3))
    def test(server, client, number):
        client.get(server.url)
        assert server.ledger.total_connections == 1
    """
    run_with_server(tests).assert_outcomes(passed=3)


def test_client_of_a_wider_scope_than_its_server_is_blamed_until_the_test_that_closes_it(run_with_server):
    tests = """
    @pytest.fixture(scope="module")
    def client():
        with requests.Session() as session:
            yield session

    @pytest.mark.parametrize("number", range(2))
    def test(client, fake_http, number):
        client.get(fake_http.url)
    """
    result = run_with_server(tests)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test?0?*", "*HC101*"])


def test_leak_after_a_reset_is_blamed_like_any_other(run_with_server):
    tests = """
    def test_first(server):
        requests.get(server.url)
        requests.get(server.url)

    def test_leaks_after_reset(server):
        server.reset()
        keep().get(server.url)
    """
    result = run_with_server(tests)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_leaks_after_reset*", "*1 connection of 1 (at *"])


def test_connection_from_before_that_survives_a_reset_is_not_blamed(run_with_server):
    tests = """
    @pytest.mark.httpconc(leaks="allow")
    def test_first(server):
        requests.get(server.url)
        keep().get(server.url)

    def test_resets(server):
        server.reset()
        kept[0].get(server.url)
        requests.get(server.url)
    """
    run_with_server(tests).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("option", "errors"),
    [("max_connections=1", 0), ("at_most_once=True", 0), ("min_concurrency=2", 1), ("min_speedup=1.5", 1)],
)
def test_what_an_earlier_test_did_counts_neither_for_nor_against_a_later_one(run_with_server, option, errors):
    tests = f"""
    from concurrent.futures import ThreadPoolExecutor

    def call(server):
        try:
            requests.post(server.url, data="the same")
        except requests.ConnectionError:
            pass

    def test_side_by_side_and_cut_off(server):
        server.hold(until_in_flight=2, give_up=20)
        server.delay(0.02)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(call, [server] * 2))
        server.inject(Disconnect(), times=1)
        call(server)
        assert server.ledger.peak_in_flight == 2
        assert server.ledger.speedup() > 1

    @pytest.mark.httpconc({option})
    def test_one_call(server):
        call(server)
    """
    result = run_with_server(tests)
    result.assert_outcomes(passed=2, errors=errors)
    if errors:
        result.stdout.fnmatch_lines(["*ERROR at teardown of test_one_call*", "*HC40? *"])


def test_connection_from_before_counts_where_the_test_used_it(run_with_server):
    tests = """
    @pytest.mark.httpconc(max_idle=1)
    def test_first(server):
        keep().get(server.url)

    @pytest.mark.httpconc(max_connections=1)
    def test_second(server):
        kept[0].get(server.url)
        requests.get(server.url)
    """
    result = run_with_server(tests)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*HC104 *", "*2 connections were open together, allowed are 1*"])


def test_test_that_leaves_the_server_alone_is_not_looked_at(run_with_server):
    tests = """
    @pytest.mark.httpconc(leaks="allow")
    def test_first(server):
        keep().get(server.url)

    def test_second(server):
        pass

    @pytest.mark.httpconc(min_concurrency=1)
    def test_third(server):
        pass
    """
    result = run_with_server(tests)
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*marker of test_third asks for a check, but it sent nothing to a fake server"])


def test_injection_of_a_wider_scope_is_warned_of_once_and_only_if_no_test_matched_it(run_with_server):
    tests = """
    def test_other(server):
        requests.get(server.url)

    def test_another(server):
        requests.get(server.url + "{path}")
    """
    fault = 'server.inject(Status(503), on="GET /flaky")'
    run_with_server(tests.format(path="/flaky"), fault=fault).assert_outcomes(passed=2, warnings=0)
    run_with_server(tests.format(path="/steady"), fault=fault).assert_outcomes(passed=2, warnings=1)


def test_server_of_a_wider_scope_raises_what_its_handlers_raised(run_with_server):
    tests = """
    def test(server):
        @server.route("GET /")
        def broken(request):
            raise LookupError("no such thing")

        assert requests.get(server.url).status_code == 500
    """
    result = run_with_server(tests)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*FakeServerError: the handler of GET / failed: LookupError('no such thing')"])


@pytest.mark.parametrize(
    ("check", "passes"),
    [
        ("assert_connections(server, at_most=1)", True),
        ("assert_at_most_once(server, on='POST /')", True),
        ("assert_concurrency(server, at_least=2)", False),
        ("assert_speedup(server, at_least=1.5)", False),
        ("assert_timeout(server, read=7)", True),
    ],
)
def test_assertions_judge_what_the_test_did_itself(run_with_server, check, passes):
    tests = f"""
    from concurrent.futures import ThreadPoolExecutor

    def call(server, timeout=30):
        return requests.post(server.url, data="the same", timeout=timeout).status_code

    def test_side_by_side_and_again(server, httpconc):
        server.hold(until_in_flight=2, give_up=20)
        server.delay(0.02)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(call, [server] * 2))
        server.inject(Status(503), times=1)
        call(server)
        call(server)

    def test_one_call(server, httpconc):
        call(server, 7)
        httpconc.{check}
    """
    result = run_with_server(tests)
    result.assert_outcomes(passed=2 if passes else 1, failed=0 if passes else 1)
