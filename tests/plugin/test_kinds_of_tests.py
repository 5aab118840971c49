"""Tests of other kinds than a plain function, and tests that end otherwise than by passing."""

import pytest

KEPT = """
    import pytest, requests, unittest
    from fake_servers import FakeServer
    from fake_servers.faults import Disconnect

    kept = []

    def leak(server):
        kept.append(requests.Session())
        kept[-1].get(server.url)
"""


@pytest.mark.parametrize(
    ("ending", "outcomes"),
    [
        ("pytest.skip('no')", {"skipped": 1}),
        ("pytest.xfail('known')", {"xfailed": 1}),
        ("pytest.fail('really')", {"failed": 1}),
        ("pytest.raises(KeyError, dict().pop, 'a')", {"passed": 1, "errors": 1}),
    ],
)
def test_only_a_test_that_passed_is_looked_at(run, ending, outcomes):
    result = run(f"{KEPT}\n    def test(fake_http):\n        leak(fake_http)\n        {ending}")
    result.assert_outcomes(**outcomes)
    found = "HC101" in result.stdout.str()
    assert found is ("errors" in outcomes)


def test_leak_of_an_expected_failure_was_expected_too(run):
    source = f"""{KEPT}
    @pytest.mark.xfail(strict=False)
    def test(fake_http):
        leak(fake_http)
    """
    run(source).assert_outcomes(xpassed=1, xfailed=1)


def test_failure_of_a_fixture_is_not_covered_by_a_leak(run):
    source = f"""{KEPT}
    @pytest.fixture
    def before(fake_http):
        leak(fake_http)
        raise LookupError("in setup")

    @pytest.fixture
    def after():
        yield
        raise LookupError("in teardown")

    def test_before(before):
        pass

    def test_after(fake_http, after):
        leak(fake_http)
    """
    result = run(source)
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(["*LookupError: in setup*", "*LookupError: in teardown*"])
    result.stdout.no_fnmatch_line("*HC101*")


@pytest.mark.parametrize(("closes", "errors"), [("cls.session.close()", 0), ("kept.append(cls.session)", 1)])
@pytest.mark.parametrize("scope", ["Class", ""])
def test_case_of_unittest_is_looked_at_too(run, scope, closes, errors):
    self = "cls" if scope else "self"
    decorator = "@classmethod" if scope else ""
    source = f"""{KEPT}
    class Test(unittest.TestCase):
        {decorator}
        def setUp{scope}({self}):
            {self}.server = FakeServer().start()
            {self}.session = requests.Session()

        {decorator}
        def tearDown{scope}({self}):
            {closes.replace("cls", self)}
            {self}.server.stop()

        def test(self):
            assert self.session.get(self.server.url).status_code == 404
    """
    run(source).assert_outcomes(passed=1, errors=errors)


def test_every_parameter_is_a_test_of_its_own(run):
    source = f"""{KEPT}
    @pytest.mark.parametrize("leaks", [False, True, False])
    def test(fake_http, leaks):
        leak(fake_http) if leaks else requests.get(fake_http.url)
    """
    result = run(source)
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test?True?*"])


def test_server_of_a_fixture_that_nobody_names_is_looked_at(run):
    source = f"""{KEPT}
    @pytest.fixture(autouse=True)
    def service():
        with FakeServer() as server:
            leak(server)
            yield

    def test():
        pass
    """
    run(source).assert_outcomes(passed=1, errors=1)


FAILS = f"""{KEPT}
    def test(fake_http):
        @fake_http.route("POST /")
        def broken(request):
            raise LookupError("no such thing")

        fake_http.inject(Disconnect(), on="PATCH /", times=1)
        for method in ("PATCH", "PATCH", "POST"):
            try:
                requests.request(method, fake_http.url, data="x")
            except requests.ConnectionError:
                pass
        assert 1 == 2
"""


@pytest.mark.parametrize("arguments", [[], ["-n", "2"], ["--tb=native"], ["--tb=line", "-rA"]], ids=" ".join)
def test_failed_test_is_told_what_the_server_knows(run, arguments):
    result = run(FAILS, *arguments, plugins=["xdist.plugin"] if "-n" in arguments else [])
    result.assert_outcomes(failed=1)
    if "--tb=line" not in arguments:
        result.stdout.fnmatch_lines(["*the handler of POST / failed: LookupError*", "*HC201 request sent again*"])


def test_failed_test_without_anything_to_tell_is_told_nothing(run):
    result = run("import requests\ndef test(fake_http):\n    requests.get(fake_http.url)\n    assert 1 == 2")
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*- httpconc -*")


def test_finding_is_in_the_report_for_a_build_server(run, pytester):
    source = f"{KEPT}\n    def test(fake_http):\n        leak(fake_http)"
    run(source, "--junitxml=report.xml").assert_outcomes(passed=1, errors=1)
    report = (pytester.path / "report.xml").read_text()
    assert "HC101 connection still open after the test" in report


def test_fixtures_are_listed_with_what_they_are(run):
    result = run("def test(): pass", "--fixtures")
    result.stdout.fnmatch_lines_random(["*fake_http*", "*fake_docker*", "*httpconc*"])
    assert "no docstring" not in result.stdout.str().partition("plugin")[2]
