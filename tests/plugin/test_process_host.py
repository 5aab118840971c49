"""The fixtures' servers in processes of their own, and what is looked at when such a test ends."""

import pytest

CLIENTS = """
    import pytest, requests
    from fake_servers import FakeServer, Response

    kept = []

    def keep():
        kept.append(requests.Session())
        return kept[-1]
"""


def test_fixtures_run_in_processes_by_marker_and_by_ini_option(run):
    source = """
        import os, pytest, requests

        def in_another_process(server):
            server.route("GET /pid")(lambda request: Response.json(os.getpid()))
            with requests.Session() as session:
                return session.get(server.url + "/pid").json() != os.getpid()

        from fake_servers import Response

        @pytest.mark.httpconc(host="process")
        def test_marked(fake_http):
            assert in_another_process(fake_http)

        @pytest.mark.httpconc(host="thread")
        def test_otherwise(fake_llm):
            assert not in_another_process(fake_llm)

        def test_by_ini(fake_eval):
            assert in_another_process(fake_eval)
    """
    run(source, ini="httpconc_host = process").assert_outcomes(passed=3)


@pytest.mark.parametrize("closes", [True, False])
def test_connection_left_open_is_told_with_the_line_that_opened_it(run, closes):
    source = f"""{CLIENTS}
    @pytest.mark.httpconc(host="process")
    def test(fake_docker):
        keep().get(fake_docker.url + "/health")  # the line
        {"kept[0].close()" if closes else ""}
    """
    result = run(source)
    if closes:
        result.assert_outcomes(passed=1)
        return
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*HC101 connection still open after the test", "*opened at *test_connection_left_open*.py:* in test*"]
    )


def test_socket_that_the_server_has_closed_is_told_with_its_line_too(run):
    source = f"""{CLIENTS}
    @pytest.mark.httpconc(host="process")
    def test(fake_http):
        import socket
        kept.append(socket.create_connection(("127.0.0.1", fake_http.port)))
        kept[0].sendall(b"GET / HTTP/1.1\\r\\nConnection: close\\r\\n\\r\\n")
        fake_http.ledger.wait_until(lambda ledger: ledger.count() == 1 and not ledger.open_connections)
    """
    result = run(source)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*HC102*", "*opened at *:* in test*"])


def test_server_that_the_test_stopped_itself_is_judged_too(run):
    source = f"""{CLIENTS}
    def test():
        with FakeServer(host="process") as server:
            server.route("GET /")(lambda request: Response.text("hello"))
            keep().get(server.url)
    """
    result = run(source)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*HC101*", "*opened at *:* in test*"])


def test_checks_judge_what_happened_there(run):
    source = f"""{CLIENTS}
    import concurrent.futures

    @pytest.mark.httpconc(host="process")
    def test(fake_http, httpconc):
        fake_http.route("POST /x")(lambda request: Response.text("done"))
        fake_http.hold(until_in_flight=2, give_up=60)

        def call(_):
            with requests.Session() as session:
                return session.post(fake_http.url + "/x").status_code

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            assert list(pool.map(call, range(2))) == [200, 200]
        httpconc.assert_concurrency(fake_http, at_least=2)
        httpconc.assert_connections(fake_http, at_most=2)
        httpconc.assert_at_most_once(fake_http, on="POST /x")
        httpconc.assert_no_leaks(fake_http)
        with pytest.raises(ValueError, match="run it with host='thread'"):
            httpconc.assert_timeout(fake_http, on="POST /x", read=30)
    """
    run(source).assert_outcomes(passed=1)


def test_serial_client_is_told_how_many_came(run):
    source = f"""{CLIENTS}
    @pytest.mark.httpconc(host="process")
    def test(fake_http, httpconc):
        fake_http.route("GET /x")(lambda request: Response.text("done"))
        fake_http.hold(until_in_flight=2, give_up=0.01)
        with requests.Session() as session:
            session.get(fake_http.url + "/x")
            session.get(fake_http.url + "/x")
        httpconc.assert_concurrency(fake_http, at_least=2)
    """
    result = run(source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*HC401*", "*1 of 2*"])


def test_error_of_a_handler_fails_its_test(run):
    source = f"""{CLIENTS}
    @pytest.mark.httpconc(host="process")
    def test(fake_http):
        @fake_http.route("GET /x")
        def fails(request):
            raise LookupError("nothing there")

        with requests.Session() as session:
            session.get(fake_http.url + "/x")
    """
    result = run(source)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*LookupError: nothing there*", "*FakeServerError: the handler of GET /x failed*"])


def test_killed_process_fails_the_test_that_has_seen_it_and_no_other(run):
    source = """
        import os, pytest, requests, signal
        from fake_servers import FakeServer

        @pytest.fixture(scope="module")
        def server():
            server = FakeServer(host="process").start()
            yield server
            server.stop()

        def test_kills(server):
            server.route("GET /")(lambda request: os.kill(os.getpid(), signal.SIGKILL))
            with pytest.raises(requests.ConnectionError):
                requests.get(server.url)

        def test_next(fake_http):
            pass
    """
    result = run(source)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_kills*", "*FakeServerError: *was ended by SIGKILL"])


def test_sweeps_work_on_a_server_in_a_process(run):
    source = f"""{CLIENTS}
    import aiohttp

    @pytest.mark.httpconc(host="process")
    def test_truncations(fake_http, httpconc):
        fake_http.route("POST /x")(lambda request: Response.text("ok"))

        def call(session):
            response = session.post(fake_http.url + "/x")
            response.raise_for_status()
            assert response.text == "ok" and response.headers["Content-Length"] == "2"

        assert httpconc.sweep_truncations(fake_http, call, requests.Session).steps > 50

    @pytest.mark.asyncio
    async def test_cancellations(httpconc):
        async with FakeServer(host="process") as server:
            server.route("GET /x")(lambda request: Response.text("ok"))

            async def call(session):
                async with session.get(server.url + "/x") as response:
                    await response.read()

            await httpconc.sweep_cancellations(server, call, aiohttp.ClientSession)
    """
    run(source, "-x", plugins=["pytest_asyncio.plugin"]).assert_outcomes(passed=2)


def test_virtual_clock_and_a_process_are_refused_together(run):
    source = """
        import pytest

        @pytest.mark.httpconc(host="process", virtual_time=True)
        def test(fake_http):
            pass
    """
    result = run(source)
    result.stdout.fnmatch_lines(["*virtual_time=True and host='process' can't go together*"])
