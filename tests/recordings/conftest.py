"""What these tests share: raw bytes over a socket, and recordings that went through a file."""

from __future__ import annotations

import socket

import pytest

from pytest_httpconc.recordings.forms import dump, load
from pytest_httpconc.recordings.making import make
from pytest_httpconc.recordings.writing import record

PATIENCE = 10.0


def _ask(port: int, path: str, body: bytes = b"", *, method: str = "GET", headers: str = "") -> bytes:
    """Every byte of the answer, up to FIN or RST; an RST is told at its end."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    answer = b""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        sock.sendall(head.encode() + body)
        try:
            while data := sock.recv(65536):
                answer += data
        except ConnectionResetError:
            answer += b"<RST>"
    return answer


@pytest.fixture
def ask():
    return _ask


@pytest.fixture
def recorded(tmp_path):
    """Write what servers have recorded to a file and read it back; `recorded(server, ...).servers`."""

    def through_a_file(*servers, test="test_it.py::test_it", failure="AssertionError", findings=()):
        path = tmp_path / "recording.json"
        path.write_text(dump(record(test, failure, findings, [(server, server.ledger) for server in servers])))
        return load(path)

    return through_a_file


@pytest.fixture
def again(recorded):
    """Make a server again from what it has recorded; it is to be started."""
    return lambda server: make(recorded(server).servers[0])
