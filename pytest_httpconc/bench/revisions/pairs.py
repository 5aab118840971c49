"""Two workers beside each other: each benchmark of theirs, measured in turns and judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

from pytest_httpconc.bench.figures import Comparison, Measurement
from pytest_httpconc.bench.measuring import Measuring
from pytest_httpconc.bench.orders import QUICK, THOROUGH, VIRTUAL, Depth
from pytest_httpconc.bench.progress import Ticker
from pytest_httpconc.bench.results import Result
from pytest_httpconc.bench.revisions.remote import RemoteOrder, RemoteSide, TestEnded, Worker
from pytest_httpconc.bench.runner import run_in_turns
from pytest_httpconc.bench.verdicts import Judgement, Verdict, judge_beside

__all__ = ["Pair"]


class Pair:
    """The workers of two revisions.

    Args:
        head: of the later one.
        base: of the earlier one.
        say: is given lines of progress.
    """

    def __init__(self, head: Worker, base: Worker, say: Callable[[str], None]) -> None:
        self._head = head
        self._base = base
        self._say = say

    def compare(self, name: str, *, in_base: bool) -> Iterator[Result]:
        """Run a test in both, and judge every measurement that it makes.

        Args:
            name: of the test.
            in_base: whether the earlier revision has it.

        Raises:
            WorkerDied: a process is gone.
        """
        workers = [self._head, self._base] if in_base else [self._head]
        for worker in workers:
            worker.start(name)
        for worker in workers:
            worker.await_order()
        while (order := self._head.order) is not None:
            result = self._beside(order) if order.is_like(self._base.order) else self._alone(order)
            if result is not None:
                yield result
        while (order := self._base.order) is not None:
            self._measured(order, [self._base], QUICK)

    def _beside(self, order: RemoteOrder) -> Result | None:
        found = self._measured(order, [self._head, self._base], VIRTUAL if order.virtual else THOROUGH)
        return None if found is None else Result.of(order.name, order.place, *found)

    def _alone(self, order: RemoteOrder) -> Result | None:
        """The later revision's figures where the earlier one has none."""
        found = self._measured(order, [self._head], QUICK)
        if found is None:
            return None
        outcome = self._base.outcome
        reason = f": {outcome.reason}" if outcome is not None and outcome.reason else ""
        judgement = Judgement("benchmark", Verdict.NEW, f"{self._base.label} did not measure it{reason}")
        return Result.of(order.name, order.place, found[0], (judgement,))

    def _measured(
        self, order: RemoteOrder, workers: list[Worker], depth: Depth
    ) -> tuple[Measurement, tuple[Judgement, ...]] | None:
        """Figures and judgements; None if a test ended before. Either way the tests go on."""
        sides = [RemoteSide(worker) for worker in workers]
        measuring = Measuring(
            order.name,
            sides,
            concurrency=order.concurrency,
            depth=depth,
            judge=self._judge if len(workers) > 1 else None,
            virtual=order.virtual,
        )
        try:
            with Ticker(lambda line: self._say(f"{order.name}: {line}")) as ticker:
                rounds = run_in_turns(sides, measuring.turns(progress=ticker.tell))
        except TestEnded:
            return None
        else:
            measured = measuring.measured(rounds)
            return measured, measuring.judged(measured)
        finally:
            for worker in workers:
                worker.go_on()

    def _judge(self, name: str, measured: Measurement) -> tuple[Judgement, ...]:
        return judge_beside(cast(Comparison, measured), self._base.label)
