"""Rounds of several sides in turns: which is next, and when it is enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from pytest_httpconc.bench.figures import Round
from pytest_httpconc.bench.sides import LoopSide, RunsRounds

__all__ = ["Progress", "Rounds", "Rules", "TakesTurns", "Turns", "run_in_turns", "run_in_turns_in_loop"]

_LONGEST_WAIT: Final = 4  # budgets that a verdict may wait for its rounds
#: What was measured so far: the rounds of each side, in the order of the sides.
Rounds: TypeAlias = "list[list[Round]]"
#: Is told how many rounds are done, and how many there may be.
Progress: TypeAlias = "Callable[[int, int], None]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How many rounds are measured.

    Args:
        least: that are measured in any case, 1 or more.
        most: that are measured at the most.
        budget: seconds after which no more are begun, once there are ``least`` and no verdict waits for more; four
            times as long where one does.
    """

    least: int = 1
    most: int = 1
    budget: float = float("inf")


class TakesTurns(Protocol):
    """Whose round is next, by the side's number; who iterates over it runs the round, and puts it into ``rounds``."""

    @property
    def rounds(self) -> Rounds:
        """What was measured so far."""

    def __iter__(self) -> Iterator[int]: ...


class Turns:
    """Whose round is next, by the side's number, in alternating order, until it is enough; it runs nothing itself.

    Args:
        sides: how many there are.
        rules: how many rounds there may be.
        is_enough: asked after every round of all sides, from ``rules.least`` on, and whether the budget is spent.
        progress: told how far it is.
        clock: seconds.
    """

    def __init__(
        self,
        sides: int,
        rules: Rules,
        *,
        is_enough: Callable[[Rounds, bool], bool],
        progress: Progress = lambda done, most: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rounds: Rounds = [[] for _ in range(sides)]
        self._rules = rules
        self._is_enough = is_enough
        self._progress = progress
        self._clock = clock

    def __iter__(self) -> Iterator[int]:
        begun_at = self._clock()
        sides = range(len(self.rounds))
        for done in range(self._rules.most):
            passed = self._clock() - begun_at
            is_late = passed > self._rules.budget
            is_over = passed > _LONGEST_WAIT * self._rules.budget
            if done >= self._rules.least and (is_over or self._is_enough(self.rounds, is_late)):
                return
            self._progress(done, self._rules.most)
            yield from sides if done % 2 == 0 else reversed(sides)


def run_in_turns(sides: Sequence[RunsRounds], turns: TakesTurns) -> Rounds:
    """Prepare the sides, run their rounds in turns, and close them."""
    with ExitStack() as stack:
        for side in sides:
            stack.callback(side.close)
            side.prepare()
        for number in turns:
            turns.rounds[number].append(sides[number].run_round())
    return turns.rounds


async def run_in_turns_in_loop(sides: Sequence[LoopSide], turns: TakesTurns) -> Rounds:
    """As `run_in_turns`, for sides that are awaited."""
    async with AsyncExitStack() as stack:
        for side in sides:
            stack.push_async_callback(side.close)
            await side.prepare()
        for number in turns:
            turns.rounds[number].append(await sides[number].run_round())
    return turns.rounds
