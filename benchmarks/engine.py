"""The engine beside other servers, in one run and in turns: `python benchmarks/engine.py [--rounds N] [--write FILE]`.

Prints Markdown, and writes it between two comments of a file, as it stands in docs/performance.md.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, redirect_stdout
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

sys.path.insert(0, str(Path(__file__).parent))
import held
import load
import mocks
import servers

if TYPE_CHECKING:
    from fake_servers.server import HostKind

OURS = "pytest-httpconc"
REQUIRED = {
    "nginx": 0.5,
    "wiremock": 1.5,
    "mockttp": 5.0,
    "mountebank": 5.0,
    "pytest-httpserver": 5.0,
    "aiohttp.web": 2.0,
}
LEVEL = 0.05  # what two seconds may differ from the two before, for a rate to be level
LONGEST_WARM_UP = 40  # seconds
SHORTEST_WARM_UP = {"wiremock": 30}
BEGIN, END = "<!-- benchmarks/engine.py -->\n", "<!-- end -->\n"


class Turn(NamedTuple):
    """What one turn under load has shown: requests per second, and seconds of the server's processors per request."""

    rate: float
    cpu: float


def throughput(rounds: int, seconds: int) -> dict[str, list[Turn]]:
    """The turns of each server, round by round; all of them run, and take turns under load."""
    with ExitStack() as stack:
        started = {kind: stack.enter_context(servers.running(kind)) for kind in servers.available()}
        for kind, (port, _) in started.items():
            warm_up(kind, port)
        turns: dict[str, list[Turn]] = {kind: [] for kind in started}
        for number in range(rounds):
            for kind in list(started) if number % 2 == 0 else list(reversed(started)):
                turns[kind].append(take_turn(*started[kind], seconds))
    return turns


def take_turn(port: int, pid: int, seconds: int) -> Turn:
    """Load one server."""
    before = processor_time(pid)
    rate = load.requests_per_second(port, connections=32, seconds=seconds)
    return Turn(rate, (processor_time(pid) - before) / (rate * seconds))


def processor_time(pid: int) -> float:
    """What a process and its children have taken so far, in seconds."""
    process = psutil.Process(pid)
    return sum(sum(each.cpu_times()[:2]) for each in (process, *process.children(recursive=True)))


def warm_up(kind: str, port: int) -> None:
    """Load a server until its rate is level twice: one that compiles what it runs takes its time."""
    before, passed, level = 0.0, 0, 0
    while passed < LONGEST_WARM_UP and (level < 2 or passed < SHORTEST_WARM_UP.get(kind, 0)):
        rate = load.requests_per_second(port, connections=32, seconds=2)
        level = level + 1 if abs(rate - before) <= LEVEL * rate else 0
        passed, before = passed + 2, rate
    print(f"{kind}: {before:,.0f} requests/s after {passed} s", file=sys.stderr)


def print_throughput(turns: dict[str, list[Turn]]) -> bool:
    """Print the rates and the ratios; return whether every required ratio is reached.

    A ratio is taken within a round, where both met the same noise, and its median over the rounds is judged.
    """
    print("| server | requests/s, median | CPU a request | ours is, median (least to most) | required |")
    print("| --- | ---: | ---: | ---: | ---: |")
    reached = True
    for kind, own in turns.items():
        ratios = [ours.rate / theirs.rate for ours, theirs in zip(turns[OURS], own, strict=True)]
        ratio, required = statistics.median(ratios), REQUIRED.get(kind)
        reached &= required is None or ratio >= required
        rate, cpu = (statistics.median(values) for values in zip(*own, strict=True))
        goal = "" if required is None else f"{required:g} x"
        times = "" if kind == OURS else f"{ratio:.2f} x ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"| {kind} | {rate:,.0f} | {cpu * 1e6:.1f} µs | {times} | {goal} |")
    return reached


def print_concurrency(rounds: int) -> bool:
    """Print how long 50, 500 and 2,000 concurrent exchanges of 500 ms take; return whether 50 are within 10 %."""
    print("| concurrent exchanges of 500 ms | median makespan | over 500 ms |\n| ---: | ---: | ---: |")
    medians: dict[int, float] = {}
    with servers.running(OURS, delay=0.5) as (port, _):
        load.makespan(port, 10)
        for count in (50, 500, 2000):
            medians[count] = statistics.median(load.makespan(port, count) for _ in range(rounds))
            print(f"| {count:,} | {medians[count] * 1000:.0f} ms | {(medians[count] / 0.5 - 1) * 100:.1f} % |")
    with servers.running("pytest-httpserver", delay=0.5) as (port, _):
        serial = load.makespan(port, 50)
    print(f"| 50, pytest-httpserver's default | {serial * 1000:,.0f} ms | {(serial / 0.5 - 1) * 100:,.0f} % |")
    return medians[50] <= 0.55


def print_start_and_stop(host: HostKind, times: int, required: float) -> bool:
    """Print how long a server takes to start, answer nothing, and stop; return whether the median is low enough."""
    from fake_servers import FakeServer

    with FakeServer(host=host):
        pass
    starts, stops = [], []
    for _ in range(times):
        start = time.perf_counter()
        with FakeServer(host=host):
            starts.append((time.perf_counter() - start) * 1000)
            start = time.perf_counter()
        stops.append((time.perf_counter() - start) * 1000)
    median = statistics.median(starts)
    print(
        f"In a {host}, {times} times: started in {median:.1f} ms, median ({min(starts):.1f} to {max(starts):.1f}; "
        f"required: under {required:g} ms), stopped in {statistics.median(stops):.1f} ms."
    )
    return median < required


def print_memory(connections: int) -> None:
    """Print what a held connection costs the server, beside aiohttp.web."""
    figures = []
    for kind in (OURS, "aiohttp.web"):
        with servers.running(kind) as (port, pid):
            figures.append(f"{kind} {_kib_per_connection(port, pid, connections):.1f} KiB")
    print(f"Memory for each of {connections:,} held connections, one request served on each: {', '.join(figures)}.")


def _kib_per_connection(port: int, pid: int, connections: int) -> float:
    process = psutil.Process(pid)
    with socket.create_connection(("127.0.0.1", port)) as first:
        held.ask(first)
        before = process.memory_info().rss
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
        for connection in clients:
            held.ask(connection)
        after = process.memory_info().rss
        for connection in clients:
            connection.close()
    return (after - before) / connections / 1024


def versions() -> str:
    """What is compared, and on what."""
    names = ("httptools", "uvloop", "aiohttp", "pytest-httpserver")
    found = [f"{name} {version(name)}" for name in names] + [
        f"{kind} {mocks.version(kind)}" for kind in mocks.available()
    ]
    if shutil.which("nginx"):
        said = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr
        found.append(f"nginx {said.strip().rpartition('/')[2]}")
    return f"Python {platform.python_version()}, {psutil.cpu_count()} cores, {', '.join(found)}."


def measure(options: argparse.Namespace) -> bool:
    """Measure and print everything; return whether every requirement is met."""
    print(versions() + "\n")
    met = [print_throughput(throughput(options.rounds, options.seconds))]
    print()
    met.append(print_concurrency(5))
    print()
    met.append(print_start_and_stop("thread", 200, required=5))
    print()
    met.append(print_start_and_stop("process", 30, required=300))
    print()
    print_memory(options.connections)
    print()
    print(held.lacking(10_000) or held.measure(10_000, workers=2))
    return all(met)


def write(path: Path, text: str) -> None:
    """Put the figures between the two comments of a file."""
    before, rest = path.read_text().split(BEGIN)
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END, 1)[1]}")


def main() -> int:
    """Measure everything; return 0 if every requirement is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="how often each server takes its turn (default: 15)")
    parser.add_argument("--seconds", type=int, default=1, help="length of one turn in seconds (default: 1)")
    parser.add_argument("--connections", type=int, default=5000, help="connections held for memory (default: 5000)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="the file to write the figures into")
    options = parser.parse_args()
    figures = StringIO()
    with redirect_stdout(figures):
        met = measure(options)
    print(figures.getvalue(), end="")
    if options.write is not None:
        write(options.write, figures.getvalue())
    if not met:
        print("\nNot every requirement is met.")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
