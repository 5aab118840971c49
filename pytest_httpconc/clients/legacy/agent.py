"""The mistakes once made in running agents, one a class; all else is the repaired agent's."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import ParamSpec, TypeVar

from pytest_httpconc.clients.agent import LightAgent

_P = ParamSpec("_P")
_R = TypeVar("_R")


class BlockingAgent(LightAgent):
    """Mistake: commands are executed inside ``async def``, so that all agents of a loop wait for each one's."""

    async def _in_thread(self, function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return function(*args, **kwargs)


class CarelessAgent(LightAgent):
    """Mistake: the container is removed only where all went well, and else it and the session are left."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clean up after a success."""
        if error is None:
            await super().__aexit__(kind, error, trace)
