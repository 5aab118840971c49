"""The fixture, on top of pytest-benchmark's: its rounds, storage and tables have ours in them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_httpconc.bench.plugin import RESULTS, gate_of

if TYPE_CHECKING:
    from pytest_httpconc.bench.figures import Round
    from pytest_httpconc.bench.harness import HttpconcBenchmark
    from pytest_httpconc.bench.results import Result

_PAUSE: Final = 10.0  # seconds between two lines of progress


@pytest.fixture
def httpconc_benchmark(request: pytest.FixtureRequest, benchmark: Any) -> Iterator[HttpconcBenchmark]:
    """Measures calls, and compares them with others and with the baseline; see docs/benchmarks.md."""
    if find_spec("scipy") is None:
        pytest.fail("httpconc_benchmark needs scipy; install it by pip install 'pytest-httpconc[bench]'", pytrace=False)
    from pytest_httpconc.bench.harness import HttpconcBenchmark

    gate = gate_of(request.config)
    results: list[Result] = []
    request.node.stash[RESULTS] = results

    def record(result: Result, rounds: list[Round]) -> None:
        from pytest_httpconc.bench.ci import properties

        results.append(result)
        request.node.user_properties.extend(properties(result))
        benchmark.extra_info.setdefault("httpconc", []).append(result.as_dict())
        if len(results) == 1:
            _show(benchmark, [one.seconds for one in rounds])

    harness = HttpconcBenchmark(
        request.node.nodeid,
        depth=gate.depth,
        judge=gate.judge,
        record=record,
        progress=_progress(request),
    )
    yield harness
    harness.close()


def _show(benchmark: Any, seconds: list[float]) -> None:
    """Have pytest-benchmark show these rounds as its own; it has no way to time two sides in turns."""
    benchmark.pedantic(len, (seconds,))
    if benchmark.stats is not None:  # None under --benchmark-disable, as it is with xdist
        benchmark.stats.stats.data[:] = seconds


def _progress(
    request: pytest.FixtureRequest, clock: Callable[[], float] = time.monotonic
) -> Callable[[int, int], None]:
    """A line on the terminal now and then, under -q none."""
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")
    capture: Any = request.config.pluginmanager.get_plugin("capturemanager")
    last = clock()

    def tell(done: int, most: int) -> None:
        nonlocal last
        if terminal is None or terminal.verbosity < 0 or clock() - last < _PAUSE:
            return
        last = clock()
        with capture.global_and_fixture_disabled():
            terminal.ensure_newline()
            terminal.write_line(f"{request.node.nodeid}: {done} rounds of at most {most}")

    return tell
