"""A run of locust's from begin to end: the server is started, and its ledger judged when every client is closed."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import cloudpickle
import gevent
import locust
from locust.env import Environment
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

from fake_servers import FakeServer, FakeServerError, ScenarioError
from pytest_httpconc.load.judging import Declared, judge, unmarked
from pytest_httpconc.load.serving import server_for
from pytest_httpconc.load.users import ContractUser, MixedAnswer
from pytest_httpconc.report.terminal import render
from pytest_httpconc.watched import Watched, placed

__all__ = ["watch"]

_GRACE: Final = 2.0  # seconds in which connections that were closed are seen to be
_UNPATCHED: Final = "LOCUST_SKIP_MONKEY_PATCH"  # locust's own, for where a module of a handler's imports it
_STOP, _STOPPED = "httpconc-stop", "httpconc-stopped"
_log = logging.getLogger("httpconc")


def watch(environment: Environment, **_: Any) -> None:
    """Judge a run of locust's when it ends; a locustfile's is watched by itself.

    Args:
        environment: with a runner, and `ContractUser` classes.

    Raises:
        SystemExit: the run can't be; the message says why.
    """
    users = [user for user in environment.user_classes if issubclass(user, ContractUser)]
    if not users:
        return
    try:
        declared = [user.declared() for user in users]
        ours = _Process(environment, patience=max(user.contract.patience for user in users))
        if isinstance(environment.runner, WorkerRunner):
            environment.runner.register_message(_STOP, ours.stop_users, concurrent=True)
        else:
            _Run(environment, users, declared, ours)
    except (ScenarioError, FakeServerError) as error:
        if isinstance(environment.runner, MasterRunner):
            environment.runner.quit()  # or its workers would wait for it
        sys.exit(f"httpconc: {error}")


class _Process:
    """What each process with users does.

    Args:
        environment: locust's.
        patience: seconds that a call may still take when the run ends, where ``--stop-timeout`` says nothing.
    """

    def __init__(self, environment: Environment, *, patience: float) -> None:
        self._environment = environment
        self._patience = patience
        self.mixed = 0  #: calls in this run that got an answer which is not their own
        environment.events.test_start.add_listener(self._begin)
        environment.events.request.add_listener(self._note)

    @property
    def patience(self) -> float:
        """Seconds that a call may still take when the run ends."""
        return self._environment.stop_timeout or self._patience

    def _begin(self, **_: object) -> None:
        self.mixed = 0

    def _note(self, *, exception: BaseException | None = None, **_: object) -> None:
        self.mixed += isinstance(exception, MixedAnswer)

    def stop_users(self, environment: Environment, msg: object) -> None:
        """On a worker: stop all users, and tell the master when their clients are closed, while the process lives."""
        runner = self._environment.runner
        assert isinstance(runner, WorkerRunner), "it was registered there"
        with self.waiting_for_calls():
            runner.stop()
        gc.collect()  # sessions in a reference cycle close only when they are collected
        runner.send_message(_STOPPED, {"mixed": self.mixed})

    @contextmanager
    def waiting_for_calls(self) -> Iterator[None]:
        """Have locust wait for the calls that go on; only here, as it also pauses for so long when all is over."""
        before = self._environment.stop_timeout
        self._environment.stop_timeout = self.patience
        try:
            yield
        finally:
            self._environment.stop_timeout = before


class _Run:
    """What the master does, or the one process of a run without workers.

    Args:
        environment: locust's.
        users: its classes of users.
        declared: what is meant to hold of each.
        ours: this process.
    """

    def __init__(
        self,
        environment: Environment,
        users: Sequence[type[ContractUser]],
        declared: Sequence[Declared],
        ours: _Process,
    ) -> None:
        self._environment = environment
        self._declared = declared
        self._ours = ours
        self._stopped: dict[str, int] = {}
        self._server = self._started(users)
        self._watched: Watched | None = None
        if isinstance(environment.runner, MasterRunner):
            environment.runner.register_message(_STOPPED, self._has_stopped)
        events = environment.events
        events.test_start.add_listener(self._begin)
        events.test_stopping.add_listener(self._stop_users)
        events.test_stop.add_listener(self._end)
        events.quitting.add_listener(self._quit)

    def _started(self, users: Sequence[type[ContractUser]]) -> FakeServer | None:
        server = [user.server for user in users]
        if self._environment.host and not any(server):
            _log.warning("%s is no server of ours, so there is no ledger to judge", self._environment.host)
            return None
        with _for_its_own_process(users):
            started = server_for(server, users[0].contract).start()
        self._environment.host = self._environment.host or started.url
        _log.info("%r, reached at %s", started, self._environment.host)
        return started

    def _begin(self, **_: object) -> None:
        if self._server is not None:
            self._watched = Watched(self._server)

    def _end(self, **_: object) -> None:
        if self._server is None or self._watched is None:
            return
        with suppress(TimeoutError):  # what is left is for the check to judge
            self._server.ledger.wait_until(
                lambda ledger: not ledger.open_connections and not ledger.in_flight, timeout=_GRACE
            )
        ledger = self._watched.ledger
        mixed = self._ours.mixed + sum(self._stopped.values())
        found = placed(self._server, judge(ledger, self._declared, mixed=mixed))
        if found:
            print(f"\n{render(found)}\n", flush=True)
        unseen = unmarked(ledger, self._declared)
        if unseen:
            _log.error("no request shows the nonces of %s, so only leaks were judged; send them on", ", ".join(unseen))
        if found or unseen or not ledger.count():
            self._environment.process_exit_code = 1
        _log.info("found %s in %r", ", ".join(finding.code for finding in found) or "nothing", ledger)

    def _stop_users(self, **_: object) -> None:
        """Have all clients closed, on all machines: a connection that is open then has leaked."""
        runner = self._environment.runner
        if isinstance(runner, MasterRunner):
            self._stop_workers(runner)
        elif isinstance(runner, LocalRunner):
            with self._ours.waiting_for_calls():
                runner.stop_users(runner.user_classes_count)
            gc.collect()

    def _stop_workers(self, runner: MasterRunner) -> None:
        self._stopped.clear()
        asked = {worker.id for worker in runner.clients.all}
        runner.send_message(_STOP)
        with gevent.Timeout(self._ours.patience + _GRACE, False):
            while not asked <= self._stopped.keys():
                gevent.sleep(0.01)
        for worker in sorted(asked - self._stopped.keys()):
            _log.error("worker %s has not stopped its users; their connections count as leaks", worker)

    def _has_stopped(self, msg: Any, **_: object) -> None:
        self._stopped[msg.node_id] = msg.data["mixed"]

    def _quit(self, **_: object) -> None:
        assert self._environment.runner is not None, "it quits"
        self._environment.runner.stop()  # after Ctrl-C, it is still running
        if self._server is not None:
            self._server.stop()


@contextmanager
def _for_its_own_process(users: Sequence[type[ContractUser]]) -> Iterator[None]:
    """Have a server's process started without gevent: handlers cross by value, as a locustfile is not to run there."""
    for user in users:
        cloudpickle.register_pickle_by_value(sys.modules[user.__module__])
    os.environ[_UNPATCHED] = "1"  # nobody has set it, as this process is patched
    try:
        yield
    finally:
        del os.environ[_UNPATCHED]


locust.events.init.add_listener(watch)
