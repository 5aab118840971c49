"""Whether CPU can be measured in passes, of calls that are made one after the other: some made alone tell."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from pytest_httpconc.bench.target import Target

__all__ = ["PATIENCE", "Spent", "Stopwatch", "Trials"]

#: Seconds for all trials; a call that goes on for longer may need others beside it.
PATIENCE: Final = 1.0
#: Seconds that calls in a pass may wait for their answers, or twice their CPU time if that is more: on a busy machine
#: they wait for a core, too. What waits longer finds its caches cold all the same, and would take long one by one.
_LONGEST_WAIT: Final = 0.002
_WAIT_TO_CPU: Final = 2.0
_MOST: Final = 20  # trials, until one waits no longer than that
_LONG_PASS: Final = 0.2  # seconds from which on one pass is enough


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds that calls took, and seconds of their CPU."""

    seconds: float
    cpu: float

    @property
    def only_asks(self) -> bool:
        """Whether the calls waited for no more than answers that come at once."""
        return self.seconds - self.cpu <= max(_LONGEST_WAIT, _WAIT_TO_CPU * self.cpu)


class Stopwatch:
    """Begun before calls, read after them.

    Args:
        target: of the calls; what serving takes in this process is not theirs.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._served = target.served
        self._begun_at = time.perf_counter()
        self._cpu = time.process_time()

    def read(self) -> Spent:
        """What they took."""
        cpu = time.process_time() - self._cpu
        seconds = time.perf_counter() - self._begun_at
        return Spent(seconds, max(0.0, cpu - (self._target.served - self._served)))


class Trials:
    """Calls that were made alone, one after the other."""

    def __init__(self) -> None:
        self._made: list[Spent] = []
        self._needs_others = False

    @property
    def are_enough(self) -> bool:
        """Whether they tell: one has waited for its answer alone, or there were many, or one can't be made."""
        return (
            self._needs_others
            or len(self._made) == _MOST
            or any(one.only_asks for one in self._made)
            or sum(one.seconds for one in self._made) > PATIENCE
        )

    def add(self, spent: Spent, *, needs_others: bool) -> None:
        """One more was made.

        Args:
            spent: on it.
            needs_others: whether it was over only when others were made beside it.
        """
        self._made.append(spent)
        self._needs_others |= needs_others

    def passes(self, wanted: int, calls: int) -> int:
        """How many passes there are to be: none of calls that wait by themselves or for others, fewer of long ones.

        Args:
            wanted: how many there are of quick calls.
            calls: in a pass.
        """
        if self._needs_others or not any(one.only_asks for one in self._made):
            return 0
        is_long = min(one.seconds for one in self._made) * calls > _LONG_PASS
        return min(1, wanted) if is_long else wanted
