"""The gate against itself: `python benchmarks/gate.py [--runs N] [--times N] [--baseline-loaded N]`.

Runs `pytest --benchmark` on a small project again and again: unchanged, half of the time beside a process that loads
one core, where no alarm is allowed; and with one regression each, which it is to find. The baseline is recorded on the
machine as it is, or beside processes that load its cores. Prints Markdown, as it stands in docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

PROJECT = Path(__file__).parent / "gate_project.py"
#: The regressions, each with the figure that must show it, and how many of ten must be found.
REGRESSIONS = {
    "loop blocked": ("peak_in_flight", 10),
    "pool limit 50 to 5": ("peak_in_flight", 10),
    "session per call": ("opened", 10),
    "one retry added": ("requests", 10),
    "lock around the call": ("peak_in_flight", 10),
    "20 % more CPU": ("relative_cpu", 9),
}


@dataclass(frozen=True)
class Run:
    """One run of the gate: its exit status, its seconds, and the figures that it called worse."""

    status: int
    seconds: float
    worse: frozenset[str]
    cpu: dict[str, float]
    seconds_for_call: dict[str, float]


def run_gate(folder: Path, *arguments: str, regression: str = "", extra: int = 0) -> Run:
    """Run the gate once in the project's folder.

    Args:
        folder: of the project.
        arguments: of pytest.
        regression: one of `REGRESSIONS`; none when empty.
        extra: the work that a dearer call does.
    """
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "--benchmark", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "GITHUB"))}
    begun_at = time.monotonic()
    done = subprocess.run(
        [*command, f"--httpconc-benchmark-json={report}", *arguments],
        cwd=folder,
        env={**environment, "REGRESSION": regression, "EXTRA": str(extra)},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - begun_at
    if not report.exists():
        raise RuntimeError(f"the gate did not run: {done.stdout}{done.stderr}")
    found = json.loads(report.read_text())["benchmarks"]
    worse = frozenset(j["figure"] for one in found for j in one["judgements"] if j["verdict"] == "worse")
    cpu = {one["name"]: one["ratios"]["relative_cpu"]["value"] for one in found if "relative_cpu" in one["ratios"]}
    return Run(done.returncode, seconds, worse, cpu, {one["name"]: one["candidate"]["cpu_per_call"] for one in found})


@contextmanager
def loaded_cores(count: int) -> Iterator[None]:
    """So many processes, each of which does nothing but use one core."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def fifth_of(seconds: float) -> int:
    """How often a dearer call does its extra step for 20 % more than so many seconds of CPU."""
    step = min(timeit.repeat("for number in range(1000): str(number)", number=1, repeat=500)) / 1000
    return round(0.2 * seconds / step)


def print_false_alarms(folder: Path, baseline: Run, runs: int) -> bool:
    """Run the unchanged project, and print how often the gate called it worse; return whether it never did."""
    print("| unchanged | runs | alarms | seconds, median (most) | CPU beside the baseline's, least to most |")
    print("| --- | ---: | ---: | ---: | ---: |")
    alarms = 0
    done: dict[str, list[Run]] = {"machine as it is": [], "one core loaded": []}
    for number in range(runs):
        kind = list(done)[number % 2]
        with loaded_cores(number % 2):
            done[kind].append(run_gate(folder))
    for kind, results in done.items():
        alarmed = [run for run in results if run.status]
        alarms += len(alarmed)
        seconds = [run.seconds for run in results]
        changes = [run.cpu[name] / then for run in results for name, then in baseline.cpu.items()]
        figures = f" ({', '.join(sorted({figure for run in alarmed for figure in run.worse}))})" if alarmed else ""
        print(
            f"| {kind} | {len(results)} | {len(alarmed)}{figures} | {statistics.median(seconds):.1f} "
            f"({max(seconds):.1f}) | {min(changes):.2f} to {max(changes):.2f} |",
            flush=True,
        )
    return alarms == 0


def print_misses(folder: Path, baseline: Run, times: int) -> bool:
    """Run the project with one regression each, and print how often it was found; return whether often enough."""
    print("| regression | found | by | required of 10 |\n| --- | ---: | --- | ---: |")
    extra = fifth_of(baseline.seconds_for_call["test_clients.py::test_evaluations"])
    enough = True
    for regression, (figure, required) in REGRESSIONS.items():
        results = [run_gate(folder, regression=regression, extra=extra) for _ in range(times)]
        found = sum(run.status == 1 and figure in run.worse for run in results)
        always = frozenset.intersection(*(run.worse for run in results if figure in run.worse)) if found else ()
        enough &= found >= required * times / 10
        print(f"| {regression} | {found} of {times} | {', '.join(sorted(always))} | {required} |", flush=True)
    return enough


def main() -> int:
    """Measure everything; return 0 if every requirement is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40, help="of the unchanged project (default: 40)")
    parser.add_argument("--times", type=int, default=10, help="that each regression is run (default: 10)")
    parser.add_argument(
        "--baseline-loaded", type=int, default=0, help="cores, while the baseline is recorded (default: 0)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_clients.py").write_text(PROJECT.read_text())
        (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
        load = ", ".join(f"{part:.1f}" for part in psutil.getloadavg())
        print(f"{psutil.cpu_count()} cores, {options.baseline_loaded} loaded for the baseline, load before it {load}\n")
        with loaded_cores(options.baseline_loaded):
            baseline = run_gate(folder, "--httpconc-update-baseline")
        silent = print_false_alarms(folder, baseline, options.runs)
        print()
        found = print_misses(folder, baseline, options.times)
    return 0 if silent and found else 1


if __name__ == "__main__":
    sys.exit(main())
