"""What is looked at when a test ends: leaks, though the test says nothing about connections."""

import pytest

KEPT = """
    import pytest, requests
    from fake_servers import FakeServer

    kept = []

    def keep():
        kept.append(requests.Session())
        return kept[-1]
"""


@pytest.mark.parametrize(
    "body",
    [
        "keep().get(fake_http.url)",
        "kept.append(keep().get(fake_http.url, stream=True))",
        "import http.client; kept.append(http.client.HTTPConnection('127.0.0.1', fake_http.port)); kept[0].connect()",
        "import httpx; kept.append(httpx.Client()); kept[0].get(fake_http.url)",
    ],
)
def test_connection_left_open_is_an_error_of_its_test(run, body):
    result = run(f"{KEPT}\n    def test(fake_http):\n        {body}")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test*", "*HC101 connection still open after the test"])


def test_connection_of_a_client_in_another_process_is_seen_too(run):
    source = """
        import subprocess, sys

        CODE = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); sys.stdin.read()"

        def test(fake_http, request):
            client = subprocess.Popen([sys.executable, "-c", CODE, str(fake_http.port)], stdin=subprocess.PIPE)
            request.addfinalizer(lambda: None)
            fake_http.ledger.wait_until(lambda ledger: ledger.open_connections == 1)
            client.stdin.close() if {closes} else globals().update(kept=client)
    """
    run(source.replace("{closes}", "True"), "-W", "ignore").assert_outcomes(passed=1)
    run(source.replace("{closes}", "False"), "-W", "ignore").assert_outcomes(passed=1, errors=1)


@pytest.mark.parametrize("order", ["client, server", "server, client"])
@pytest.mark.parametrize("server", ["fake_http", "own"])
def test_client_fixture_that_closes_in_its_teardown_is_not_blamed(run, order, server):
    source = f"""
        import pytest, requests
        from fake_servers import FakeServer

        @pytest.fixture
        def own():
            with FakeServer() as server:
                yield server

        @pytest.fixture
        def server({server}):
            return {server}

        @pytest.fixture
        def client():
            with requests.Session() as session:
                yield session

        def test({order}):
            assert client.get(server.url).status_code == 404
    """
    run(source).assert_outcomes(passed=1)


def test_client_that_outlives_the_servers_own_block_and_closes_is_not_blamed(run):
    source = """
        import requests
        from fake_servers import FakeServer

        def test():
            with requests.Session() as session:
                with FakeServer() as server:
                    session.get(server.url)
    """
    run(source).assert_outcomes(passed=1)


def test_garbage_is_collected_before_the_grace_begins(run):
    source = """
        import gc, pytest, requests
        from fake_servers import FakeServer

        gc.disable()

        @pytest.mark.httpconc(grace=1e-6)
        def test():
            with FakeServer() as server:
                session = requests.Session()
                session.itself = session
                session.get(server.url)
    """
    run(source).assert_outcomes(passed=1)


def test_client_that_outlives_the_servers_own_block_and_never_closes_is_blamed(run):
    result = run(f"{KEPT}\n    def test():\n        with FakeServer() as server:\n            keep().get(server.url)")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*HC101*"])


def test_session_in_a_reference_cycle_is_collected_and_not_blamed(run):
    source = """
        import gc, requests

        class Holder: pass

        def test(fake_http):
            gc.disable()
            holder = Holder()
            holder.me, holder.session = holder, requests.Session()
            holder.session.get(fake_http.url)
    """
    run(source, "-W", "ignore").assert_outcomes(passed=1)


def test_connections_of_an_earlier_test_are_not_blamed_on_a_later_one(run):
    source = f"""{KEPT}
    @pytest.fixture(scope="module")
    def server():
        with FakeServer() as server:
            yield server

    @pytest.mark.httpconc(leaks="allow")
    def test_first(server):
        keep().get(server.url)

    def test_second(server):
        with requests.Session() as session:
            session.get(server.url)
            kept[0].get(server.url)
    """
    run(source).assert_outcomes(passed=2)


def test_leak_does_not_hide_the_first_failure(run):
    result = run(f"{KEPT}\n    def test(fake_http):\n        keep().get(fake_http.url)\n        assert 1 == 2")
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*HC101*")


def test_everything_that_was_found_is_one_error(run):
    source = f"""{KEPT}
    @pytest.mark.httpconc(max_connections=1, min_concurrency=2)
    def test(fake_http, fake_docker):
        for server in (fake_http, fake_docker):
            keep().get(server.url)
            keep().get(server.url)
    """
    result = run(source)
    result.assert_outcomes(passed=1, errors=1)
    output = result.stdout.str()
    assert [output.count(f"{code} ") for code in ("HC101", "HC104", "HC401")] == [2, 2, 2]


def test_error_of_a_handler_surfaces(run):
    source = """
        import requests

        def test(fake_http):
            @fake_http.route("GET /")
            def broken(request):
                raise LookupError("no such thing")

            assert requests.get(fake_http.url).status_code == 500
    """
    result = run(source)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*FakeServerError: the handler of GET / failed: LookupError('no such thing')"])


def test_injection_that_nothing_matched_is_warned_of(run):
    source = """
        import requests
        from fake_servers.faults import Reset

        def test(fake_http):
            fake_http.inject(Reset(), on="POST /typo")
            requests.post(fake_http.url + "/right")
    """
    result = run(source)
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*HttpConcWarning: nothing matched 'POST /typo', so Reset(at=EXECUTED) never acted"])


def test_servers_are_stopped_when_a_test_fails_and_when_it_leaks(run):
    source = f"""{KEPT}
    import threading

    def test_fails(fake_http):
        assert False

    def test_leaks(fake_http):
        keep().get(fake_http.url)

    def test_nothing_is_left():
        assert threading.active_count() == 1
    """
    run(source).assert_outcomes(passed=2, failed=1, errors=1)


def test_server_that_can_not_be_stopped_keeps_none_of_the_others_running(run):
    source = """
        from fake_servers.started import started_servers

        kept = []

        def test_fails(fake_http, fake_llm):
            kept.extend([fake_http, fake_llm])
            for server in kept:
                server.stop = lambda stop=server.stop: (stop(), 1 / 0)

        def test_nothing_is_left():
            assert not any(server.is_running for server in kept)
            assert not started_servers()
    """
    run(source).assert_outcomes(passed=2, errors=1)
