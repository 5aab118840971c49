"""Evaluating what agents have submitted, on a server that owns GPUs.

async with evaluation_run(agents=50):                       # one pooled session for all calls of the run
    results = await asyncio.gather(*(evaluate("Submitted", ...) for ... in ...))

Calls that are in flight together share a session without being told to; a run keeps it between calls as well.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypedDict
from weakref import WeakKeyDictionary, ref

import aiohttp

LIMIT = 100
LIMIT_PER_HOST = 50
TOTAL_TIMEOUT = 3600.0
MANY_AGENTS = 50
BATCH_SIZE = 20
SUBMITTED = "Submitted"
NO_REWARD = 0.0
NO_SPEEDUP = -1.0

Post = Callable[[str, object], Awaitable[tuple[int, bytes]]]


class Info(TypedDict):
    """What is known of an evaluation: what was sent, what came back, what it was about and what was made of it.

    ``meta["error"]`` says why there is no result, and is None where there is one.
    """

    request: dict[str, Any]
    response: dict[str, Any]
    meta: dict[str, Any]
    extracted: dict[str, float]


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a run: connections in all and for each host, and seconds that a call may take in all."""

    connections: int = LIMIT
    connections_per_host: int = LIMIT_PER_HOST
    total: float = TOTAL_TIMEOUT

    def __post_init__(self) -> None:
        """Check the arguments."""
        for name in ("connections", "connections_per_host"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be a whole number from 1 up, such as 100")
        if not 0 < self.total < math.inf:
            raise ValueError(f"total is {self.total!r}; it must be a finite number of seconds above 0, such as 3600")

    @classmethod
    def of(cls, agents: int, *, total: float = TOTAL_TIMEOUT) -> Limits:
        """What suits so many agents at once: twice the connections from 50 agents up."""
        factor = 2 if agents >= MANY_AGENTS else 1
        return cls(factor * LIMIT, factor * LIMIT_PER_HOST, total)


class _SharedSession:
    """A pooled session that is open while somebody is inside."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._loop = ref(asyncio.get_running_loop())
        self._session: aiohttp.ClientSession | None = None
        self._users = 0

    def is_of(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether it was made in this loop, the only one that it can be used in."""
        return self._loop() is loop

    async def __aenter__(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = _open_session(self._limits)
        self._users += 1
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._users -= 1
        if not self._users and self._session is not None:
            session, self._session = self._session, None
            await session.close()


_run: ContextVar[_SharedSession | None] = ContextVar("_run", default=None)
_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _SharedSession] = WeakKeyDictionary()


def _open_session(limits: Limits) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=limits.connections, limit_per_host=limits.connections_per_host)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=limits.total))


def _shared() -> _SharedSession:
    loop, run = asyncio.get_running_loop(), _run.get()
    if run is not None and run.is_of(loop):  # a thread that was started inside a run has a loop of its own
        return run
    return _of_loop.get(loop) or _of_loop.setdefault(loop, _SharedSession(Limits()))


@asynccontextmanager
async def evaluation_run(*, agents: int = 1, limits: Limits | None = None) -> AsyncIterator[None]:
    """Have all calls made inside share one pooled session, which is closed at the end.

    Args:
        agents: how many are at work at once, which sets the limits.
        limits: other limits than those.
    """
    shared = _SharedSession(limits or Limits.of(agents))
    token = _run.set(shared)
    try:
        async with shared:
            yield
    finally:
        _run.reset(token)


async def evaluate(
    exit_status: str,
    result: str,
    container_id: str,
    instance_id: str,
    dataset_name: str,
    split: str,
    eval_server_url: str,
) -> tuple[float, float]:
    """Evaluate a submission: its reward and its speedup, ``(0.0, -1.0)`` where there is none.

    Args:
        exit_status: how the agent ended; what was not ``"Submitted"`` is not evaluated.
        result: what it submitted.
        container_id: the container it worked in.
        instance_id: the task it worked on.
        dataset_name: where the task is from.
        split: the part of the data set.
        eval_server_url: where the server is, such as ``"http://127.0.0.1:9528"``.
    """
    reward, speedup, _ = await evaluate_info(
        exit_status, result, container_id, instance_id, dataset_name, split, eval_server_url
    )
    return reward, speedup


async def evaluate_info(
    exit_status: str,
    result: str,
    container_id: str,
    instance_id: str,
    dataset_name: str,
    split: str,
    eval_server_url: str,
) -> tuple[float, float, Info]:
    """As `evaluate`, and all that is known besides. An error on the way is no exception, but in the `Info`."""
    return await evaluate_through(
        _post, exit_status, result, container_id, instance_id, dataset_name, split, eval_server_url
    )


async def safe_evaluate(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """As `evaluate_info`, in a dictionary; any exception becomes ``{"error": ..., "reward": 0.0}``."""
    try:
        reward, speedup, info = await evaluate_info(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 -- whatever it is, one evaluation must not end a run of many
        return {"error": str(error) or type(error).__name__, "reward": NO_REWARD}
    return {"reward": reward, "speedup": speedup, "info": info}


async def evaluate_in_batches(
    calls: Iterable[Mapping[str, Any]], *, batch_size: int = BATCH_SIZE
) -> list[tuple[float, float] | BaseException]:
    """Evaluate many submissions, so many at a time; what one raises stands in its place.

    Args:
        calls: the arguments of `evaluate`, by name.
        batch_size: how many are in flight together, 1 or more.

    Raises:
        ValueError: the batch size is out of range.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size is {batch_size!r}; it must be a whole number from 1 up, such as {BATCH_SIZE}")
    waiting = list(calls)
    results: list[tuple[float, float] | BaseException] = []
    async with _shared():
        for start in range(0, len(waiting), batch_size):
            batch = (evaluate(**call) for call in waiting[start : start + batch_size])
            results += await asyncio.gather(*batch, return_exceptions=True)
    return results


async def _post(url: str, body: object) -> tuple[int, bytes]:
    """Send one request through the shared session, and read its response to the end."""
    async with _shared() as session, session.post(url, json=body, allow_redirects=False) as response:
        return response.status, await response.read()


async def evaluate_through(
    post: Post,
    exit_status: str,
    result: str,
    container_id: str,
    instance_id: str,
    dataset_name: str,
    split: str,
    eval_server_url: str,
) -> tuple[float, float, Info]:
    """As `evaluate_info`, with another way to send a request."""
    meta = {"instance_id": instance_id, "dataset_name": dataset_name, "split": split, "exit_status": exit_status}
    info: Info = {
        "request": {},
        "response": {},
        "meta": {**meta, "result": result, "error": None},
        "extracted": {"reward": NO_REWARD, "speedup": NO_SPEEDUP},
    }
    if exit_status != SUBMITTED:
        info["meta"]["error"] = f"not evaluated: the agent ended with {exit_status!r} and not {SUBMITTED!r}"
        return NO_REWARD, NO_SPEEDUP, info
    url = eval_server_url.rstrip("/") + "/evaluate"
    body = {"instance_id": instance_id, "container_id": container_id, "mode": "benchmark"}
    info["request"] = {"url": url, "body": body}
    try:
        status, content = await post(url, body)
        info["response"] = {"status": status, "content": content.decode("utf-8", "replace")}
        info["extracted"] = _extracted(status, content)
    except (asyncio.TimeoutError, TimeoutError):
        info["meta"]["error"] = "timed out"
    except (aiohttp.ClientError, OSError, ValueError, RecursionError) as error:
        info["meta"]["error"] = str(error) or type(error).__name__
    return info["extracted"]["reward"], info["extracted"]["speedup"], info


def _extracted(status: int, content: bytes) -> dict[str, float]:
    """Reward and speedup of a successful evaluation; ValueError says why it is none."""
    if not 200 <= status < 300:
        raise ValueError(f"HTTP {status}: {content[:200].decode('utf-8', 'replace')}")
    answer = json.loads(content)
    if not isinstance(answer, dict):
        raise ValueError("the answer is no JSON object")
    if answer.get("success") is not True:
        raise ValueError(f"evaluation failed: {answer.get('error') or 'the server gives no reason'}")
    return {name: _number(name, answer.get(name)) for name in ("reward", "speedup")}


def _number(name: str, value: object) -> float:
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, (int, float)) else float(value)
    except OverflowError:  # a whole number that no float can hold
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"the answer's {name} is {str(value)[:50]} and no number")
    return number
