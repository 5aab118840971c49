"""What a check finds: a broken rule with its code, evidence and hint; and the catalogue of codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from fake_servers.errors import ScenarioError
from fake_servers.records import Connection, Exchange

__all__ = ["CATALOGUE", "LEAKS", "CheckFailed", "Finding", "HttpConcWarning", "Rule", "check_codes"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of the catalogue: what is wrong, and what usually mends it."""

    statement: str
    hint: str


CATALOGUE: Final[dict[str, Rule]] = {
    "HC101": Rule(
        "connection still open after the test",
        "close the session or client (`with`, `async with`, or in the fixture's teardown) and read every response "
        "to its end; a pool that is meant to outlive the test is allowed by @pytest.mark.httpconc(max_idle=N), and "
        '@pytest.mark.httpconc(leaks="allow") turns this check off',
    ),
    "HC102": Rule(
        "socket abandoned after the server closed it (CLOSE_WAIT)",
        "close the session, client or socket when you are done with it: the server has gone, and the descriptor stays "
        "until your side closes it; @pytest.mark.httpconc(max_idle=N) allows a pool to find out at its next request",
    ),
    "HC103": Rule(
        "a new connection for every request, where one could be reused",
        "make the session or client once and share it between calls; read each response to its end, so that its "
        "connection goes back to the pool",
    ),
    "HC104": Rule(
        "more connections than the pool's limit",
        "share one session or client between the calls, and give its pool a limit that it keeps to "
        "(requests: pool_block=True; aiohttp: TCPConnector(limit_per_host=N))",
    ),
    "HC105": Rule(
        "session or client never closed",
        "close it where its life ends: `with requests.Session() as session`, `async with aiohttp.ClientSession() as "
        "session`, `client.close()` in the fixture's teardown",
    ),
    "HC201": Rule(
        "request sent again after it may have been executed",
        "turn retries off for this call (requests/urllib3: max_retries=0; SDKs: max_retries=0; no loop around it), or "
        "send an idempotency key that the server honours; two calls that are meant to be alike must differ in target "
        "or body to be told apart",
    ),
    "HC202": Rule(
        "request retried on a status that was not to be retried",
        "turn retries on a status off for this call (urllib3: status_forcelist=(); SDKs: max_retries=0), or name the "
        "statuses whose retry is meant: assert_at_most_once(..., retry_statuses={429, 503})",
    ),
    "HC203": Rule(
        "retry that ignores Retry-After or does not back off",
        "wait as long as Retry-After says, and where it says nothing, longer each time, with jitter where many call "
        "(tenacity: wait_exponential_jitter; urllib3: Retry(backoff_factor=..., respect_retry_after_header=True))",
    ),
    "HC301": Rule(
        "no timeout reaches the socket",
        "give every call a timeout (requests: timeout=(connect, read) in each call; urllib3: Timeout; sockets: "
        "settimeout): without one, a silent server is waited for as long as the process lives",
    ),
    "HC302": Rule(
        "effective timeout differs from the declared one, or is shorter than the work",
        "see which layer sets it: the call's argument, the session's or adapter's default, a wrapper; a read timeout "
        "counts from each received part anew",
    ),
    "HC303": Rule(
        "a slow trickle of bytes keeps a call alive past its deadline",
        "a read timeout is for each part: put a deadline around the whole call (aiohttp: ClientTimeout(total=); "
        "asyncio.timeout; for blocking clients, read in parts and look at the clock)",
    ),
    "HC401": Rule(
        "concurrent calls ran one at a time",
        "look for a blocking call inside `async def`, a lock or semaphore around the call, an `await` in a loop where "
        "`gather` was meant, or a pool with one connection",
    ),
    "HC402": Rule(
        "blocking socket call inside a running event loop",
        "call it in a thread (`await asyncio.to_thread(...)`), or use an async client: while a socket blocks, no other "
        "call of the loop gets on",
    ),
    "HC403": Rule(
        "concurrency capped below what was asked",
        "look at the pool's limit, a semaphore, or the number of workers of the executor (run_in_executor's default "
        "is min(32, cpu_count + 4))",
    ),
    "HC404": Rule(
        "speedup below the required",
        "see how the exchanges follow each other in the timeline: gaps are spent in the client, staircases are a limit",
    ),
    "HC501": Rule(
        "an answer reached the wrong caller",
        "close a connection on which an answer is still to come, and never give it back to the pool: whoever gets it "
        "next reads the answer to another's call; keep no question and no answer where calls share it: give each "
        "request an agent of its own, a copy or one of a pool",
    ),
    "HC601": Rule(
        "truncated response accepted as complete",
        "compare the body with its Content-Length or read up to the last chunk, look for a header that every answer "
        "of the server has (Content-Length, say), and raise where something is missing",
    ),
    "HC602": Rule(
        "malformed response accepted",
        "look whether the parsed answer is what was agreed on (the length of the body, the type of the content, a "
        "field that is always there), and raise if not; close the connection with it",
    ),
    "HC701": Rule(
        "cancelled call leaked its connection",
        "close what the call has opened in `finally` or `async with`, with no `await` between opening it and entering "
        "the block; `except Exception` does not see CancelledError",
    ),
    "HC702": Rule(
        "client unusable after a fault or a cancellation",
        "give back what the call has taken (slot, lock, place in a queue) in `finally`, throw a broken connection "
        "away in place of pooling it, and let CancelledError pass",
    ),
}


LEAKS: Final = frozenset({"HC101", "HC102", "HC105"})  #: what ``leaks="warn"`` only warns of


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A broken rule.

    Args:
        code: its code in the catalogue.
        summary: what is wrong in this case, in one line.
        evidence: lines that say which connections and exchanges, in the order in which they are read.
        connections: those of the timeline.
        exchanges: those of the timeline.
        server: where it was seen.
    """

    code: str
    summary: str
    evidence: Sequence[str] = ()
    connections: Sequence[Connection] = ()
    exchanges: Sequence[Exchange] = ()
    server: str = ""

    @property
    def statement(self) -> str:
        """The rule that is broken, in one line."""
        return CATALOGUE[self.code].statement

    @property
    def hint(self) -> str:
        """What usually mends it."""
        return CATALOGUE[self.code].hint

    def __str__(self) -> str:
        return f"{self.code} {self.statement}: {self.summary}"


class CheckFailed(AssertionError):
    """Raised by a check that found something; carries what it found in ``findings``."""

    def __init__(self, findings: Iterable[Finding], message: str | None = None) -> None:
        self.findings = tuple(findings)
        super().__init__(message or "\n".join(str(finding) for finding in self.findings))


class HttpConcWarning(UserWarning):
    """What a check found where the policy is to warn, or a test that can't have tested what it meant to."""


def check_codes(codes: Iterable[str]) -> frozenset[str]:
    """Make sure that codes are in the catalogue.

    Raises:
        ScenarioError: one is not.
    """
    given = [codes] if isinstance(codes, str) or not isinstance(codes, Iterable) else list(codes)
    unknown = [code for code in given if code not in tuple(CATALOGUE)]
    if unknown:
        raise ScenarioError(f"ignore={unknown!r} is not in the catalogue; allowed are {', '.join(CATALOGUE)}")
    return frozenset(given)
