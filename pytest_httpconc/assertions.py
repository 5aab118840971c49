"""The checks as assertions: what the ``httpconc`` fixture offers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fake_servers import FakeServer, ScenarioError
from fake_servers.routing import Pattern
from pytest_httpconc.checks import (
    find_excess_connections,
    find_hasty_retries,
    find_low_speedup,
    find_resends,
    find_wrong_timeouts,
)
from pytest_httpconc.checks.timeouts import Declared
from pytest_httpconc.deferred import Deferred
from pytest_httpconc.findings import CheckFailed, Finding
from pytest_httpconc.policy import Policy
from pytest_httpconc.probe import timeouts_of
from pytest_httpconc.report.terminal import render
from pytest_httpconc.watched import Watched, placed

if TYPE_CHECKING:
    from pytest_httpconc.sweeps import Cancellations, Truncations

__all__ = ["HttpConc", "raise_on"]


class HttpConc:
    """The checks, each judging from what a server has recorded; they raise `CheckFailed` with what they find."""

    def __init__(self, policy: Policy | None = None, watched: dict[FakeServer, Watched] | None = None) -> None:
        self._policy = policy or Policy()
        self._watched = {} if watched is None else watched
        self._deferred: list[Deferred] = []

    def assert_no_leaks(self, *servers: FakeServer, grace: float | None = None) -> None:
        """No connection is open any more (HC101).

        Args:
            servers: the servers to look at.
            grace: the longest time in seconds to wait until things have settled; the ini option
                ``httpconc_grace`` (1.0) when omitted.

        Raises:
            CheckFailed: one is open.
            ScenarioError: no server was given.
        """
        __tracebackhide__ = True
        if not servers:
            raise ScenarioError("assert_no_leaks() looked at no server; name those to look at, as in (fake_docker)")
        for server in servers:
            _is_server(server)
        if grace is not None:
            _positive("grace", grace)
        seconds = self._policy.grace if grace is None else grace
        found = [
            finding
            for server in servers
            for finding in placed(server, self._seen(server).leaks(max_idle=0, grace=seconds))
        ]
        self._raise_on(found)

    def assert_connections(self, server: FakeServer, *, at_most: int) -> None:
        """The client kept to its pool's limit (HC104) and reused its connections (HC103).

        Args:
            server: the server to look at.
            at_most: how many connections the client may have; replacing one that broke does not count.

        Raises:
            CheckFailed: there were more.
        """
        __tracebackhide__ = True
        _is_server(server)
        _positive("at_most", at_most)
        self.raise_on(server, find_excess_connections(self._seen(server).ledger, at_most=at_most))

    def assert_at_most_once(self, server: FakeServer, *, on: str = "*", retry_statuses: Collection[int] = ()) -> None:
        """No request was sent again after it may have been executed (HC201), or on a status (HC202).

        Args:
            server: the server to look at.
            on: which requests, as ``"METHOD /path"``. Idempotent methods count only where it names them.
            retry_statuses: statuses whose retry is meant to happen.

        Raises:
            CheckFailed: one was.
            ScenarioError: ``on`` means no request and no route of the server.
        """
        __tracebackhide__ = True
        _meant(server, on)
        if not isinstance(retry_statuses, Collection) or not all(isinstance(status, int) for status in retry_statuses):
            raise ScenarioError(f"retry_statuses={retry_statuses!r} is no collection of statuses, as in {{429, 503}}")
        self.raise_on(server, find_resends(self._seen(server).ledger, on=on, retry_statuses=retry_statuses))

    def assert_backs_off(
        self, server: FakeServer, *, on: str = "*", at_least: float = 0.1, at_most_together: int | None = None
    ) -> None:
        """What was sent again after a 429 or 503 had waited for as long as Retry-After says, or backed off (HC203).

        Args:
            server: the server to look at.
            on: which requests, as ``"METHOD /path"``.
            at_least: seconds of the shortest pause where there is no Retry-After; above 0.
            at_most_together: how many retries may begin within 0.1 s of each other; any number when omitted.

        Raises:
            CheckFailed: something was sent again too soon, with the same pause again and again, or together with
                too many others.
            ScenarioError: an argument is out of range, or ``on`` means no request and no route of the server.
        """
        __tracebackhide__ = True
        _meant(server, on)
        _positive("at_least", at_least)
        if at_most_together is not None:
            _positive("at_most_together", at_most_together)
        ledger = self._seen(server).ledger
        found = find_hasty_retries(ledger, on=on, at_least=at_least, at_most_together=at_most_together)
        self._raise_on(placed(server, found))

    def assert_concurrency(self, server: FakeServer, *, at_least: int, on: str = "*") -> None:
        """So many exchanges were in flight together (HC401, HC403).

        Args:
            server: the server to look at.
            at_least: how many.
            on: which requests, as ``"METHOD /path"``.

        Raises:
            CheckFailed: there were fewer.
            ScenarioError: ``on`` means no request and no route of the server.
        """
        __tracebackhide__ = True
        _positive("at_least", at_least)
        _meant(server, on)
        self.raise_on(server, self._seen(server).low_concurrency(at_least, on))

    def assert_speedup(self, server: FakeServer, *, at_least: float, on: str = "*") -> None:
        """The sum of service times was so many times the makespan (HC404).

        Args:
            server: the server to look at.
            at_least: the required speedup.
            on: which requests, as ``"METHOD /path"``.

        Raises:
            CheckFailed: it was less.
            ScenarioError: ``on`` means no request and no route of the server.
        """
        __tracebackhide__ = True
        _positive("at_least", at_least)
        _meant(server, on)
        self.raise_on(server, find_low_speedup(self._seen(server).ledger, at_least=at_least, on=on))

    def assert_timeout(
        self,
        server: FakeServer,
        *,
        on: str = "*",
        connect: float | None = None,
        read: float | None = None,
        total: float | None = None,
    ) -> None:
        """The client's timeouts are these, as they reach its sockets (HC301, HC302) and as it keeps them (HC303).

        Connect and read timeouts are read from the socket of a blocking client of this process, so that half an
        hour is asserted in a millisecond. A total timeout is judged by when the client left a call that it was
        made to wait for: stall the server, and have a virtual clock where it is long.

        Args:
            server: the server to look at.
            on: which requests, as ``"METHOD /path"``.
            connect: seconds that making a connection may take.
            read: seconds that each wait for a part of the answer may take.
            total: seconds that the whole call may take.

        Raises:
            CheckFailed: one of them is missing or another.
            ScenarioError: nothing was asked, or nothing was seen that it can be judged by.
        """
        __tracebackhide__ = True
        _meant(server, on)
        for name, value in {"connect": connect, "read": read, "total": total}.items():
            if value is not None:
                _positive(name, value)
        if server.is_elsewhere and (connect is not None or read is not None):
            raise ScenarioError(
                "connect and read timeouts are read from the client's socket when its request arrives, and a server in "
                "a process of its own sees no socket of this one; run it with host='thread'"
            )
        declared = Declared(connect=connect, read=read, total=total)
        if total is not None:
            self._let_end(server, on)
        ledger = self._seen(server).ledger
        connections = {c.number: c for c in ledger.connections}
        seen = {
            e.number: timeouts_of(server, connections[e.connection], e)
            for e in ledger.matching(on)
            if e.connection in connections
        }
        self.raise_on(server, find_wrong_timeouts(ledger, declared, on=on, seen=seen))

    def _let_end(self, server: FakeServer, on: str) -> None:
        """Wait until the server has noticed that its clients have left; not in its own loop, which that would block."""
        if server.is_running and not server.blocks():
            with suppress(TimeoutError):  # what goes on is for the check to judge
                server.ledger.wait_until(
                    lambda ledger: all(e.ended_at is not None for e in ledger.matching(on)), timeout=self._policy.grace
                )

    def assert_isolated(
        self,
        target: Any,
        *,
        sessions: int = 10,
        ask: Callable[[str, str], Any] | None = None,
        timeout: float = 300.0,
    ) -> Deferred:
        """Sessions that ask all together get each its own answers (HC501).

        In an async test it is to be awaited: ``await httpconc.assert_isolated(...)``; in any other it is over when
        it returns. Each session asks with a word of its own, which its answer is to contain: have the service
        echo. A fake server with ``/chat/stream`` answers nobody until all have asked.

        Args:
            target: a fake server, a URL, an aiohttp ``web.Application``, or an ASGI app (the extra ``[asgi]``);
                applications are served for as long as it takes.
            sessions: how many, 2 or more.
            ask: ``ask(url, question)``, sync or async, which returns the events, or the answer, to one question
                for a protocol of one's own; by default a session of ``POST /chat/stream`` or, where there is no
                such route, ``POST /v1/chat/completions``.
            timeout: seconds that it may take in all, above 0.

        Raises:
            CheckFailed: a session got what is another's.
            ScenarioError: an argument is out of range, a session failed, or no answer contains its word.
        """
        __tracebackhide__ = True
        _positive("timeout", timeout)
        from pytest_httpconc.isolation import Sessions  # with it comes aiohttp, which takes long to import

        asking = Sessions(target, count=sessions, ask=ask, timeout=timeout)

        async def check() -> None:
            __tracebackhide__ = True
            found = await asking.find_mixed()
            self._raise_on(placed(target, found) if isinstance(target, FakeServer) else found)

        self._deferred.append(Deferred("assert_isolated", check))
        return self._deferred[-1]

    def require_awaited(self) -> None:
        """Make sure that no check was forgotten.

        Raises:
            ScenarioError: one was called in a running loop, and not awaited.
        """
        for check in self._deferred:
            if not check.is_over:
                raise ScenarioError(f"{check.name}() was not awaited, and has checked nothing; write 'await' before it")

    def sweep_truncations(
        self,
        server: FakeServer,
        call: Callable[..., Any],
        client: Callable[[], Any] | None = None,
        *,
        only: int | None = None,
        at_most: int | None = None,
        malformed: bool = True,
    ) -> Truncations:
        """Cut the response to ``call()`` after every byte, with FIN and with RST, and send malformed ones.

        Each time the call must raise (HC601, HC602), nothing may be sent again that may have been executed (HC201),
        no socket may be left (HC101, HC102), and the same client must work afterwards (HC702). It all runs in a
        thread of its own. Of a body over 4 KiB, boundaries and seeded points are taken, and the result says so.

        Args:
            server: the server that is called.
            call: makes one call that sends one request, and raises where it fails: ``call()``, or ``call(client)``.
                A coroutine function is run by `asyncio.run`. Where it has a parameter ``nonce``, it is given a word
                that its answer is to contain (HC501).
            client: a factory of context managers, such as ``requests.Session``, entered anew for each step.
            only: the number of a step, to be run alone.
            at_most: after how many of its bytes it is cut; boundaries and seeded points are taken. All when omitted.
            malformed: whether responses that break the grammar come after those that are cut.

        Raises:
            CheckFailed: a step has shown something.
            ScenarioError: the undisturbed call fails or sends no request or several, an argument is out of range, or
                it was called in a running loop.
        """
        __tracebackhide__ = True
        from pytest_httpconc.sweeps import sweep_truncations  # late: most tests sweep nothing

        with self._remembered(server).sweeping():
            result = sweep_truncations(
                server, call, client, only=only, at_most=at_most, malformed=malformed, grace=self._policy.grace
            )
        self.raise_on(server, result.findings)
        return result

    async def sweep_cancellations(
        self,
        server: FakeServer,
        call: Callable[..., Any],
        client: Callable[[], Any] | None = None,
        contenders: int = 1,
        *,
        only: int | None = None,
    ) -> Cancellations:
        """Cancel ``call()`` at every suspension, alone and, with others in flight, after every step of theirs.

        Each time it must raise CancelledError, and what goes on beside it and comes after it must work (HC702) and
        get its own answer (HC501); nothing may be sent again that may have been executed (HC201), and no socket may
        be left (HC701). A slot that a pool has lost shows for certain where the pool has no more slots than there
        are calls.

        Args:
            server: the server that is called.
            call: a coroutine function that makes one call and raises where it fails: ``call()``, or
                ``call(client)``. Where it has a parameter ``nonce``, it is given a word that its answer is to contain.
            client: a factory of (async) context managers, such as ``httpx.AsyncClient``, entered anew for each step.
            contenders: up to how many further calls are in flight beside it; 0 or more.
            only: the number of a step, to be run alone.

        Raises:
            CheckFailed: a step has shown something.
            ScenarioError: the undisturbed call fails or does not end, or an argument is out of range.
        """
        __tracebackhide__ = True
        from pytest_httpconc.sweeps import sweep_cancellations  # late, as above

        grace = self._policy.grace
        with self._remembered(server).sweeping():
            result = await sweep_cancellations(server, call, client, contenders, only=only, grace=grace)
        self.raise_on(server, result.findings)
        return result

    def _remembered(self, server: FakeServer) -> Watched:
        return self._watched.setdefault(server, self._seen(server))

    def _seen(self, server: FakeServer) -> Watched:
        # A server that the test made itself was watched from its start: nothing on it is from before.
        return self._watched.get(server) or Watched(server, from_its_start=True)

    def raise_on(self, server: FakeServer, found: Iterable[Finding]) -> None:
        """Raise on findings of a check of one's own, as the checks here do.

        Args:
            server: where it was seen.
            found: the findings; codes that the policy ignores are passed over.

        Raises:
            CheckFailed: there are some.
        """
        __tracebackhide__ = True
        self._raise_on(placed(server, found))

    def _raise_on(self, found: Iterable[Finding]) -> None:
        __tracebackhide__ = True
        raise_on(f for f in found if f.code not in self._policy.ignore)


def raise_on(findings: Iterable[Finding]) -> None:
    """Raise `CheckFailed` if there are findings."""
    __tracebackhide__ = True
    found = tuple(findings)
    if found:
        raise CheckFailed(found, render(found))


def _is_server(server: object) -> None:
    if not isinstance(server, FakeServer):
        raise ScenarioError(f"{server!r} is no fake server; give the server itself, as in (fake_docker)")


def _meant(server: FakeServer, on: str) -> None:
    """Refuse a pattern that can't mean anything here: the check would pass because nothing ran."""
    _is_server(server)
    pattern = Pattern.parse(on)
    routes = [Pattern.parse(route) for route in server.routes]
    means_route = any(_overlap(pattern, route) for route in routes if route.path is not None)
    if on != "*" and not means_route and not server.ledger.count(on):
        seen = sorted({e.route for e in server.ledger.exchanges[-1000:]})
        there = ", ".join(seen) if seen else f"none, and the routes are {', '.join(server.routes) or 'none'}"
        raise ScenarioError(f"on={on!r} means no request that arrived and no route; there were {there}")


def _overlap(pattern: Pattern, route: Pattern) -> bool:
    """Whether a request may be meant by both: the one's text is among what the other means."""
    methods = pattern.method is None or route.method is None or pattern.method == route.method
    one, other = pattern.path or "/", route.path or "/"
    return methods and (pattern.matches_path(other) or route.matches_path(one))


def _positive(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise ScenarioError(f"{name}={value!r} is out of range; allowed are numbers above 0, as in {name}=10")
