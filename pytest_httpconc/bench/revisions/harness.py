"""The harness in a worker: it makes its calls here, and the parent process has the server and says when."""

from __future__ import annotations

import pickle
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from fake_servers.server import clock_is_virtual
from pytest_httpconc.bench.figures import Measurement, Seen
from pytest_httpconc.bench.harness import HttpconcBenchmark
from pytest_httpconc.bench.measuring import Measuring, Prepared
from pytest_httpconc.bench.orders import QUICK, THOROUGH, Order, calling_place
from pytest_httpconc.bench.revisions.channel import Channel
from pytest_httpconc.bench.runner import Rounds, run_in_turns, run_in_turns_in_loop
from pytest_httpconc.bench.sides import LoopSide, Side, call_of, side_of
from pytest_httpconc.bench.target import Target

__all__ = ["RemoteHarness"]


class RemoteHarness(HttpconcBenchmark):
    """Measures the candidate when the parent process says so, and what it is compared with in one round.

    Args:
        name: of the test.
        channel: to the parent process.
    """

    def __init__(self, name: str, channel: Channel) -> None:
        super().__init__(name, depth=THOROUGH)
        self._channel = channel

    def _measure(self, given: list[Side | Callable[..., Any]], order: Order) -> Measurement:
        __tracebackhide__ = True
        target = self._place(order, virtual=False)
        sides = [
            side_of(one, order.work(self._depth), target or order.target(order.server or self.server)) for one in given
        ]
        rounds = run_in_turns(sides, RemoteTurns(sides, self._channel))
        return self._finish(sides, rounds, order)

    async def _measure_in_loop(self, given: list[Side | Callable[..., Any]], order: Order) -> Measurement:
        __tracebackhide__ = True
        virtual = clock_is_virtual()
        target = self._place(order, virtual=virtual)
        async with self._server_in_loop(order, virtual=virtual) as server:
            work = order.work(self._depth_in_loop(virtual=virtual))
            sides = [LoopSide(call_of(one), work, target or order.target(server)) for one in given]
            rounds = await run_in_turns_in_loop(sides, RemoteTurns(sides, self._channel))
        return self._finish(sides, rounds, order, virtual=virtual)

    def _place(self, order: Order, *, virtual: bool) -> Target | None:
        """Tell what is to be measured; return the parent's server, or None where it has to be one of this process."""
        load = None if order.server is not None or virtual else _packed(order)
        answer = self._channel.ask(
            "order",
            name=self._name_of(order),
            place=calling_place(),
            calls=order.calls,
            concurrency=order.concurrency,
            virtual=virtual,
            load=load,
        )
        return None if answer["url"] is None else RemoteTarget(answer["url"], self._channel)

    def _finish(self, sides: Sequence[Prepared], rounds: Rounds, order: Order, *, virtual: bool = False) -> Measurement:
        """Give the test its figures; beside another side's one round, those of the candidate's last."""
        self._channel.tell("finished")
        measuring = Measuring(self._name, sides, concurrency=order.concurrency, depth=QUICK, virtual=virtual)
        return measuring.measured([one[-1:] for one in rounds] if len(rounds) > 1 else rounds)


def _packed(order: Order) -> str | None:
    """Latency and scenario, as the parent's server needs them; None where they are the benchmark's own inventions."""
    try:
        return b64encode(pickle.dumps((order.latency, order.scenario))).decode()
    except (pickle.PicklingError, AttributeError, TypeError):
        return None


class RemoteTurns:
    """Whose round is next, as the parent process says.

    Args:
        sides: the candidate, and what it is compared with if there is one.
        channel: to the parent process.
    """

    def __init__(self, sides: Sequence[Prepared], channel: Channel) -> None:
        self.rounds: Rounds = [[] for _ in sides]
        self._sides = sides
        self._channel = channel

    def __iter__(self) -> Iterator[int]:
        message = self._channel.ask("prepared", peak=self._sides[0].peak, has_passes=self._sides[0].has_passes)
        while message["kind"] == "round":
            yield 0
            message = self._channel.ask("round", **asdict(self.rounds[0][-1]))
        yield from range(1, len(self._sides))


class RemoteTarget:
    """The parent's server, whose serving takes no CPU of this process.

    Args:
        url: where it is.
        channel: to the parent process.
    """

    served = 0.0

    def __init__(self, url: str, channel: Channel) -> None:
        self.url = url
        self._channel = channel

    def begin_round(self, *, at_once: bool = False) -> None:
        """As `Target` has it."""
        self._channel.ask("begin_round", at_once=at_once)

    def begin_census(self, concurrency: int) -> RemoteCensus:
        """As `Target` has it."""
        self._channel.ask("begin_census", concurrency=concurrency)
        return RemoteCensus(self._channel)

    def tally(self) -> RemoteTally:
        """As `Target` has it."""
        self._channel.ask("tally")
        return RemoteTally(self._channel)


class RemoteCensus:
    """A census at the parent's server."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @property
    def most_together(self) -> int:
        """As `Census` has it."""
        return int(self._channel.ask("most_together")["count"])


class RemoteTally:
    """A tally at the parent's server, whose serving takes no CPU of this process."""

    served = 0.0

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def read(self, calls: int) -> Seen:
        """As `Tally` has it."""
        return Seen(**self._channel.ask("seen", calls=calls)["seen"])
