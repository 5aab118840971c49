"""The checks: evidence in, findings out; pure functions, one module a family.

They read a ledger, or what callers were answered, and never a client's internals, so they hold for any client.
"""

from pytest_httpconc.checks.backoff import find_hasty_retries
from pytest_httpconc.checks.concurrency import find_blocking, find_low_concurrency, find_low_speedup
from pytest_httpconc.checks.connections import find_excess_connections, find_leaks, find_unclosed
from pytest_httpconc.checks.isolation import find_mixed_answers
from pytest_httpconc.checks.retries import find_resends
from pytest_httpconc.checks.timeouts import find_wrong_timeouts

__all__ = [
    "find_blocking",
    "find_excess_connections",
    "find_hasty_retries",
    "find_leaks",
    "find_low_concurrency",
    "find_low_speedup",
    "find_mixed_answers",
    "find_resends",
    "find_unclosed",
    "find_wrong_timeouts",
]
