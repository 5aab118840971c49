"""The proxy beside nginx as one, both before nginx, and beside the engine: `python benchmarks/proxy.py [--rounds N]`.

Prints Markdown, as it stands in docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import servers
from engine import OURS, Turn, take_turn, warm_up

SECONDS = 1


def turns_of(rounds: int) -> dict[str, list[Turn]]:
    """The turns of each server under load, round by round, in alternating order."""
    with ExitStack() as stack:
        port, _ = stack.enter_context(servers.running("nginx"))
        os.environ["UPSTREAM"] = f"http://127.0.0.1:{port}"
        started = {kind: stack.enter_context(servers.running(kind)) for kind in (*servers.PROXIES, OURS)}
        for kind, (own, _) in started.items():
            warm_up(kind, own)
        turns: dict[str, list[Turn]] = {kind: [] for kind in started}
        for number in range(rounds):
            for kind in list(started) if number % 2 == 0 else list(reversed(started)):
                turns[kind].append(take_turn(*started[kind], SECONDS))
    return turns


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="how often each takes its turn (default: 10)")
    turns = turns_of(parser.parse_args().rounds)
    print("| server | requests/s, median | CPU a request |\n| --- | ---: | ---: |")
    for kind, own in turns.items():
        name = f"{kind}, no proxy" if kind == OURS else kind
        rate, cpu = (statistics.median(values) for values in zip(*own, strict=True))
        print(f"| {name} | {rate:,.0f} | {cpu * 1e6:.0f} µs |")


if __name__ == "__main__":
    main()
