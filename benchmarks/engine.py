"""The engine beside other servers, in one run and in turns: `python benchmarks/engine.py [--rounds N]`.

Prints Markdown, as it stands in docs/performance.md.
"""

from __future__ import annotations

import argparse
import platform
import socket
import statistics
import sys
import time
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent))
import load
import servers

OURS = "pytest-httpconc"
REQUIRED = {"pytest-httpserver": 15.0, "aiohttp.web": 2.0, "nginx": 0.35}


def throughput(rounds: int, seconds: int) -> dict[str, list[float]]:
    """Requests per second of each server, round by round; all of them run, and take turns under load."""
    with ExitStack() as stack:
        ports = {kind: stack.enter_context(servers.running(kind))[0] for kind in servers.available()}
        for port in ports.values():
            load.requests_per_second(port, connections=32, seconds=2)
        rates: dict[str, list[float]] = {kind: [] for kind in ports}
        for number in range(rounds):
            for kind in list(ports) if number % 2 == 0 else list(reversed(ports)):
                rates[kind].append(load.requests_per_second(ports[kind], connections=32, seconds=seconds))
    return rates


def print_throughput(rates: dict[str, list[float]]) -> bool:
    """Print the rates and the ratios; return whether every required ratio is reached.

    A ratio is taken within a round, where both met the same noise, and its median over the rounds is judged.
    """
    print("| server | requests/s, median | ours is, median (least to most) | required |\n| --- | ---: | ---: | ---: |")
    reached = True
    for kind, values in rates.items():
        ratios = [ours / theirs for ours, theirs in zip(rates[OURS], values, strict=True)]
        ratio, required = statistics.median(ratios), REQUIRED.get(kind)
        reached &= required is None or ratio >= required
        goal = "" if required is None else f"{required:g} x"
        own = "" if kind == OURS else f"{ratio:.2f} x ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"| {kind} | {statistics.median(values):,.0f} | {own} | {goal} |")
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


def print_start_and_stop(times: int) -> bool:
    """Print how long a server takes to start, answer nothing, and stop; return whether the median is under 5 ms."""
    from fake_servers import FakeServer

    with FakeServer():
        pass
    durations = []
    for _ in range(times):
        start = time.perf_counter()
        with FakeServer():
            pass
        durations.append(time.perf_counter() - start)
    median, most = statistics.median(durations) * 1000, max(durations) * 1000
    print(f"Start and stop, {times} times: median {median:.2f} ms, at the most {most:.2f} ms (required: under 5 ms).")
    return median < 5


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
        _ask(first)
        before = process.memory_info().rss
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
        for connection in held:
            _ask(connection)
        after = process.memory_info().rss
        for connection in held:
            connection.close()
    return (after - before) / connections / 1024


def _ask(connection: socket.socket) -> None:
    connection.sendall(load.REQUEST)
    received = b""
    while b'{"ok"' not in received:
        received += connection.recv(4096)


def main() -> int:
    """Measure everything; return 0 if every requirement is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="how often each server takes its turn (default: 15)")
    parser.add_argument("--seconds", type=int, default=1, help="length of one turn in seconds (default: 1)")
    parser.add_argument("--connections", type=int, default=5000, help="connections held for memory (default: 5000)")
    options = parser.parse_args()
    names = ("httptools", "uvloop", "aiohttp", "pytest-httpserver")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    print(f"Python {platform.python_version()}, {psutil.cpu_count()} cores, {versions}\n")
    met = [print_throughput(throughput(options.rounds, options.seconds))]
    print()
    met.append(print_concurrency(5))
    print()
    met.append(print_start_and_stop(200))
    print()
    print_memory(options.connections)
    if not all(met):
        print("\nNot every requirement is met.")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
