"""The gate from outside: what runs, what fails, what is written, and the exit status."""

import json
import xml.etree.ElementTree as ET

import pytest

PLUGINS = ("pytest_benchmark.plugin",)
CLIENTS = """
    import pytest, requests
    from pytest_httpconc import Side

    def get(session, url):
        session.get(url, timeout=10)

    def get_anew(url):
        requests.get(url, timeout=10)

    def test_pooled(httpconc_benchmark):
        httpconc_benchmark.run(Side(get, requests.Session), calls=5, concurrency=1, latency=0.0)

    def test_anew(httpconc_benchmark):
        httpconc_benchmark.run(get_anew, calls=5, concurrency=1, latency=0.0)

    def test_plain():
        pass
"""
GOOD = {"connections": 1, "executions": 5, "opened": 0, "peak_in_flight": 1, "requests": 5, "resends": 0}
SENTENCE = "5 calls now open 5 connections, baseline 1"


def baseline(**counts):
    entries = {name: {"calls": 5, "concurrency": 1, "counts": found} for name, found in counts.items()}
    return {"format": 2, "benchmarks": {f"test_gate.py::{name}": entry for name, entry in entries.items()}}


@pytest.fixture
def gate(run, pytester, monkeypatch):
    """Run the gate in a process of its own, with this content of the baseline."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # pytest-benchmark takes itself for a worker by it

    def gate(content, *arguments, source=CLIENTS, plugins=()):
        if content is not None:
            text = content if isinstance(content, str) else json.dumps(content)
            pytester.path.joinpath("httpconc-baseline.json").write_text(text)
        pytester.makepyfile(test_gate=source)
        return run("", "--benchmark", "test_gate.py", *arguments, plugins=(*PLUGINS, *plugins))

    return gate


def test_without_the_option_a_benchmark_is_a_test_like_others(run, pytester):
    result = run(CLIENTS, plugins=PLUGINS)
    result.assert_outcomes(passed=3)
    result.stdout.no_fnmatch_line("*httpconc benchmarks*")
    assert not list(pytester.path.glob("*.json"))


def test_regression_fails_everywhere_it_is_looked_for(gate, pytester, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(pytester.path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    pytester.path.joinpath("summary.md").write_text("# Before\n")
    content = baseline(test_anew=GOOD, test_pooled=GOOD, test_gone=GOOD)
    result = gate(content, "--httpconc-benchmark-json=all.json", "--junit-xml=junit.xml")
    result.assert_outcomes(passed=1, failed=1, deselected=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            f"E *Regression: {SENTENCE}",
            "E *candidate: 5 calls, 1 together, in * rounds; *connections 5, opened 5*",
            "*= httpconc benchmarks =*",
            "test_gate.py::test_anew * worse *",
            "test_gate.py::test_pooled * better or same *",
            "in the baseline, but not run: test_gate.py::test_gone",
            f"::error file=test_gate.py,line=14,title=benchmark regression%3A *::{SENTENCE}*",
        ]
    )
    found = {one["name"]: one for one in json.loads(pytester.path.joinpath("all.json").read_text())["benchmarks"]}
    assert found["test_gate.py::test_anew"]["verdict"] == "worse"
    assert found["test_gate.py::test_anew"]["judgements"][0]["sentence"] == SENTENCE
    summary = pytester.path.joinpath("summary.md").read_text()
    assert summary.startswith("# Before\n")
    assert f"- test_gate.py::test_anew: worse: {SENTENCE}" in summary
    assert "| test_gate.py::test_pooled | better or same |" in summary
    cases = {case.get("name"): case for case in ET.parse(pytester.path / "junit.xml").iter("testcase")}
    properties = {one.get("name"): one.get("value") for one in cases["test_anew"].iter("property")}
    assert properties["httpconc.verdict"] == "worse"
    assert properties["httpconc.connections"] == "5"
    assert json.loads(pytester.path.joinpath("httpconc-baseline.json").read_text()) == content


def test_workers_send_their_figures_and_one_table_is_made(gate, pytester):
    result = gate(
        baseline(test_anew=GOOD, test_pooled=GOOD),
        "-n2",
        "--httpconc-benchmark-json=all.json",
        plugins=("xdist.plugin",),
    )
    result.assert_outcomes(passed=1, failed=1)
    assert result.ret == 1
    text = result.stdout.str()
    assert text.count("= httpconc benchmarks =") == 1
    assert len(json.loads(pytester.path.joinpath("all.json").read_text())["benchmarks"]) == 2


def test_update_writes_what_ran_and_keeps_the_rest(gate, pytester):
    before = baseline(test_gone=GOOD)
    result = gate(before, "--httpconc-update-baseline", "-k", "pooled")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*httpconc-baseline.json: 1 of 1 benchmarks are new or changed"])
    after = json.loads(pytester.path.joinpath("httpconc-baseline.json").read_text())["benchmarks"]
    assert after["test_gate.py::test_gone"] == before["benchmarks"]["test_gate.py::test_gone"]
    assert after["test_gate.py::test_pooled"]["counts"] == GOOD
    assert after["test_gate.py::test_pooled"]["ratios"].keys() == {"relative_cpu", "waking"}
    assert after.keys() == {"test_gate.py::test_gone", "test_gate.py::test_pooled"}


def test_benchmark_that_is_not_in_the_baseline_does_not_pass_silently(gate):
    result = gate(baseline(), "-k", "pooled")
    assert result.ret == 13
    result.stdout.fnmatch_lines(["*test_pooled: new, not judged: it is not in the baseline"])


@pytest.mark.parametrize(
    ("content", "arguments", "status", "message"),
    [
        (None, (), 10, "*there is no baseline at *"),
        ("{", (), 11, "*is corrupt*"),
        ('{"format": 0, "benchmarks": {}}', ("--httpconc-update-baseline",), 12, "*has format 0*"),
    ],
)
def test_baseline_that_can_not_be_used_ends_the_run(gate, pytester, content, arguments, status, message):
    result = gate(content, *arguments)
    assert result.ret == status
    result.stdout.fnmatch_lines([message])
    assert result.parseoutcomes().keys() <= {"deselected", "error", "warnings"}
    path = pytester.path / "httpconc-baseline.json"
    assert path.read_text() == content if content is not None else not path.exists()


def test_nothing_to_run_is_pytests_own_status(gate):
    assert gate(None, source="def test_plain(): pass").ret == 5


def test_marked_tests_are_benchmarks_too(gate):
    source = """
        import pytest

        @pytest.mark.benchmark
        def test_marked():
            pass
    """
    gate(baseline(), source=source).assert_outcomes(passed=1)


def test_what_is_missing_is_said_in_one_line(run):
    result = run(CLIENTS)
    result.stdout.fnmatch_lines(["*needs pytest-benchmark and scipy; install them by pip install *bench*"])


def test_update_alone_is_a_wrong_command_line(run):
    assert run("", "--httpconc-update-baseline", plugins=PLUGINS).ret == 4


def test_rounds_and_figures_are_in_pytest_benchmarks_own_report(gate, pytester):
    gate(baseline(test_pooled=GOOD), "-k", "pooled", "--benchmark-json=theirs.json").assert_outcomes(
        passed=1, deselected=2
    )
    (one,) = json.loads(pytester.path.joinpath("theirs.json").read_text())["benchmarks"]
    (ours,) = one["extra_info"]["httpconc"]
    assert one["stats"]["rounds"] == ours["candidate"]["rounds"] >= 10
    assert one["stats"]["median"] == pytest.approx(ours["candidate"]["seconds"])


def test_virtual_seconds_are_compared_exactly(gate):
    source = """
        import asyncio, aiohttp, pytest
        from pytest_httpconc import Side

        async def fetch(session, url):
            async with session.get(url) as response:
                await response.read()

        @pytest.mark.asyncio
        @pytest.mark.httpconc(virtual_time=True)
        async def test_virtual(httpconc_benchmark):
            await httpconc_benchmark.run_in_loop(
                Side(fetch, aiohttp.ClientSession), calls=50, concurrency=10, latency=30.0)
    """
    content = baseline(test_virtual=GOOD)
    content["benchmarks"]["test_gate.py::test_virtual"] = {
        "calls": 50,
        "concurrency": 10,
        "counts": {"peak_in_flight": 10},
        "virtual_seconds": 149.5,
    }
    option = ("-o", "asyncio_default_fixture_loop_scope=function")
    result = gate(content, *option, source=source, plugins=("asyncio", "looptime_plugin"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *Regression: 50 calls now take 150 virtual seconds, baseline 149.5"])


def test_benchmark_that_measures_nothing_does_not_pass(gate):
    source = """
    def test_nothing(httpconc_benchmark):
        pass

    async def never_awaited(httpconc_benchmark):
        await httpconc_benchmark.run_in_loop(lambda url: None)

    def test_forgotten(httpconc_benchmark):
        never_awaited(httpconc_benchmark).close()
    """
    result = gate({"format": 2, "benchmarks": {}}, source=source)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["test_nothing has httpconc_benchmark, and measured nothing: call its run or *"])


def test_gate_without_what_it_needs_says_so_in_one_line(run):
    result = run("def test(): pass", "--benchmark")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --benchmark needs pytest-benchmark and scipy; install them by pip install *"])


def test_regression_that_its_test_has_caught_fails_the_run(gate):
    source = """
    import contextlib, requests

    def test_anew(httpconc_benchmark):
        with contextlib.suppress(AssertionError):
            httpconc_benchmark.run(lambda url: requests.get(url, timeout=10), calls=5, concurrency=1, latency=0.0)
    """
    result = gate(baseline(test_anew=GOOD), source=source)
    result.assert_outcomes(passed=1)
    assert result.ret == 1


def test_benchmark_of_the_baseline_that_was_skipped_is_told(gate):
    result = gate(baseline(test_gone=GOOD), source="import pytest\ndef test_gone(benchmark): pytest.skip('later')")
    result.stdout.fnmatch_lines(["in the baseline, but not run: test_gate.py::test_gone"])


def test_folder_that_is_not_there_is_told_before_anything_runs(gate):
    result = gate(baseline(test_pooled=GOOD), "--httpconc-benchmark-json=nowhere/all.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --httpconc-benchmark-json=nowhere/all.json can't be written: *"])
