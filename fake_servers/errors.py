"""The package's own errors, named by whose fault they are."""

__all__ = ["FakeServerError", "ScenarioError"]


class ScenarioError(ValueError):
    """The user asked for something that makes no sense; the message says what is allowed."""


class FakeServerError(RuntimeError):
    """A fake server itself went wrong: a handler raised, or the server could not start or stop."""
