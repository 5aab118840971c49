"""``--httpconc-report``."""

import json

import pytest

SOURCE = """
    import pytest, requests
    from fake_servers import FakeServer, Moment
    from fake_servers.faults import Disconnect

    kept = []

    def test_passes(fake_http):
        requests.get(fake_http.url + "/a")

    def test_fails(fake_http):
        requests.get(fake_http.url + "/b")
        assert "what was got" == "what was meant"

    def test_finds(fake_docker, httpconc):
        requests.get(fake_docker.url + "/c")
        httpconc.assert_concurrency(fake_docker, at_least=2)

    def test_leaks(fake_http):
        kept.append(requests.Session())
        kept[-1].get(fake_http.url + "/d")

    @pytest.mark.httpconc(leaks="warn")
    def test_warns(fake_http):
        kept.append(requests.Session())
        kept[-1].get(fake_http.url + "/e")

    def test_stops_its_servers():
        with FakeServer() as one, FakeServer() as other:
            requests.get(one.url + "/f")
            requests.get(other.url + "/g")

    def test_sweeps(fake_http, httpconc):
        def call(session):
            answer = session.get(fake_http.url + "/h")
            assert len(answer.content) == int(answer.headers["Content-Length"])

        httpconc.sweep_truncations(fake_http, call, requests.Session)

    def test_serves_nothing():
        pass
"""


def read(folder, name="report.json"):
    tests = json.loads((folder / name).read_text())["tests"]
    return {test["name"].partition("::")[2]: test for test in tests}


def paths(test):
    return [sorted({row[4] for row in server["bars"]["rows"]}) for server in test["servers"]]


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_report_has_every_test_that_used_a_server(run, pytester, workers):
    result = run(SOURCE, "--httpconc-report=report.json", *workers, plugins=["xdist.plugin"])
    result.stdout.fnmatch_lines(["*httpconc report: *report.json*"])
    tests = read(pytester.path)
    assert {name: paths(test) for name, test in tests.items()} == {
        "test_passes": [["/a"]],
        "test_fails": [["/b"]],
        "test_finds": [["/c"]],
        "test_leaks": [["/d"]],
        "test_warns": [["/e"]],
        "test_stops_its_servers": [["/f"], ["/g"]],
        "test_sweeps": [["/h"]],
    }
    assert {name: test["outcome"] for name, test in tests.items() if test["outcome"] != "passed"} == {
        "test_fails": "failed",
        "test_finds": "failed",
        "test_leaks": "error",
    }
    assert {name: test["findings"][0]["code"] for name, test in tests.items() if test["findings"]} == {
        "test_finds": "HC401",
        "test_leaks": "HC101",
        "test_warns": "HC101",
    }


def test_failure_is_told_in_a_line_and_a_leak_is_still_open_and_names_its_own(run, pytester):
    run(SOURCE, "--httpconc-report=report.json", "-k", "test_fails or test_leaks")
    tests = read(pytester.path)
    assert tests["test_fails"]["message"] == "AssertionError: assert 'what was got' == 'what was meant'"
    server = tests["test_leaks"]["servers"][0]
    lane = dict(zip(server["lanes"]["columns"], server["lanes"]["rows"][0], strict=True))
    assert lane["closed_at"] is None
    assert "in test_leaks, through requests" in lane["opened"]
    assert server["counts"]["open at the end"] == 1


def test_page_is_written_where_the_ini_file_says(run, pytester):
    result = run(SOURCE, "-k", "test_passes", ini="httpconc_report = build/reports/run.html")
    result.assert_outcomes(passed=1, deselected=7)
    page = (pytester.path / "build" / "reports" / "run.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "test_passes" in page


def test_what_a_test_says_can_neither_break_the_page_nor_the_way_to_it(run, pytester):
    source = r"""
        import pytest, socket

        @pytest.mark.parametrize("markup", ["</script><script>alert(1)</script>"])
        def test_hostile(fake_http, markup):
            with socket.create_connection((fake_http.address, fake_http.port)) as sock:
                sock.sendall(b"GET /</script><script>alert(2)</script> HTTP/1.1\r\nHost: x\r\n\r\n")
                assert sock.recv(12) == b"HTTP/1.1 404"
    """
    run(source, "--httpconc-report=r.html", "-n", "1", plugins=["xdist.plugin"]).assert_outcomes(passed=1)
    page = (pytester.path / "r.html").read_text()
    assert "alert(1)" in page
    assert "alert(2)" in page
    assert "<script>alert" not in page


def test_only_the_servers_part_of_this_test_is_shown(run, pytester):
    source = """
        import pytest, requests
        from fake_servers import FakeServer

        @pytest.fixture(scope="module")
        def shared():
            with FakeServer() as server:
                yield server

        def test_first(shared):
            requests.get(shared.url + "/first")

        def test_second(shared):
            requests.get(shared.url + "/second")
    """
    run(source, "--httpconc-report=report.json")
    assert {name: paths(test) for name, test in read(pytester.path).items()} == {
        "test_first": [["/first"]],
        "test_second": [["/second"]],
    }


def test_figures_come_with_the_test_that_measured_them(run, pytester):
    source = """
        from pytest_httpconc.report.model import Figure
        from pytest_httpconc.reporting import show_figures

        def test_measures(request):
            show_figures(request.node, [Figure(name="speedup", value=4.9, baseline_low=4.5, unit="x")])
    """
    run(source, "--httpconc-report=report.json").assert_outcomes(passed=1)
    (figure,) = read(pytester.path)["test_measures"]["figures"]
    assert (figure["name"], figure["value"], figure["baseline_low"]) == ("speedup", 4.9, 4.5)
    run(source).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("here/report.html", "*httpconc-report=here/report.html can't be written: * give a file in a folder that can"),
        ("folder.html", "*httpconc-report=folder.html can't be written: it is a folder*"),
        ("report.pdf", "*httpconc-report=report.pdf is neither .html nor .json; give a file as in *"),
    ],
)
def test_file_that_cannot_be_written_is_told_in_a_line_before_any_test_runs(run, pytester, file, problem):
    (pytester.path / "here").write_text("a file where the folder should be")
    (pytester.path / "folder.html").mkdir()
    result = run(SOURCE, f"--httpconc-report={file}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([problem])
    assert "Traceback" not in result.stderr.str()
    result.stdout.no_fnmatch_line("*collected*")


def test_nothing_is_imported_where_no_report_is_asked_for(run):
    source = """
        import sys, requests

        def test_serves(fake_http):
            requests.get(fake_http.url)

        def test_imports():
            assert not {"pytest_httpconc.reporting", "pytest_httpconc.report.html"} & set(sys.modules)
    """
    run(source).assert_outcomes(passed=2)
