"""Text of others, as it may be shown in a terminal."""

__all__ = ["printable"]


def printable(text: str) -> str:
    """What clients send and processes are called must not steer a terminal: what can't be printed is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
