"""The servers that are compared, each in a process of its own: `python benchmarks/servers.py KIND` prints its port."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import create_connection, socket
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))
import mocks

if TYPE_CHECKING:
    from aiohttp import web

    from fake_servers.server import HostKind

BODY = {"ok": True}
EVENTS = 100


def httpconc(delay: float) -> None:
    """Our process host with one worker, its ledger recording."""
    _httpconc(delay, "process")


def httpconc_thread(delay: float) -> None:
    """Our thread host, likewise."""
    _httpconc(delay, "thread")


def _httpconc(delay: float, host: HostKind) -> None:
    import psutil

    from fake_servers import FakeServer, Request, Response

    with FakeServer(host=host) as server:

        @server.route("GET /")
        async def root(request: Request) -> Response:
            return Response.json(BODY)

        if delay:
            server.delay(delay)
        print(server.port, *(child.pid for child in psutil.Process().children()), flush=True)
        signal.pause()


def pytest_httpserver(delay: float) -> None:
    """pytest-httpserver with its defaults."""
    from pytest_httpserver import HTTPServer
    from werkzeug import Request, Response

    def root(request: Request) -> Response:
        time.sleep(delay)
        return Response('{"ok": true}', content_type="application/json")

    with HTTPServer() as server:
        server.expect_request("/").respond_with_handler(root)
        print(server.port, flush=True)
        signal.pause()


def httpconc_asyncio(delay: float) -> None:
    """Our thread host where uvloop is not installed."""
    sys.modules["uvloop"] = None  # type: ignore[assignment]  # importing it fails
    httpconc_thread(delay)


def aiohttp_web(delay: float) -> None:
    """A plain aiohttp.web handler."""
    import asyncio

    asyncio.run(_aiohttp(delay))


def aiohttp_uvloop(delay: float) -> None:
    """The same on uvloop."""
    import uvloop

    uvloop.run(_aiohttp(delay))


async def _aiohttp(delay: float) -> None:
    import asyncio

    from aiohttp import web

    async def root(request: web.Request) -> web.Response:
        if delay:
            await asyncio.sleep(delay)
        return web.json_response(BODY)

    app = web.Application()
    app.router.add_get("/", root)
    await _serve(app)


async def _serve(app: web.Application) -> None:
    import asyncio

    from aiohttp import web

    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def nginx(delay: float) -> None:
    """nginx with one worker, answering from its configuration."""
    _nginx("""return 200 '{"ok": true}';""")


def nginx_proxy(delay: float) -> None:
    """nginx with one worker before the server at the URL in UPSTREAM, to which it keeps connections."""
    address = os.environ["UPSTREAM"].removeprefix("http://")
    _nginx(
        "proxy_pass http://real; proxy_http_version 1.1; proxy_set_header Connection '';",
        f"upstream real {{ server {address}; keepalive 64; keepalive_requests 100000000; }}",
    )


def _nginx(location: str, before: str = "") -> None:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp())
    config = folder / "nginx.conf"
    config.write_text(
        f"worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;\n"
        "events { worker_connections 8192; }\n"
        "http { access_log off; keepalive_requests 100000000; default_type application/json;\n"
        f"{before} server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ {location} }} }} }}\n"
    )
    print(port, flush=True)
    os.execvp("nginx", ["nginx", "-e", str(folder / "error.log"), "-c", str(config)])


def httpconc_proxy(delay: float) -> None:
    """Our proxy in a process, before the server at the URL in UPSTREAM."""
    import psutil

    from fake_servers import ChaosProxy

    with ChaosProxy(os.environ["UPSTREAM"], host="process") as proxy:
        print(proxy.port, *(child.pid for child in psutil.Process().children()), flush=True)
        signal.pause()


def httpconc_llm(delay: float) -> None:
    """Our model server, with ``delay`` between the 100 tokens of an answer; without, it echoes."""
    from fake_servers import FakeLLMServer

    with FakeLLMServer(itl=delay) as server:
        if delay:
            server.script(text=" ".join(["token"] * EVENTS))
        print(server.port, flush=True)
        signal.pause()


def httpconc_llm_one_slot(delay: float) -> None:
    """Our model server with one slot, which an answer keeps for ``delay``."""
    from fake_servers import FakeLLMServer

    with FakeLLMServer(ttft=delay, max_num_seqs=1) as server:
        print(server.port, flush=True)
        signal.pause()


def aiohttp_events(delay: float) -> None:
    """A plain aiohttp.web handler that streams as many events, with ``delay`` between them."""
    import asyncio

    asyncio.run(_aiohttp_events(delay))


async def _aiohttp_events(delay: float) -> None:
    import asyncio

    from aiohttp import web

    async def stream(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number in range(EVENTS):
            if number:
                await asyncio.sleep(delay)
            await response.write(b'data: {"choices": [{"delta": {"content": " token"}}]}\n\n')
        await response.write(b"data: [DONE]\n\n")
        return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", stream)
    await _serve(app)


def aimock(delay: float) -> None:
    """The npm package @copilotkit/aimock, in the folder that AIMOCK names."""
    folder = tempfile.mkdtemp()
    Path(folder, "hello.json").write_text(
        '{"fixtures": [{"match": {"userMessage": "hello"}, "response": {"content": "hello"}}]}'
    )
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    print(port, flush=True)
    command = str(Path(os.environ["AIMOCK"], "node_modules/.bin/llmock"))
    os.execv(command, [command, "-p", str(port), "-f", folder, "--log-level", "silent"])


KINDS: dict[str, Callable[[float], None]] = {
    "pytest-httpconc": httpconc,
    "pytest-httpconc, thread host": httpconc_thread,
    "pytest-httpconc, thread host without uvloop": httpconc_asyncio,
    "pytest-httpserver": pytest_httpserver,
    "aiohttp.web": aiohttp_web,
    "aiohttp.web on uvloop": aiohttp_uvloop,
    "nginx": nginx,
}
MODELS: dict[str, Callable[[float], None]] = {
    "FakeLLMServer": httpconc_llm,
    "FakeLLMServer, one slot": httpconc_llm_one_slot,
    "aiohttp.web events": aiohttp_events,
    "@copilotkit/aimock": aimock,
}
PROXIES: dict[str, Callable[[float], None]] = {
    "ChaosProxy": httpconc_proxy,
    "nginx as a proxy": nginx_proxy,
}


def available() -> list[str]:
    """The kinds that can run here."""
    return [kind for kind in KINDS if kind != "nginx" or shutil.which("nginx")] + mocks.available()


@contextmanager
def running(kind: str, delay: float = 0.0) -> Iterator[tuple[int, int]]:
    """Run a server; yield its port and the id of the process that serves."""
    command = [sys.executable, __file__, kind, str(delay)]
    # What pytest-httpserver logs for each request is not to cost it a terminal.
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        port, *serving = map(int, process.stdout.readline().split())
        _wait_for(port)
        try:
            yield port, (serving or [process.pid])[0]
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30  # a JVM takes its time
    while time.monotonic() < deadline:
        with suppress(ConnectionRefusedError), create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.01)
    raise TimeoutError(f"nothing listens on port {port}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    (KINDS | MODELS | PROXIES | mocks.KINDS)[sys.argv[1]](float(sys.argv[2]))
