"""The two sizes of a service with a pool: from the environment, or as recommended for a load."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from fake_servers.errors import ScenarioError

__all__ = ["AgentSettings", "check_count"]

_RECOMMENDED = {"light": (3, 5), "medium": (5, 10), "heavy": (10, 20), "small": (2, 3)}


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """How many instances there are, and how many requests are let in.

    Args:
        pool_size: 1 or more; ``PIPELINE_POOL_SIZE`` in the environment.
        max_concurrent: no less than ``pool_size``; ``MAX_CONCURRENT_REQUESTS`` in the environment.

    Raises:
        ScenarioError: a value is out of range.
    """

    pool_size: int = 5
    max_concurrent: int = 10

    def __post_init__(self) -> None:
        check_count("pool_size", self.pool_size)
        check_count("max_concurrent", self.max_concurrent)
        if self.max_concurrent < self.pool_size:
            raise ScenarioError(
                f"max_concurrent={self.max_concurrent} (MAX_CONCURRENT_REQUESTS) is less than pool_size="
                f"{self.pool_size} (PIPELINE_POOL_SIZE): some instances would never be used; let in at least as many "
                f"requests as there are instances, as in pool_size={self.max_concurrent}"
            )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> AgentSettings:
        """The settings of ``PIPELINE_POOL_SIZE`` (5) and ``MAX_CONCURRENT_REQUESTS`` (10).

        Raises:
            ScenarioError: one is no number, or out of range.
        """
        return cls(
            pool_size=_number(environ, "PIPELINE_POOL_SIZE", 5),
            max_concurrent=_number(environ, "MAX_CONCURRENT_REQUESTS", 10),
        )

    @classmethod
    def recommended(cls, load: str) -> AgentSettings:
        """What is recommended for a ``"light"``, ``"medium"`` or ``"heavy"`` load, or a ``"small"`` machine.

        Raises:
            ScenarioError: there is no such load.
        """
        if load not in _RECOMMENDED:
            raise ScenarioError(f"load={load!r} is not known; allowed are {', '.join(_RECOMMENDED)}, as in 'medium'")
        pool_size, max_concurrent = _RECOMMENDED[load]
        return cls(pool_size=pool_size, max_concurrent=max_concurrent)


def check_count(name: str, value: int) -> None:
    """Refuse what is no size.

    Raises:
        ScenarioError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ScenarioError(f"{name}={value!r} is no count; allowed are whole numbers from 1 up, as in {name}=5")


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    given = environ.get(name, str(default))
    if not given.strip().isdecimal():
        raise ScenarioError(
            f"{name}={given!r} is no count; allowed are whole numbers from 1 up, as in {name}={default}"
        )
    return int(given)
