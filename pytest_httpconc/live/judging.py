"""What can be said of a ledger without a test that says what was meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fake_servers import FakeServer, Ledger
from pytest_httpconc.checks import find_hasty_retries, find_leaks, find_resends
from pytest_httpconc.findings import Finding
from pytest_httpconc.report.lanes import counts_of
from pytest_httpconc.report.terminal import render

__all__ = ["Summary", "find_without_a_test"]


def find_without_a_test(ledger: Ledger) -> list[Finding]:
    """Find resends (HC201, HC202) and hasty retries (HC203).

    That a connection is open (HC101), or a socket in CLOSE_WAIT (HC102), is wrong only once its client is done, which a
    server can't know: a pool looks at what the server has closed when it is next asked for a connection.
    """
    return [*find_resends(ledger), *find_hasty_retries(ledger)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a server has seen.

    Args:
        name: its kind and address.
        counts: by name, in the order in which they are read.
        still_open: the connections that are open or in CLOSE_WAIT, in words.
        findings: what was found.
    """

    name: str
    counts: dict[str, float]
    still_open: Sequence[str] = ()
    findings: Sequence[Finding] = ()

    @classmethod
    def of(cls, server: FakeServer) -> Summary:
        """What a server has seen up to now."""
        ledger = server.ledger
        return cls(
            name=f"{type(server).__name__} at {server.url}",
            counts=counts_of(ledger),
            still_open=[line for leak in find_leaks(ledger, now=ledger.now) for line in leak.evidence],
            findings=find_without_a_test(ledger),
        )

    def lines(self, *, at_most: int = 16) -> list[str]:
        """As text.

        Args:
            at_most: how many open connections are told of.
        """
        told = [f"  {line}" for line in self.still_open[:at_most]]
        rest = len(self.still_open) - len(told)
        return [
            f"{self.name}: {self._in_words()}",
            *(["still open, a leak if their clients are done:"] if told else []),
            *told,
            *([f"  ... and {rest} more"] if rest else []),
            *render(self.findings).splitlines(),
        ]

    def _in_words(self) -> str:
        counts = {name: f"{value:,g}" for name, value in self.counts.items()}
        return (
            f"connections {counts['connections']} ({counts['open together']} together, {counts['open at the end']} "
            f"open), exchanges {counts['exchanges']} ({counts['in flight together']} in flight together), "
            f"executions {counts['executions']}"
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "counts": self.counts,
            "still_open": list(self.still_open),
            "findings": [
                {"code": f.code, "statement": f.statement, "summary": f.summary, "evidence": list(f.evidence)}
                for f in self.findings
            ],
        }
