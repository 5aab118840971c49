"""Serving in processes of its own: started, told, asked and stopped from this one."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from fake_servers import certificates
from fake_servers.crossing import Asked, Crossing, Order
from fake_servers.errors import FakeServerError
from fake_servers.listener import Listener, Sockets
from fake_servers.processes.child import Child, Gone
from fake_servers.processes.mirror import Mirror
from fake_servers.processes.packing import pack_orders
from fake_servers.processes.reports import Question, Report
from fake_servers.processes.unpacking import Start, unpack
from fake_servers.service import Service

__all__ = ["ProcessHost"]

Result = TypeVar("Result")

_LONGEST_START: Final = 30.0
_LONGEST_ANSWER: Final = 5.0


class ProcessHost:
    """Serves in processes, one for each TCP socket.

    Args:
        server: the server on this side, for which handlers that use it find the one on theirs.
        service: what of it is brought up to date.
        crossing: how it was made, and what it was told.
        sockets: what to listen on, inherited by the processes.
        tls: whether it needs the authority of this process.

    Raises:
        ScenarioError: something that it was told can't be sent.
        FakeServerError: a process can't be started, or can't make the server.
    """

    def __init__(
        self, server: object, service: Service, crossing: Crossing, sockets: tuple[Sockets, ...], *, tls: bool
    ) -> None:
        self.thread_id: int | None = None
        self._server = server
        self._service = service
        self._crossing = crossing
        self._recorder = service.recorder
        self._failure: FakeServerError | None = None
        self._children: list[Child] = []
        self._mirror = Mirror(service, len(sockets))
        kind, arguments, options = crossing.made
        made = pack_orders([Order(kind.__name__, (kind, *arguments), options)], server)
        orders = pack_orders(crossing.orders, server)
        authority = certificates.authority() if tls else None
        try:
            self._begin([Start(made, orders, *_descriptors(of_child), authority) for of_child in sockets])
        except BaseException:
            for child in self._children:
                child.kill()
            raise

    def _begin(self, starts: list[Start]) -> None:
        for start in starts:
            self._children.append(Child(self._changed, [d for d in (start.tcp, start.unix) if d is not None]))
        answers = [child.request("start", start) for child, start in zip(self._children, starts, strict=True)]
        for child, answer in zip(self._children, answers, strict=True):
            child.answer(answer, _LONGEST_START)

    @property
    def has_ended(self) -> bool:
        """Whether a process has been seen to have ended by itself."""
        return self._failure is not None

    # -- as a host ----------------------------------------------------------------------------------------

    def call(self, action: Callable[[Listener | None], Result]) -> Result:
        """Do on this side, where there is no listener, what is told to the other as an order."""
        with self._recorder.lock:
            return action(None)

    def catch_up(self) -> None:
        """Have each process take in what has arrived."""
        self._request("catch_up")

    def cpu_time(self) -> float:
        """None of this process's."""
        return 0.0

    def stop(self) -> None:
        """Stop serving, hear what was recorded at last, and end the processes; those that are gone stay gone.

        Raises:
            FakeServerError: a handler blocks one.
        """
        try:
            self._request("stop")
            self.bring_up_to_date(details=True)
            self._crossing.last_words = {name: self.ask(name) for name in Asked.names(type(self._server))}
        except FakeServerError:
            for child in self._children:
                child.kill()
            if self._failure is None:
                raise
            if self._failure not in self._service.errors:  # a reset has forgotten it
                self._service.errors.append(self._failure)
        finally:
            for child in self._children:
                child.end()

    # -- as what crosses sees it --------------------------------------------------------------------------

    def prepare(self, order: Order) -> Callable[[], object]:
        """Pack an order; what is returned has every process carry it out.

        Raises:
            ScenarioError: something in it can't be sent.
        """
        return functools.partial(self._tell, pack_orders([order], self._server))

    def _tell(self, orders: bytes) -> None:
        with self._recorder.lock:  # so that a report is of before or of after it, in all of them
            self._request("perform", orders)

    def ask(self, name: str) -> list[Any]:
        """What each process has to say under a property's name."""
        return [unpack(answer, self._server) for answer in self._request("ask", name)]

    @contextmanager
    def tapped(self) -> Iterator[Mapping[int, bytearray]]:
        """Have the bytes that are sent kept, during a ``with`` block."""
        self._request("tap", True)
        tap = _Tap(self._sent)
        try:
            yield tap
        finally:
            tap.keep()
            self._request("tap", False)

    def _sent(self) -> dict[int, bytearray]:
        self.bring_up_to_date(details=True)
        sent: dict[int, bytearray] = {}
        for process, of_process in enumerate(self._request("tapped")):
            numbers = self._mirror.numbers(process)
            sent.update({numbers[number]: data for number, data in of_process.items() if number in numbers})
        return sent

    # -- as the ledger's source ---------------------------------------------------------------------------

    def bring_up_to_date(self, *, details: bool = False, peaks: bool = False) -> None:
        """Write what is new into the recorder.

        Raises:
            FakeServerError: a process has ended, or does not answer.
        """
        merged = peaks and len(self._children) > 1
        with self._recorder.lock:
            question = Question(details or merged, time.monotonic(), ring=bool(self._recorder.watched))
            rounds: list[list[Report]] = []
            while not rounds or any(report.more for report in rounds[-1]):
                rounds.append(self._request("report", question))
            self._mirror.write(list(zip(*rounds, strict=True)))
            if merged:
                self._mirror.find_peaks()

    def _changed(self) -> None:
        for notice in tuple(self._recorder.watched):
            notice()

    def _request(self, name: str, *arguments: Any) -> list[Any]:
        if self._failure is not None:
            raise FakeServerError(str(self._failure))
        answers = [(child, child.request(name, *arguments)) for child in self._children]
        try:
            return [child.answer(answer, _LONGEST_ANSWER) for child, answer in answers]
        except Gone as gone:
            failure = FakeServerError(str(gone))
            with self._recorder.lock:
                if self._failure is None:
                    self._failure = failure
                    self._mirror.lost(failure)
            raise failure from None


class _Tap(Mapping[int, bytearray]):
    """What was sent on each connection, read anew each time, until it is kept."""

    def __init__(self, read: Callable[[], dict[int, bytearray]]) -> None:
        self._read = read
        self._kept: dict[int, bytearray] | None = None

    def keep(self) -> None:
        """Read for the last time."""
        self._kept = self._now()

    def _now(self) -> dict[int, bytearray]:
        return self._read() if self._kept is None else self._kept

    def __getitem__(self, number: int) -> bytearray:
        return self._now().get(number, bytearray())

    def __iter__(self) -> Iterator[int]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())


def _descriptors(sockets: Sockets) -> tuple[int, int | None]:
    return sockets.tcp.fileno(), None if sockets.unix is None else sockets.unix.fileno()
