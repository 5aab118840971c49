"""`httpconc score`: the contract suite on clients, as a table."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from rich.console import Console

from fake_servers import ScenarioError
from pytest_httpconc import ClientContract
from pytest_httpconc.cli import main
from pytest_httpconc.scoring import clients
from pytest_httpconc.scoring.clients import CLIENTS, Client, chosen
from pytest_httpconc.scoring.families import FAMILIES, family_of
from pytest_httpconc.scoring.results import Outcome, Score, Test
from pytest_httpconc.scoring.running import score_all
from pytest_httpconc.scoring.table import as_markdown, draw

ROOT = Path(__file__).parents[2]
#: Ends the run in its first test, with the status of one in which all have passed.
ENDING = "class TestEnding(Few):\n    @pytest.fixture\n    def client(self): pytest.exit('no more', returncode=0)"
QUICK = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytest_httpconc.plugin"}
TESTS = [name for name in dir(ClientContract) if name.startswith("test_")]

#: Few tests of the contract.
FEW = """
import pytest, requests
from pytest_httpconc import ClientContract

class Few(ClientContract):
    @pytest.fixture
    def client(self):
        with requests.Session() as session:
            yield session

    def call(self, client, url, payload):
        return client.post(url, json=payload, timeout=30).json()

    def test_of_my_own(self):
        raise AssertionError("it is not the contract's, and not run")

for name in dir(ClientContract):
    if name.startswith("test_") and name not in {"test_no_retry_on", "test_every_cancellation"}:
        setattr(Few, name, None)
"""
#: On a client that keeps it, on one that does not, on one whose contract says so, and on one that can't be had.
OWN = f"""{FEW}
class TestGood(Few):
    pass

class TestRetrying(Few):
    def call(self, client, url, payload):
        for _ in range(2):
            response = client.post(url, json=payload, timeout=30)
        return response.json()

class TestKnown(TestRetrying):
    known = {{"test_no_retry_on[503]": {{"HC202": "the server wants it"}}}}

class TestSkipped(Few):
    @pytest.fixture
    def client(self):
        pytest.skip("needs a licence")

def test_other():
    raise AssertionError("it is no contract's, and not run")
"""


def test_every_test_of_the_contract_has_a_column():
    assert {test: family_of(test) for test in TESTS if family_of(test) not in FAMILIES} == {}
    assert {family_of(test) for test in TESTS} == set(FAMILIES)
    assert family_of("test_of_my_own") is None


def test_own_contracts_are_scored_by_their_outcomes(tmp_path):
    (tmp_path / "test_own.py").write_text(OWN)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -n 2 --no-such-option\n")
    command = [sys.executable, "-m", "pytest_httpconc", "score", "test_own.py", "--json"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **QUICK}, capture_output=True, text=True, check=True
    )
    told = {score["client"]: {test["name"]: test for test in score["tests"]} for score in json.loads(done.stdout)}
    kept = {name: test["outcome"] for name, test in told["TestGood"].items()}
    assert kept.pop("test_every_cancellation") == "inapplicable"
    assert kept == {f"test_no_retry_on[{status}]": "passed" for status in (429, 500, 502, 503, 504)}
    retried = {name: tests["test_no_retry_on[503]"] for name, tests in told.items()}
    assert (retried["TestRetrying"]["outcome"], retried["TestRetrying"]["codes"]) == ("failed", ["HC202"])
    assert (retried["TestKnown"]["outcome"], retried["TestKnown"]["codes"]) == ("known", ["HC202"])
    assert (retried["TestSkipped"]["outcome"], retried["TestSkipped"]["reason"]) == ("inapplicable", "needs a licence")


def test_contracts_of_the_same_name_are_scored_apart(tmp_path, monkeypatch):
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "test_one.py").write_text(f"{FEW}\nclass TestMine(Few): pass")
    (tmp_path / "test_two.py").write_text(f"{FEW}\nclass TestMine(Few):\n    test_no_retry_on = None")
    scores = score_all([Client(place=str(tmp_path))], at_once=1, tell=lambda line: None)
    assert [(score.client, score.of()) for score in scores] == [("TestMine", (5, 5)), ("TestMine", (0, 0))]


def test_popular_client_is_scored_under_its_name_and_release():
    file = ROOT / "examples" / "contracts" / "test_requests.py"
    client = Client(name="requests", distribution="requests", place=f"{file}::TestRequests::test_call_gets_its_answer")
    said = []
    (score,) = score_all([client], at_once=1, tell=said.append)
    assert (score.title, score.of()) == (f"requests {version('requests')}", (1, 1))
    assert said == [f"requests {version('requests')}: 1 of 1"]


def a_score():
    tests = [
        Test(name="test_a", family="stale", outcome=Outcome.PASSED),
        Test(name="test_b[x]", family="stale", outcome=Outcome.FAILED, codes=("HC201",), reason="sent twice"),
        Test(name="test_c", family="statuses", outcome=Outcome.KNOWN, codes=("HC202",), reason="meant"),
        Test(name="test_d", family="timeouts", outcome=Outcome.INAPPLICABLE, reason="say read_timeout = S"),
    ]
    return Score(client="mine", version="1.2", tests=tuple(tests))


def test_table_counts_passed_of_judged_and_names_what_is_not_kept():
    console = Console(width=200, record=True, quiet=True)
    with console.capture() as shown:
        console.quiet = False
        draw([a_score()], console)
    heading, _, row, *beneath = [line.strip() for line in shown.get().splitlines() if line.strip()]
    assert heading.split()[:3] == ["client", "connections", "at"]
    assert row.split() == ["mine", "1.2", "-", "-", "-", "1/2", "-", "-", "-", "-", "0/1", "-", "-", "1/3", "1"]
    assert beneath == ["mine 1.2", "HC201   test_b[x]: sent twice", "HC202   test_c: known: meant"]


def test_markdown_has_the_same():
    first, *_, last = as_markdown([a_score()]).splitlines()
    assert first == f"| client | {' | '.join(FAMILIES)} | all | not applicable |"
    assert last == "- `test_c`: HC202 known: meant"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["curl"], "client 'curl' is not known; allowed are requests, requests-limited, httpx"),
        (["tests/missing.py"], "there is no tests/missing.py; give a file with a ClientContract"),
        (["EMPTY"], "can't be scored: there is no ClientContract in it"),
        (["BROKEN"], "can't be scored: test_broken.py: ModuleNotFoundError: No module named 'no_such_client'"),
        (["ENDING"], "can't be scored: Exit: no more; 5 of 5 tests have not run, the first test_no_retry_on[429]"),
        (["STRANGE"], "can't be run; pytest ended with status 4: "),
        (["requests", "--jobs", "0"], "'0' is no count; allowed are whole numbers from 1 up"),
    ],
)
def test_error_is_one_line_and_a_status(capsys, tmp_path, monkeypatch, arguments, problem):
    monkeypatch.chdir(tmp_path)
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "test_empty.py").write_text("def test(): pass")
    (tmp_path / "test_broken.py").write_text("import no_such_client")
    (tmp_path / "test_ending.py").write_text(f"{FEW}\n{ENDING}")
    files = {"EMPTY": "./test_empty.py", "BROKEN": "./test_broken.py", "ENDING": "./test_ending.py"}
    files["STRANGE"] = "./test_empty.py::TestNone"
    with pytest.raises(SystemExit) as ended:
        main(["score", *(files.get(argument, argument) for argument in arguments)])
    said = capsys.readouterr()
    assert (ended.value.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert problem in said.err


def test_client_that_is_not_installed_is_refused_where_it_is_named_and_left_out_where_not(monkeypatch):
    absent = Client(name="absent", distribution="no-such-distribution", place="test_absent.py")
    monkeypatch.setattr(clients, "CLIENTS", (CLIENTS[0], absent))
    with pytest.raises(ScenarioError, match="'absent' is not installed; it comes with pip install no-such-distri"):
        chosen(["absent"])
    assert chosen([]) == [CLIENTS[0]]


def test_every_popular_client_has_its_contract():
    assert [client.name for client in CLIENTS if not Path(client.place).is_file()] == []
    shown = {path.name for path in (ROOT / "examples" / "contracts").glob("test_*.py")}
    assert {Path(client.place).name for client in CLIENTS} == shown
