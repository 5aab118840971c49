"""What makes no sense for a client is deselected with a reason; what is known to be broken must be."""

import pytest

from .conftest import SOURCE, Mine


@pytest.mark.parametrize("arguments", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_check_that_makes_no_sense_is_deselected_with_a_reason(run_contracts, arguments):
    ran = run_contracts(
        *arguments,
        plugins=["xdist.plugin"] if arguments else [],
        TestMine=Mine("read_timeout = 1830", only="limit or cancellation or silent or share_a"),
    )
    outcomes = ran.result.parseoutcomes()
    assert (outcomes["passed"], set(outcomes) & {"skipped", "xfailed", "failed", "errors"}) == (1, set())
    for lines in (
        ["*httpconc: checks that were deselected*", "test_*.py::TestMine"],
        ["  say max_connections = N to have it checked: test_calls_together_keep_to_the_limit"],
        ["  call is no coroutine function*: test_every_cancellation"],
        ["  read_timeout or total_timeout = 1830 s is more than longest_wait = 2 s*: test_call_leaves_*?executed?*"],
    ):
        ran.result.stdout.fnmatch_lines(lines)


def test_run_without_contracts_says_nothing_of_them(run):
    result = run("def test(): pass")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*checks that were deselected*")


MISTAKES = {
    "call = ClientContract.call": "Test0 has no method call; write 'def call(self, client, url, payload):'*",
    "max_connections = '5'": "Test1 has max_connections = '5'; allowed are None and whole numbers from 1 up*",
    "read_timeout = 0": "Test2 has read_timeout = 0; allowed are None and seconds above 0*",
    "concurrency = 2.5": "Test3 has concurrency = 2.5; allowed are whole numbers from 1 up*",
    "known = {'test_x': {'HC601': 'so'}}": "Test4 has known = {'test_x': ...}, which is none of its tests",
    "known = {'test_every_truncation': {'HC999': 'so'}}": "known*of Test5 needs codes with reasons, as in*",
    "@pytest.fixture(params=[1])\ndef client(self): yield 1": "the fixture 'client' of Test6 has params; write a*",
    "on = 'POST'": "*POST*",
    "read_timout = 5\ntimeout = 5": "Test8 has read_timout, which no contract knows; did you mean read_timeout?",
}


def test_mistake_in_a_class_is_one_line_and_spares_other_tests(run_contracts):
    source = f"{SOURCE}\nclass TestNoFixture(ClientContract):\n    call = Blocking.call\n\ndef test_other(): pass\n"
    contracts = {f"Test{number}": Mine(body, only="answer") for number, body in enumerate(MISTAKES)}
    ran = run_contracts(
        "--continue-on-collection-errors",
        source=source,
        **contracts,
        TestRight=Mine("pass", only="gets_its_answer"),
    )
    assert ran.result.parseoutcomes()["errors"] == len(MISTAKES) + 1
    assert ran.passed("TestRight") == {"test_call_gets_its_answer"}
    missing = "TestNoFixture has no fixture 'client'; write '@pytest.fixture', and under it*"
    for message in (*MISTAKES.values(), missing):
        ran.result.stdout.fnmatch_lines([message])
    ran.result.stdout.no_fnmatch_line("*Traceback*")


def test_call_that_can_not_be_judged_is_shown(run_contracts):
    ran = run_contracts(
        TestFailing=Mine("def call(self, client, url, payload):\n    return client.pots(url)", only="gets_its_answer"),
        TestOk=Mine(
            "def call(self, client, url, payload):\n    super().call(client, url, payload)\n    return 'ok'",
            only="gets_its_answer",
        ),
        TestElsewhere=Mine("on = 'PUT /**'", only="test_at_most_once and garbage"),
    )
    assert ran.result.parseoutcomes()["failed"] == 3
    for lines in (
        [">*return client.pots(url)", "*AttributeError*pots*", "*ScenarioError*undisturbed call*"],
        ["*ScenarioError: the undisturbed call returned 'ok', without nonce-*is_answer*"],
        ["*ScenarioError: the undisturbed call sent nothing that on = 'PUT /[*][*]' means, but POST*"],
    ):
        ran.result.stdout.fnmatch_lines(lines)


def test_known_violation_is_expected_and_nothing_else(run_contracts):
    body = "strict_headers = True\nknown = {'test_malformed_answer_is_refused[header]': {'%s': 'by nature'}}"
    ran = run_contracts(
        "-rx",
        TestKnown=Mine(body % "HC602", only="malformed"),
        TestAnother=Mine(body % "HC601", only="header"),
        TestMended=Mine("truncations = 3\nknown = {'test_every_truncation': {'HC601': 'once'}}", only="truncation"),
    )
    outcomes = ran.result.parseoutcomes()
    assert (outcomes["passed"], outcomes["xfailed"], outcomes["failed"]) == (4, 1, 2)
    assert ran.codes("TestAnother") == {"HC602"}
    ran.result.stdout.fnmatch_lines(["*XPASS(strict)*HC601: once*"])
    ran.result.stdout.fnmatch_lines(["XFAIL *TestKnown*header*HC602: by nature*"])
