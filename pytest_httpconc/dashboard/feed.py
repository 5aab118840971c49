"""What one page that looks at one server is told: everything at first, and then what is new."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from threading import Lock
from typing import Any, Final

from fake_servers import FakeServer, Ledger
from fake_servers.following import Follower, News
from pytest_httpconc.dashboard.controls import Controls
from pytest_httpconc.findings import Finding
from pytest_httpconc.live.judging import find_without_a_test
from pytest_httpconc.report.lanes import DIGITS, Bar, Lane, columns_of, counts_of, row_of
from pytest_httpconc.report.model import Found

__all__ = ["COLUMNS", "MOST", "Feed", "Judge"]

MOST: Final = 10_000  #: connections, and exchanges, that a page has
COLUMNS: Final = {"lanes": columns_of(Lane), "bars": columns_of(Bar)}

_MOST_FINDINGS: Final = 50
_RESTS: Final = 10  # times as long as judging took, at least, before it is judged again
_TICK: Final = 1.0  # seconds between two news of nothing but time


class Feed:
    """The news of a server, as plain data, for one page; made anew for each that opens.

    Args:
        server: it runs.
        name: over its lanes.
        controls: of the server.
        judge: of the server, for all its pages.
    """

    def __init__(self, server: FakeServer, name: str, controls: Controls, judge: Judge) -> None:
        self._ledger = server.ledger
        self._name = name
        self._controls = controls
        self._follower = Follower(server.ledger, at_most=MOST)
        self._judge = judge
        self._begin: float | None = None
        self._state: dict[str, Any] = {}
        self._told_at = 0.0

    def look(self) -> dict[str, Any] | None:
        """What has changed since the last look; None where nothing has.

        Instants are seconds since the first record that this page was shown.

        Raises:
            FakeServerError: the server's process has ended.
        """
        counts = _counts_now(self._ledger)  # before the records, so that none is counted of which nothing is told
        news = self._follower.look()
        if news.has_begun_anew:
            counts = _counts_now(self._ledger)
            self._judge.begin_anew()
        if self._begin is None or news.has_begun_anew:
            self._begin = _first(news)
        state = {"counts": counts, **self._state_now(is_new=bool(news))}
        changed = {name: value for name, value in state.items() if value != self._state.get(name)}
        goes_on = self._ledger.held_connections > 0 and time.monotonic() - self._told_at >= _TICK
        if not (news or changed or goes_on):
            return None
        self._state, self._told_at = state, time.monotonic()
        return {**changed, **self._rows(news)}

    def _state_now(self, *, is_new: bool) -> dict[str, Any]:
        findings = self._judge.find(is_new=is_new)[:_MOST_FINDINGS]
        return {
            "findings": [asdict(Found.of(replace(finding, server=self._name))) for finding in findings],
            "injections": self._controls.listed(),
        }

    def _rows(self, news: News) -> dict[str, Any]:
        begin = self._ledger.now if self._begin is None else self._begin
        return {
            "begun_anew": news.has_begun_anew,
            "span": round(self._ledger.now - begin, DIGITS),
            "lanes": [row_of(Lane.of(connection, begin)) for connection in news.connections],
            "bars": [row_of(Bar.of(exchange, begin)) for exchange in news.exchanges],
        }


def _counts_now(ledger: Ledger) -> dict[str, float]:
    """As a report has them at the end, but that it is not."""
    return {"open now" if name == "open at the end" else name: value for name, value in counts_of(ledger).items()}


def _first(news: News) -> float | None:
    instants = [c.opened_at for c in news.connections] + [e.begun_at for e in news.exchanges]
    return min(instants, default=None)


class Judge:
    """Looks for findings whenever there is news, and never for more than a small part of the time.

    One is for all pages that look at a server, each in a thread.

    Args:
        ledger: what is judged.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._found: Sequence[Finding] = ()
        self._is_stale = True
        self._due_at = 0.0
        self._judging = Lock()

    def begin_anew(self) -> None:
        """The ledger was emptied."""
        with self._judging:
            self._found, self._is_stale, self._due_at = (), True, 0.0

    def find(self, *, is_new: bool) -> Sequence[Finding]:
        """What was found when there was last time for it.

        Args:
            is_new: whether something has come since the last time.
        """
        self._is_stale = self._is_stale or is_new
        if self._judging.acquire(blocking=False):  # else another page has it looked at just now
            try:
                self._judge_if_due()
            finally:
                self._judging.release()
        return self._found

    def _judge_if_due(self) -> None:
        begun_at = time.monotonic()
        if not self._is_stale or begun_at < self._due_at:
            return
        self._is_stale = False
        self._found = find_without_a_test(self._ledger)
        ended_at = time.monotonic()
        self._due_at = ended_at + _RESTS * (ended_at - begun_at)
