"""The package's own errors, named by whose fault they are."""

__all__ = ["FakeServerError", "ScenarioError", "UpstreamEnded"]


class ScenarioError(ValueError):
    """The user asked for something that makes no sense; the message says what is allowed."""


class FakeServerError(RuntimeError):
    """A fake server itself went wrong: a handler raised, or the server could not start or stop."""


class UpstreamEnded(Exception):
    """The server behind this one has ended its connection in mid-exchange; nobody's error, but to be passed on.

    Args:
        reset: whether it did so with RST, and not with FIN.
        rest: what it had sent of a head that is not complete.
    """

    def __init__(self, *, reset: bool, rest: bytes = b"") -> None:
        super().__init__("RST" if reset else "FIN")
        self.reset = reset
        self.rest = rest
