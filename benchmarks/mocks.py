"""Mock servers from npm, in the folder that MOCKS names: `npm install mockttp mountebank wiremock` there."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from socket import socket

ANSWER = '{"ok": true}'
JSON = {"Content-Type": "application/json"}

MOCKTTP = """
const server = require("mockttp").getLocal();
server.start(+process.argv[1])
    .then(() => server.forGet("/").always().thenReply(200, process.argv[2], JSON.parse(process.argv[3])));
"""


def _package(name: str) -> Path:
    return Path(os.environ.get("MOCKS", "."), "node_modules", name).absolute()


def _announced_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    print(port, flush=True)
    return port


def mockttp(delay: float) -> None:
    """mockttp with its defaults: it records what it serves."""
    os.chdir(_package("..").resolve())
    os.execvp("node", ["node", "-e", MOCKTTP, str(_announced_port()), ANSWER, json.dumps(JSON)])


def mountebank(delay: float) -> None:
    """mountebank with an imposter, which by default records nothing."""
    folder = Path(tempfile.mkdtemp())
    port = _announced_port()
    stub = {"responses": [{"is": {"statusCode": 200, "headers": JSON, "body": ANSWER}}]}
    imposter = {"port": port, "protocol": "http", "host": "127.0.0.1", "stubs": [stub]}
    (folder / "imposters.json").write_text(json.dumps({"imposters": [imposter]}))
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        own = str(probe.getsockname()[1])
    options = ["--host", "127.0.0.1", "--port", own, "--pidfile", str(folder / "pid"), "--nologfile"]
    config = ["--loglevel", "error", "--configfile", str(folder / "imposters.json")]
    os.execvp("node", ["node", str(_package("mountebank") / "bin/mb"), "start", *options, *config])


def wiremock(delay: float) -> None:
    """WireMock without its journal: with one that is unlimited memory grows for ever, and a limited one is slow."""
    folder = Path(tempfile.mkdtemp())
    (folder / "mappings").mkdir()
    response = {"status": 200, "headers": JSON, "body": ANSWER}
    mapping = {"request": {"method": "GET", "urlPath": "/"}, "response": response}
    (folder / "mappings/root.json").write_text(json.dumps(mapping))
    (jar,) = (_package("wiremock") / "build").glob("*.jar")
    where = ["--bind-address", "127.0.0.1", "--port", str(_announced_port()), "--root-dir", str(folder)]
    os.execvp("java", ["java", "-jar", str(jar), *where, "--no-request-journal"])


KINDS: dict[str, Callable[[float], None]] = {"mockttp": mockttp, "mountebank": mountebank, "wiremock": wiremock}
_NEEDS = {"mockttp": "node", "mountebank": "node", "wiremock": "java"}


def available() -> list[str]:
    """Those that are installed, and can run here."""
    return [kind for kind in KINDS if _package(kind).is_dir() and shutil.which(_NEEDS[kind])]


def version(kind: str) -> str:
    """The version that is installed."""
    return str(json.loads((_package(kind) / "package.json").read_text())["version"])
