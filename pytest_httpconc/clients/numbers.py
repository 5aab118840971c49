"""Numbers that a user gives, and what is allowed of them."""

from __future__ import annotations

import math

__all__ = ["check_count", "check_limit", "check_number"]


def check_count(name: str, given: int, *, least: int = 1, most: float = math.inf, example: int = 10) -> None:
    """Refuse what is no whole number in a range.

    Raises:
        ValueError: it is none.
    """
    if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
        upto = "up" if most == math.inf else f"to {most}"
        raise ValueError(
            f"{name}={given!r} is out of range; allowed are whole numbers from {least} {upto}, as in {example}"
        )


def check_number(name: str, given: float, *, least: float = 0.0, above: bool = False, example: float = 1.0) -> None:
    """Refuse what is no finite number from ``least`` up, or above it.

    Raises:
        ValueError: it is none.
    """
    number = isinstance(given, (int, float)) and not isinstance(given, bool) and math.isfinite(given)
    if not number or given < least or (above and given == least):
        allowed = f"above {least:g}" if above else f"from {least:g} up"
        raise ValueError(f"{name}={given!r} is out of range; allowed are numbers {allowed}, as in {example:g}")


def check_limit(name: str, given: int | None, *, least: int = 1, example: int = 10) -> None:
    """As `check_count`, where None is no limit."""
    if given is not None:
        check_count(name, given, least=least, example=example)
