"""The fixture, on top of pytest-benchmark's: its rounds, storage and tables have ours in them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from pytest_httpconc.bench.plugin import HARNESS, RESULTS, gate_of
from pytest_httpconc.bench.progress import Ticker

if TYPE_CHECKING:
    from pytest_httpconc.bench.figures import Round
    from pytest_httpconc.bench.gate import Gate
    from pytest_httpconc.bench.harness import HttpconcBenchmark
    from pytest_httpconc.bench.results import Result


@pytest.fixture
def httpconc_benchmark(request: pytest.FixtureRequest, benchmark: Any) -> Iterator[HttpconcBenchmark]:
    """Measures calls, and compares them with others and with the baseline; see docs/benchmarks.md."""
    if find_spec("scipy") is None:
        pytest.fail("httpconc_benchmark needs scipy; install it by pip install 'pytest-httpconc[bench]'", pytrace=False)
    from pytest_httpconc.bench.harness import HttpconcBenchmark

    harness = request.config.stash.get(HARNESS, None)
    if harness is not None:
        with closing(harness(request.node.nodeid)) as elsewhere:
            yield elsewhere
        return
    gate = gate_of(request.config)
    results: list[Result] = []
    request.node.stash[RESULTS] = results

    def record(result: Result, rounds: list[Round]) -> None:
        from pytest_httpconc.bench.ci import properties

        results.append(result)
        request.node.user_properties.extend(properties(result))
        benchmark.extra_info.setdefault("httpconc", []).append(result.as_dict())
        _report(request.node, result, gate)
        if len(results) == 1:
            _show(benchmark, [one.seconds for one in rounds])

    with (
        Ticker(_saying(request)) as ticker,
        closing(
            HttpconcBenchmark(
                request.node.nodeid, depth=gate.depth, judge=gate.judge, record=record, progress=ticker.tell
            )
        ) as here,
    ):
        yield here


def _report(item: pytest.Item, result: Result, gate: Gate) -> None:
    """Hand the figures to the report of the run, if one was asked for."""
    reporting = sys.modules.get("pytest_httpconc.reporting")
    if reporting is not None:
        from pytest_httpconc.bench.showing import figures_of

        stored = None if gate.judge is None else gate.entries().get(result.name)
        reporting.show_figures(item, figures_of(result, stored))


def _show(benchmark: Any, seconds: list[float]) -> None:
    """Have pytest-benchmark show these rounds as its own; it has no way to time two sides in turns."""
    benchmark.pedantic(len, (seconds,))
    if benchmark.stats is not None:  # None under --benchmark-disable, as it is with xdist
        benchmark.stats.stats.data[:] = seconds


def _saying(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Writes a line on the terminal, under -q none."""
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")
    capture: Any = request.config.pluginmanager.get_plugin("capturemanager")

    def say(line: str) -> None:
        if terminal is not None and terminal.verbosity >= 0:
            with capture.global_and_fixture_disabled():
                terminal.ensure_newline()
                terminal.write_line(f"{request.node.nodeid}: {line}")

    return say
