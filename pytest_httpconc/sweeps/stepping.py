"""Coroutines that can be cancelled at exactly one of their suspensions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, Final, Literal

__all__ = ["Steps", "When"]

When = Literal["waiting", "woken"]
_NEVER: Final = 0


class Steps:
    """Counts the steps that calls take, and cancels one of them, the target, at one step.

    A step ends where a call is suspended or over.

    Args:
        at: the number of the step, from 1; 0 cancels at none.
        when: ``"waiting"``: while what the target waits for is yet to come. ``"woken"``: when it has come, and
            before the target goes on, as a cancellation does that arrives in the same round of the loop.
    """

    def __init__(self, at: int = _NEVER, when: When = "waiting") -> None:
        self._at = at
        self._when = when
        self.taken = 0
        self.target: asyncio.Task[Any] | None = None
        self.was_cancelled = False

    def take(self, call: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
        """Start a call as a task that takes its steps here."""
        # Not create_task: under an eager factory the first step would be over before there is a task to cancel.
        return asyncio.Task(self._counted(call), loop=asyncio.get_running_loop())

    async def _counted(self, call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        try:
            return await _Stepped(call(), self)
        finally:
            if asyncio.current_task() is not self.target:  # whose end comes too late for a cancellation
                self.end_step()

    def end_step(self) -> bool:
        """Count a step; return whether the target is to be woken by its cancellation."""
        self.taken += 1
        if self.taken != self._at or self.target is None or self.target.done():
            return False
        if self._when == "woken":
            return True
        self.cancel()
        return False

    def cancel(self) -> None:
        """Cancel the target, unless it is on its last step."""
        assert self.target is not None, "there is a target before there is a step"
        self.was_cancelled = self.target.cancel()


class _Stepped:
    """Awaits a coroutine, and ends a step whenever it is suspended."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], steps: Steps) -> None:
        self._coroutine = coroutine
        self._steps = steps

    def __await__(self) -> Generator[Any, Any, Any]:
        resume: Callable[[], Any] = partial(self._coroutine.send, None)
        while True:
            try:
                awaited = resume()
            except StopIteration as done:
                return done.value
            is_due = self._steps.end_step()
            try:
                yield awaited
                if is_due:
                    self._steps.cancel()
                    yield  # the task's next step throws the cancellation in here
            except BaseException as error:  # noqa: BLE001 -- it is passed on, whatever it is
                resume = partial(self._coroutine.throw, error)
            else:
                resume = partial(self._coroutine.send, None)
