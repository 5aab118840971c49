"""The test that the product exists for: it passes for the real client and fails for the one that retries."""

import pytest

SOURCE = """
    from fake_servers import Moment
    from fake_servers.faults import Disconnect
    from pytest_httpconc.clients.docker import RemoteDockerEnvironment
    from pytest_httpconc.clients.legacy.docker import RetryingEnvironment

    def test_commands_run_once(fake_docker, httpconc):
        fake_docker.inject(Disconnect(at=Moment.EXECUTED), on="POST /execute", times=1)
        with {client}(server_url=fake_docker.url, image="python:3.11-slim") as env:
            result = env.execute("echo data >> log.txt")
        {assertion}
        httpconc.assert_at_most_once(fake_docker, on="POST /execute")
"""
EVIDENCE = [
    "*HC201 request sent again after it may have been executed",
    "*POST /execute was sent twice and executed twice*",
    "*exchange 2 on connection 1: executed, then ended by fault (Disconnect(at=EXECUTED))",
    "*exchange 2 was sent again as exchange 3 on connection 2, *ms after the fault: executed and answered 200",
    "*timeline of *",
    "*connection 1 *|*2*x*| closed by fault",
    "*connection 2 *|*3*>*|*",
    "*hint: *",
    "*for more: httpconc explain HC201",
]


def test_real_client_passes(run):
    source = SOURCE.format(client="RemoteDockerEnvironment", assertion='assert result["returncode"] == -1')
    run(source).assert_outcomes(passed=1)


def test_retrying_client_fails_with_the_whole_story(run):
    result = run(SOURCE.format(client="RetryingEnvironment", assertion="pass"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(EVIDENCE)


@pytest.mark.parametrize("option", ["--show-capture=all", "--show-capture=no"])
def test_retrying_client_that_fails_earlier_shows_the_story_all_the_same(run, option):
    source = SOURCE.format(client="RetryingEnvironment", assertion='assert result["returncode"] == -1')
    result = run(source, option)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*assert 0 == -1", *EVIDENCE])
