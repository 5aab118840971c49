"""Thousands of connections held on two processes: `python benchmarks/held.py [--connections N] [--workers N]`."""

from __future__ import annotations

import argparse
import resource
import socket
import sys
import time
from pathlib import Path

import psutil

from fake_servers import FakeServer, Response

sys.path.insert(0, str(Path(__file__).parent))
import load

SPARE = 200  # descriptors for all else that a process has open


def measure(connections: int, workers: int) -> str:
    """Hold so many connections, with one request served on each; say in Markdown what one costs."""
    server = FakeServer(host="process", workers=workers)
    server.route("GET /")(lambda request: Response.json({"ok": True}))
    with server:
        children = psutil.Process().children()
        warm_up(server.port)
        before = [child.memory_info().rss for child in children]
        start = time.perf_counter()
        held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(connections)]
        for connection in held:
            ask(connection)
        seconds = time.perf_counter() - start
        after = [child.memory_info().rss for child in children]
        server.ledger.wait_until(lambda ledger: ledger.open_connections >= connections, timeout=60)
        start = time.perf_counter()
        records = len(server.ledger.connections)
        reading = time.perf_counter() - start
        shares = [child.net_connections() for child in children]
        for connection in held:
            connection.close()
    kib = (sum(after) - sum(before)) / connections / 1024
    share = " and ".join(f"{sum(c.status == 'ESTABLISHED' for c in of_child):,}" for of_child in shares)
    return (
        f"{connections:,} connections held on {workers} processes ({share}), one request served on each: {kib:.1f} KiB "
        f"for each, connected and served in {seconds:.1f} s; their {records:,} records are read in {reading:.2f} s."
    )


def warm_up(port: int) -> None:
    """Have every process serve before its memory is looked at."""
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            ask(connection)


def ask(connection: socket.socket) -> None:
    """Send a request and read its answer."""
    connection.sendall(load.REQUEST)
    received = b""
    while b'{"ok"' not in received:
        received += connection.recv(4096)


def lacking(connections: int) -> str:
    """Why so many connections can't be held here; empty if they can. The client needs one descriptor for each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + SPARE
    if soft < needed <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if needed <= hard:
        return ""
    return (
        f"{connections:,} connections take {needed:,} open files in the client, and as many, shared out, in the "
        f"server's processes; the limit is {hard:,}. Raise it as root: ulimit -Hn {needed}"
    )


def main() -> int:
    """Measure, or say why not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    problem = lacking(options.connections)
    print(problem or measure(options.connections, options.workers))
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
