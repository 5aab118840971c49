"""The parent's view of a worker: what it has collected, what it asks for, and its side of a measurement."""

from __future__ import annotations

import os
import pickle
import subprocess
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from fake_servers import FakeServer
from pytest_httpconc.bench.figures import Round
from pytest_httpconc.bench.meter import Tally
from pytest_httpconc.bench.revisions.channel import Channel, Message
from pytest_httpconc.bench.revisions.children import child
from pytest_httpconc.bench.revisions.errors import WorkerDied
from pytest_httpconc.bench.target import Census, OwnTarget

__all__ = ["Outcome", "RemoteOrder", "RemoteSide", "TestEnded", "Worker", "running_worker"]

_PATIENCE: Final = 2.0  # seconds that a worker may take to end when it is told to


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a benchmark's test: ``"passed"``, ``"failed"`` or ``"skipped"``, and why."""

    outcome: str
    reason: str = ""


class TestEnded(Exception):
    """A test was over where its worker was to measure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteOrder:
    """A measurement that a worker asks for.

    Args:
        name: of the benchmark.
        place: file and line of its call.
        calls: in a round.
        concurrency: how many may go on together.
        virtual: whether the clock is.
        target: its rounds at the server that all workers share; None where it brings a server of its own.
    """

    name: str
    place: tuple[str, int]
    calls: int
    concurrency: int
    virtual: bool
    target: OwnTarget | None

    def is_like(self, other: RemoteOrder | None) -> bool:
        """Whether it is the same measurement of another revision."""
        key = (self.name, self.calls, self.concurrency, self.virtual)
        return other is not None and key == (other.name, other.calls, other.concurrency, other.virtual)


class Worker:
    """A process that runs the benchmarks of one revision.

    Args:
        label: of the revision.
        process: the worker's.
        channel: to it.
        server: what its calls go to.
        log: what it says besides.
    """

    def __init__(
        self, label: str, process: subprocess.Popen[bytes], channel: Channel, server: FakeServer, log: Path
    ) -> None:
        self.label = label
        self._process = process
        self._channel = channel
        self._server = server
        self._log = log
        self._census: Census | None = None
        self._tally: Tally | None = None
        self._is_measuring = False
        self.order: RemoteOrder | None = None
        self.outcome: Outcome | None = None

    def collected(self) -> Message:
        """Wait until it has collected; what there is."""
        return self._hear("collected")

    def start(self, name: str) -> None:
        """Have it run a test, up to its first order; `await_order` waits for that."""
        self.outcome = None
        self._tell("run", name=name)

    def await_order(self) -> None:
        """Wait for the next measurement that its test asks for; `order` is None once the test is over."""
        self.order = None
        try:
            message = self._hear("order")
        except TestEnded:
            return
        self.order = RemoteOrder(
            name=message["name"],
            place=tuple(message["place"]),
            calls=message["calls"],
            concurrency=message["concurrency"],
            virtual=message["virtual"],
            target=self._target(message["load"]),
        )

    def _target(self, load: str | None) -> OwnTarget | None:
        if load is None:
            return None
        try:
            return OwnTarget(self._server, *pickle.loads(b64decode(load)))
        except (AttributeError, ImportError):  # of a class that only the benchmark's own files have
            return None

    def begin(self) -> tuple[int, bool]:
        """Have the ordered side prepare; return the peak in flight that is proved, and whether CPU has passes."""
        assert self.order is not None, "there is something to measure"
        self._is_measuring = True
        self._tell("begin", url=None if self.order.target is None else self.order.target.url)
        prepared = self._hear("prepared")
        # A worker may be an earlier revision's of this very package, and have neither passes nor their messages.
        return prepared["peak"], prepared.get("has_passes", False)

    def run_round(self) -> Round:
        """Have the ordered side run a round."""
        self._tell("round")
        values = {name: value for name, value in self._hear("round").items() if name != "kind"}
        return Round(**{**values, "durations": tuple(values["durations"])})

    def go_on(self) -> None:
        """Have what it measures end, and wait for the next order of its test; nothing where it measures nothing."""
        if not self._is_measuring:
            return
        self._tell("finish")
        try:
            self._hear("finished")
        except TestEnded:
            return
        self._is_measuring = False
        self.await_order()

    def stop(self) -> None:
        """Have the process end, all its tests being over."""
        self._tell("stop")
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            return  # it ends all the same, without its last words

    def _tell(self, kind: str, **values: Any) -> None:
        try:
            self._channel.tell(kind, **values)
        except BrokenPipeError:
            self._is_dead()

    def _hear(self, kind: str) -> Message:
        """The next message of a kind; what it wants of the server meanwhile is done.

        Raises:
            TestEnded: its test is over.
            WorkerDied: the process is gone.
        """
        while True:
            try:
                message = self._channel.hear()
            except EOFError:
                self._is_dead()
            if message["kind"] == kind:
                return message
            if message["kind"] == "over":
                self._is_measuring, self.order = False, None
                self.outcome = Outcome(message["outcome"], message["reason"])
                raise TestEnded(message["reason"])
            self._tell("done", **self._serve(message))

    def _serve(self, message: Message) -> Mapping[str, Any]:
        """Do with the server what a worker's side needs of it."""
        assert self.order is not None, "a worker that wants something of the server measures"
        assert self.order.target is not None, "one that has a server of its own does not ask"
        if message["kind"] == "begin_round":
            self.order.target.begin_round(at_once=message.get("at_once", False))
        elif message["kind"] == "begin_census":
            self._census = self.order.target.begin_census(message["concurrency"])
        elif message["kind"] == "most_together":
            return {"count": 0 if self._census is None else self._census.most_together}
        elif message["kind"] == "tally":
            self._tally = self.order.target.tally()
        elif message["kind"] == "seen" and self._tally is not None:
            return {"seen": asdict(self._tally.read(message["calls"]))}
        return {}

    def _is_dead(self) -> NoReturn:
        said = [line.strip() for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        raise WorkerDied(
            f"the benchmarks of {self.label} ended with status {self._process.wait()}: {(said or ['nothing said'])[-1]}"
        )


class RemoteSide:
    """A worker's side of a measurement, as the runner wants it.

    Args:
        worker: that has an order.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.peak = 0
        self.has_passes = False

    def prepare(self) -> None:
        """As `RunsRounds` has it."""
        self.peak, self.has_passes = self._worker.begin()

    def run_round(self) -> Round:
        """As `RunsRounds` has it."""
        return self._worker.run_round()

    def close(self) -> None:
        """Nothing: what its worker holds goes when that is told to finish, or ends."""


@contextmanager
def running_worker(label: str, command: list[str], *, folder: Path, server: FakeServer, log: Path) -> Iterator[Worker]:
    """A worker that runs, and is gone at the end; one whose work is done may say its last words.

    Args:
        label: of its revision.
        command: what runs pytest, with its options; those of the channel are added.
        folder: it runs in.
        server: what its calls go to.
        log: takes what it says.
    """
    to_worker, to_parent = os.pipe(), os.pipe()
    theirs = (to_worker[0], to_parent[1])
    whole = [*command, "--httpconc-channel", *map(str, theirs)]
    with (
        closing(Channel.of(to_parent[0], to_worker[1])) as channel,
        log.open("w", encoding="utf-8") as says,
        child(whole, folder=folder, says=says, pass_fds=theirs) as process,
    ):
        for descriptor in theirs:
            os.close(descriptor)
        worker = Worker(label, process, channel, server, log)
        yield worker
        worker.stop()
