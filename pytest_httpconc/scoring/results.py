"""What came of a contract's tests, in plain values that go from the process that ran them to the one that asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fake_servers.words import Word

__all__ = ["Outcome", "Ran", "Score", "Test", "read", "write"]


class Outcome(Word):
    """What came of a test."""

    PASSED = "passed"
    FAILED = "failed"
    KNOWN = "known"  #: it failed as the contract says that it does
    INAPPLICABLE = "inapplicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """One test of a contract.

    Args:
        name: with its parameters.
        family: what it is about, one of `pytest_httpconc.scoring.families.FAMILIES`.
        outcome: what came of it.
        codes: of what was found, in the catalogue.
        reason: why it failed or makes no sense for the client, in a line.
    """

    __test__ = False

    name: str
    family: str
    outcome: Outcome
    codes: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One contract, as it ran.

    Args:
        contract: the name of its class.
        is_async: whether its calls are coroutines.
        tests: in the order in which they ran.
    """

    contract: str
    is_async: bool
    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One row of the table.

    Args:
        client: what it is called.
        version: its release; empty where that is not known, as of a contract of the user's own.
        tests: what came of them.
    """

    client: str
    version: str
    tests: tuple[Test, ...]

    @property
    def title(self) -> str:
        """Client and release."""
        return f"{self.client} {self.version}".rstrip()

    def of(self, family: str | None = None) -> tuple[int, int]:
        """How many tests of a family, or of all, have passed, and of how many that make sense for the client."""
        judged = [t for t in self.tests if family in {None, t.family} and t.outcome is not Outcome.INAPPLICABLE]
        return sum(test.outcome is Outcome.PASSED for test in judged), len(judged)

    @property
    def inapplicable(self) -> int:
        """How many tests make no sense for the client, or ask for a limit that its contract does not declare."""
        return sum(test.outcome is Outcome.INAPPLICABLE for test in self.tests)

    @property
    def not_kept(self) -> list[Test]:
        """The tests that failed, whether that was known or not."""
        return sorted((t for t in self.tests if t.outcome in {Outcome.FAILED, Outcome.KNOWN}), key=lambda t: t.name)


def write(ran: Sequence[Ran], errors: Sequence[str], path: Path) -> None:
    """Write what ran, and why something could not, for `read`."""
    path.write_text(json.dumps({"ran": [asdict(one) for one in ran], "errors": list(errors)}), encoding="utf-8")


def read(path: Path) -> tuple[list[Ran], list[str]]:
    """Read what `write` has written."""
    found = json.loads(path.read_text(encoding="utf-8"))
    ran = [
        Ran(
            contract=one["contract"],
            is_async=one["is_async"],
            tests=tuple(
                Test(**{**test, "outcome": Outcome(test["outcome"]), "codes": tuple(test["codes"])})
                for test in one["tests"]
            ),
        )
        for one in found["ran"]
    ]
    return ran, found["errors"]
