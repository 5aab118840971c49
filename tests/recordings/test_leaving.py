"""A failing test leaves a recording that its report names, and a passing one none."""

import json

import pytest

FAILING = """
    import pytest, requests
    from fake_servers import FakeServer, Response
    from fake_servers.faults import Status

    @pytest.mark.parametrize("item", ["tea/green", "tea-green", "x" * 300])
    def test_order(fake_http, item):
        fake_http.route("POST /orders")(lambda request: Response.json({{"item": item}}))
        requests.post(fake_http.url + "/orders", data=item, headers={{"Authorization": "Bearer s3cret"}})
        assert {verdict}, "the shop is closed"
"""


def recordings(pytester, folder=".httpconc"):
    return {path.name: json.loads(path.read_text()) for path in sorted((pytester.path / folder).glob("*.json"))}


def test_every_failing_test_leaves_a_file_of_its_own_and_passing_removes_it(run, pytester):
    result = run(FAILING.format(verdict="False"))
    result.assert_outcomes(failed=3)
    left = recordings(pytester)
    assert len(left) == 3
    assert all(len(name) < 160 for name in left)
    for name in left:
        result.stdout.fnmatch_lines(
            [f"recorded in .httpconc?{name}", f"serve it again: httpconc replay .httpconc?{name}"]
        )
    data = next(data for data in left.values() if "tea/green" in data["test"])
    assert data["failure"] == "AssertionError: the shop is closed"
    (server,) = data["servers"]
    (exchange,) = server["exchanges"]
    assert (exchange["body"], exchange["answer"]["status"]) == ("tea/green", 200)
    assert "s3cret" not in json.dumps(data)
    assert (pytester.path / ".httpconc" / ".gitignore").read_text() == "*\n"
    run(FAILING.format(verdict="True")).assert_outcomes(passed=3)
    assert recordings(pytester) == {}


def test_files_are_left_under_xdist_too(run, pytester):
    run(FAILING.format(verdict="False"), "-n", "2", plugins=["xdist.plugin"]).assert_outcomes(failed=3)
    assert len(recordings(pytester)) == 3


def test_leak_that_is_found_after_the_test_is_recorded_with_its_finding(run, pytester):
    result = run(
        """
        import requests

        kept = []

        def test_ping(fake_http):
            kept.append(requests.Session())
            kept[0].get(fake_http.url)
        """
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["serve it again: httpconc replay *test_ping.json"])
    (data,) = recordings(pytester).values()
    assert [finding["code"] for finding in data["findings"]] == ["HC101", "HC105"]
    assert "test_ping" in json.dumps(data["findings"])


@pytest.mark.parametrize("place", ["off", "broken/recordings"])
def test_folder_is_an_option(run, pytester, place):
    run(FAILING.format(verdict="False"), ini=f"httpconc_recordings = {place}").assert_outcomes(failed=3)
    assert not (pytester.path / ".httpconc").exists()
    assert len(recordings(pytester, place)) == (0 if place == "off" else 3)


def test_folder_that_cannot_be_written_is_told_and_changes_no_verdict(run, pytester):
    (pytester.path / "taken").write_text("")
    result = run(FAILING.format(verdict="False"), ini="httpconc_recordings = taken")
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["nothing more could be recorded: *"])


def test_nothing_is_imported_for_tests_that_pass_and_nothing_left_of_those_without_a_server(run, pytester):
    result = run(
        """
        import sys
        import requests

        def test_one(fake_http):
            requests.get(fake_http.url)

        def test_two():
            assert not [name for name in sys.modules if name.startswith("pytest_httpconc.recordings.")]

        def test_three():
            assert False
        """
    )
    result.assert_outcomes(passed=2, failed=1)
    assert not (pytester.path / ".httpconc").exists()


def test_only_what_the_test_did_is_in_its_recording(run, pytester):
    run(
        """
        import pytest, requests
        from fake_servers import FakeServer

        @pytest.fixture(scope="module")
        def shop():
            with FakeServer() as server:
                yield server

        def test_one(shop):
            requests.get(shop.url + "/one")

        def test_two(shop):
            requests.get(shop.url + "/two")
            assert False
        """,
        "-p",
        "no:randomly",
    ).assert_outcomes(passed=1, failed=1)
    (data,) = recordings(pytester).values()
    assert [exchange["target"] for exchange in data["servers"][0]["exchanges"]] == ["/two"]
