"""One test's server, client and call, and the verdicts that several tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fake_servers import Exchange, FakeServer, Ledger, ScenarioError
from fake_servers.faults import Fault, Malformed, Moment, WrongLength
from fake_servers.records import Outcome as Fate
from pytest_httpconc.assertions import HttpConc
from pytest_httpconc.contract.drivers import Calls, driven
from pytest_httpconc.contract.making import Maker
from pytest_httpconc.findings import Finding
from pytest_httpconc.sweeps.calls import Caller, Outcome
from pytest_httpconc.sweeps.logs import records_without_frames
from pytest_httpconc.sweeps.watchdog import Hung

if TYPE_CHECKING:
    from pytest_httpconc.contract.base import Contract

__all__ = ["Trial"]

_SOON = 5.0  # seconds of real time in which the server notices what has happened


class _ReturnedError(Exception):
    """What a call has returned is an error in the eyes of the contract."""


class _Own:
    """An answer that is the caller's own, as the contract has judged: it shows its nonce, as sweeps look for it."""

    def __init__(self, answer: object, nonce: str) -> None:
        self._shown = f"{answer!r} (to {nonce})"

    def __repr__(self) -> str:
        return self._shown


class Trial:
    """The contract at work on one server.

    Args:
        contract: the user's.
        server: the server that is called.
        httpconc: the checks.
        maker: of clients.
    """

    def __init__(self, contract: Contract, *, server: FakeServer, httpconc: HttpConc, maker: Maker) -> None:
        self._contract = contract
        self.server = server
        self.httpconc = httpconc
        self._is_async = contract.is_async() or maker.is_async
        self._is_closed = maker.yields
        self.new_client: Callable[[], Any] = maker.entered_in_loop if self._is_async else maker.entered

    # -- the client ---------------------------------------------------------------------------------------

    @contextmanager
    def client(self, *, outlives: bool = False) -> Iterator[Calls]:
        """A client of the user's, for a ``with`` block; what hangs is found (HC702).

        Args:
            outlives: whether it is still referred to when the block is over, as it is in a program: what its fixture
                has not closed is open then, and not collected. Not so where the fixture returns it, and closes nothing.
        """
        __tracebackhide__ = True
        try:
            caller = Caller(self.call, self.new_client)
            outlives = outlives and self._is_closed
            patience = self._contract.patience
            with records_without_frames(), driven(caller, patience=patience, outlives=outlives) as calls:
                yield calls
        except Hung as hung:
            summary = f"a call, or closing the client, did not end within {hung.seconds:g} s"
            self.found([Finding(code="HC702", summary=summary, evidence=[hung.where])])

    @property
    def call(self) -> Callable[..., Any]:
        """The user's call with a nonce, as sweeps take it."""
        return self._call_in_loop if self._is_async else self._call

    def _call(self, client: object, nonce: str) -> object:
        payload = {"nonce": nonce}
        answer = self._contract.call(client, self._url, payload)
        return answer if hasattr(answer, "__await__") else self._judged(answer, payload)

    async def _call_in_loop(self, client: object, nonce: str) -> object:
        payload = {"nonce": nonce}
        answer = self._contract.call(client, self._url, payload)
        return self._judged(await answer if hasattr(answer, "__await__") else answer, payload)

    @property
    def _url(self) -> str:
        return self.server.url + self._contract.path

    def _judged(self, answer: object, payload: dict[str, str]) -> object:
        if self._contract.is_error(answer):
            raise _ReturnedError(repr(answer))
        own = self._contract.is_answer(answer, payload)
        return _Own(answer, payload["nonce"]) if own and payload["nonce"] not in repr(answer) else answer

    # -- what happened ------------------------------------------------------------------------------------

    def wait_until(self, predicate: Callable[[Ledger], object]) -> None:
        """Wait until the server has noticed something.

        Raises:
            ScenarioError: it does not.
        """
        try:
            self.server.ledger.wait_until(predicate, timeout=_SOON)
        except TimeoutError as error:
            raise ScenarioError(f"the server has not seen what this check is about: {error}") from None

    def first(self, calls: Calls) -> None:
        """Make an undisturbed call, without which there is nothing to judge.

        Raises:
            ScenarioError: it fails, sends nothing that ``on`` means, or its answer lacks the nonce.
        """
        before = self.server.ledger.count(self._contract.on)
        outcome = calls.call(must_succeed=True)
        if outcome.is_anothers:
            raise ScenarioError(
                f"the undisturbed call {outcome}, without {outcome.nonce}; return what the server has sent back, or "
                "override is_answer(self, answer, payload)"
            )
        if self.server.ledger.count(self._contract.on) == before:
            seen = sorted({e.route for e in self.server.ledger.exchanges}) or ["no request"]
            raise ScenarioError(
                f"the undisturbed call sent nothing that on = {self._contract.on!r} means, but {', '.join(seen)}"
            )

    def disturbed(self, calls: Calls, fault: Fault, *, on: str | None = None) -> Outcome:
        """Make a call that meets a fault, and judge its answer: it may only be that of an attempt answered in full."""
        __tracebackhide__ = True
        before = self.server.ledger.count()
        anywhere = getattr(fault, "at", None) is Moment.ACCEPT
        with self.server.injected(fault, on="*" if anywhere else on or self._contract.on, times=1):
            outcome = calls.call()
        own = [e for e in self.server.ledger.exchanges if e.number > before]
        spoilt = isinstance(fault, (Malformed, WrongLength))
        answered = [e for e in own if e.outcome is Fate.ANSWERED and not (spoilt and e.fault is fault)]
        if outcome.is_answer and not answered:
            code = "HC602" if spoilt else "HC601"
            summary = f"the call that met {fault} {outcome}"
            self.found([Finding(code=code, summary=summary, exchanges=own, connections=self._connections(own))])
        return outcome

    def works(self, calls: Calls, after: object) -> None:
        """The client works again: the next call, undisturbed, gets its answer (HC702, HC501)."""
        __tracebackhide__ = True
        self.judge([calls.call()], f"the call after {after}")

    def judge(self, outcomes: Iterable[Outcome], whose: str) -> None:
        """Each of these calls, undisturbed, got its own answer (HC702, HC501)."""
        __tracebackhide__ = True
        found: dict[str, list[str]] = {}
        for outcome in outcomes:
            if outcome.is_anothers:
                found.setdefault("HC501", []).append(f"the call with {outcome.nonce} {outcome}")
            elif not outcome.is_answer:
                found.setdefault("HC702", []).append(f"the call {outcome}")
        self.found(
            Finding(code=code, summary=f"{whose}, undisturbed: {evidence[0]}", evidence=evidence[1:])
            for code, evidence in found.items()
        )

    def at_most_once(self) -> None:
        """No call was sent again that may have been executed (HC201)."""
        __tracebackhide__ = True
        self.httpconc.assert_at_most_once(
            self.server, on=self._contract.on, retry_statuses=self._contract.retry_statuses
        )

    def found(self, findings: Iterable[Finding]) -> None:
        """Raise if there are findings."""
        __tracebackhide__ = True
        self.httpconc.raise_on(self.server, findings)

    def _connections(self, exchanges: Sequence[Exchange]) -> list[Any]:
        numbers = {e.connection for e in exchanges}
        return [c for c in self.server.ledger.connections if c.number in numbers]
