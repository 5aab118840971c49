"""`ToolManager`: the tool calls of one request, which run in parallel, each within a time limit."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fake_servers.deadlines import timeout
from fake_servers.errors import ScenarioError

__all__ = ["TOOL_LIMIT", "ToolManager", "ToolResult"]

TOOL_LIMIT: Final = 1800.0  #: seconds that one tool call may take


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What one tool call came to: its output, or the reason why there is none."""

    name: str
    output: Any = None
    error: str | None = None


class ToolManager:
    """Runs tool calls; each instance of a pipeline has one of its own.

    Args:
        limit: seconds that one call may take, above 0.

    Raises:
        ScenarioError: it is out of range.
    """

    def __init__(self, *, limit: float = TOOL_LIMIT) -> None:
        if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not 0 < limit < math.inf:
            raise ScenarioError(f"tool limit={limit!r} is out of range; allowed are seconds above 0, as in 1800")
        self.limit = limit

    async def run(self, calls: Mapping[str, Callable[[], Awaitable[Any]]]) -> list[ToolResult]:
        """Run all calls together, and return their results in the order of the calls.

        A call that fails or outlives the limit is a result with an ``error``, and stops no other.

        Args:
            calls: by name, what starts a call.
        """
        return list(await asyncio.gather(*(self._run(name, call) for name, call in calls.items())))

    async def _run(self, name: str, call: Callable[[], Awaitable[Any]]) -> ToolResult:
        clock = timeout(self.limit)
        try:
            async with clock:
                return ToolResult(name=name, output=await call())
        except Exception as error:  # noqa: BLE001 -- a tool may raise anything, and the agent is to be told of it
            if isinstance(error, (TimeoutError, asyncio.TimeoutError)) and _has_expired(clock):
                return ToolResult(name=name, error=f"timed out after {self.limit:g} s")
            return ToolResult(name=name, error=f"{type(error).__name__}: {error}")


def _has_expired(clock: Any) -> bool:
    """Whether it is the limit that has run out: asyncio's timeout tells by a method, async-timeout by a property."""
    expired = clock.expired
    return bool(expired() if callable(expired) else expired)
