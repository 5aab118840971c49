"""The gate's figures in the report of the run."""

import json

import pytest

from pytest_httpconc.bench.baseline import Entry, Interval
from pytest_httpconc.bench.results import Result
from pytest_httpconc.bench.showing import figures_of
from pytest_httpconc.bench.stats import Ratio
from pytest_httpconc.bench.verdicts import judge

PLACE = ("test_shop.py", 1)


@pytest.fixture
def figures(measured):
    def figures(stored, **given):
        now = measured(**given)
        result = Result.of("test_orders", PLACE, now, () if stored is None else judge(now, stored))
        return {figure.name: figure for figure in figures_of(result, stored)}

    return figures


def stored(**counts):
    return Entry(calls=10, concurrency=2, counts=counts, ratios={"relative_cpu": Interval(0.9, 1.0, 1.1)})


def test_figures_stand_beside_what_the_baseline_has(figures):
    found = figures(
        stored(connections=(1, 1), requests=(10, 10), peak_in_flight=(1, 1)), relative_cpu=Ratio(1.0, 0.9, 1.1)
    )
    assert (found["connections"].value, found["connections"].baseline_high) == (2, 1)
    assert {name: str(figure.verdict) for name, figure in found.items() if figure.verdict} == {
        "connections": "regressed",
        "requests": "held",
        "peak_in_flight": "improved",
        "relative_cpu": "held",
    }
    assert (found["relative_cpu"].unit, found["relative_cpu"].baseline_low) == ("x", 0.9)


def test_interval_without_an_end_has_none(figures):
    ratio = figures(None, relative_cpu=Ratio(1.0, 0.0, float("inf")))["relative_cpu"]
    assert (ratio.low, ratio.high, ratio.baseline_low, ratio.verdict) == (0.0, None, None, None)


def test_report_of_a_run_has_the_figures_of_its_benchmarks(run, pytester):
    source = """
        def test_orders(httpconc_benchmark):
            httpconc_benchmark.run(lambda: None, calls=1, concurrency=1)
    """
    run(source, "--httpconc-report=report.json", plugins=("pytest_benchmark.plugin",)).assert_outcomes(passed=1)
    (test,) = json.loads(pytester.path.joinpath("report.json").read_text())["tests"]
    assert {figure["name"]: figure["value"] for figure in test["figures"]}["requests"] == 0
