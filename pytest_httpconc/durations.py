"""Seconds in words."""

__all__ = ["duration"]


def duration(seconds: float) -> str:
    """As milliseconds below a second: ``"12.5 ms"``, ``"1.20 s"``."""
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"
