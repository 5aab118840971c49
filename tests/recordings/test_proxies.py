"""A proxy made again from its recording answers as the server behind it did, and breaks off where that did."""

import contextlib
import socket
import threading

import pytest

from fake_servers import ChaosProxy, FakeServer, Response


@contextlib.contextmanager
def upstream_that_says(answer):
    """A server that takes one connection, reads a request, says this and closes; where it is."""

    def serve():
        client, _ = listening.accept()
        with client:
            client.recv(65536)
            client.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Name: caf\xe9\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"",
    ],
)
@pytest.mark.parametrize("host", ["thread", "process"])
def test_what_the_upstream_has_said_is_said_again(ask, again, answer, host):
    with upstream_that_says(answer) as url, ChaosProxy(url, host=host) as proxy:
        first = ask(proxy.port, "/x")
        proxy.ledger.wait_until(lambda ledger: ledger.exchanges[-1].ended_at, timeout=10)
    assert answer[-2:] in first
    with again(proxy) as second:
        assert ask(second.port, "/x") == first


def test_authority_that_the_proxy_trusted_is_not_needed_again(ask, again, recorded):
    with FakeServer(tls=True) as real, ChaosProxy(real) as proxy:
        real.route("GET /x")(lambda request: Response.text("real"))
        first = ask(proxy.port, "/x")
    assert "verify" not in recorded(proxy).servers[0].arguments
    with again(proxy) as second:
        assert ask(second.port, "/x") == first
