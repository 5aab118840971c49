"""Contracts, each file in a pytest of its own: what one client leaves behind or breaks, no other meets."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from fake_servers.errors import ScenarioError
from pytest_httpconc.scoring.clients import Client
from pytest_httpconc.scoring.results import Ran, Score, read

__all__ = ["score_all"]

_HERE: Final = Path(__file__).parent
_LONGEST: Final = 900.0  # seconds; every call has its own patience, so that nothing gets near
_SHOWN: Final = 3
#: pytest's exit statuses: all have passed, some have failed, all make no sense for the client.
_ENDED_BY_ITSELF: Final = frozenset({0, 1, 5})
_ALONE: Final = (
    f"--config-file={_HERE / 'pytest.ini'}",
    f"--rootdir={_HERE}",
    *("-p", "pytest_httpconc.plugin", "-p", "no:cacheprovider"),
)
_AS_USUAL: Final = ("-o", "addopts=", "-o", "httpconc_recordings=off")


def score_all(clients: Sequence[Client], *, at_once: int, tell: Callable[[str], None]) -> list[Score]:
    """Score clients, in their order.

    Args:
        clients: which.
        at_once: how many at the same time, 1 or more.
        tell: is told, in a line, of each that is done.

    Raises:
        ScenarioError: a contract can't be run.
    """
    with ThreadPoolExecutor(at_once) as pool:
        running = [pool.submit(_score, client, tell) for client in clients]
        try:
            return [score for future in running for score in future.result()]
        finally:
            pool.shutdown(cancel_futures=True)  # where one can't be run, or Ctrl-C has ended it


def _score(client: Client, tell: Callable[[str], None]) -> list[Score]:
    ran = _run(client)
    scores = [_named(client, one, of=ran) for one in ran]
    for score in scores:
        passed, judged = score.of()
        tell(f"{score.title}: {passed} of {judged}")
    return scores


def _named(client: Client, one: Ran, *, of: Sequence[Ran]) -> Score:
    if client.is_own:
        return Score(client=one.contract, version="", tests=one.tests)
    is_one_of_two = len({other.is_async for other in of}) > 1
    name = f"{client.name} (async)" if is_one_of_two and one.is_async else client.name
    return Score(client=name, version=client.release or "", tests=one.tests)


def _run(client: Client) -> list[Ran]:
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        command = [sys.executable, "-m", "pytest_httpconc.scoring.child", str(results), client.place]
        try:
            done = subprocess.run(
                [*command, *(_AS_USUAL if client.is_own else _ALONE)],
                env=_environment(alone=not client.is_own),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_LONGEST,
            )
        except subprocess.TimeoutExpired:
            raise ScenarioError(f"{client.place} has not ended within {_LONGEST:g} s") from None
        ran, errors = read(results) if results.exists() else ([], [])
    if not errors and done.returncode not in _ENDED_BY_ITSELF:
        last = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        raise ScenarioError(f"{client.place} can't be run; pytest ended with status {done.returncode}: {last}")
    if errors or not ran:
        problem = "; ".join(errors[:_SHOWN]) or "there is no ClientContract in it; see docs/contract.md"
        raise ScenarioError(f"{client.place} can't be scored: {problem}")
    return ran


def _environment(*, alone: bool) -> dict[str, str]:
    """What is set for pytest, but for options, counts for a user's own contract; with ours nothing may play a part."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    if not alone:
        return kept
    return {n: v for n, v in kept.items() if not n.startswith("PYTEST_")} | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
