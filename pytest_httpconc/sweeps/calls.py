"""The user's call and client, as a sweep runs them."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from fake_servers.errors import ScenarioError
from pytest_httpconc.calls import ClientCall, refuse_awaitable
from pytest_httpconc.checks.isolation import Nonce

__all__ = ["Caller", "Outcome"]

_LONGEST_SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: with what it returned, or with what it raised.

    Of an exception only its repr is kept: its traceback would keep the client's pool, and so its sockets.
    """

    returned: object = None
    raised: str | None = None
    nonce: Nonce | None = None

    @property
    def is_answer(self) -> bool:
        """Whether it returned."""
        return self.raised is None

    @property
    def is_anothers(self) -> bool:
        """Whether it returned an answer that is not its own."""
        return self.is_answer and self.nonce is not None and not self.nonce.is_in(self.returned)

    def __str__(self) -> str:
        if self.raised is not None:
            return f"raised {_shortened(self.raised)}"
        if self.returned is None:
            return "returned None, as a call without a 'return' does"
        return f"returned {_shortened(repr(self.returned))}"


class Caller(ClientCall):
    """A call and the factory of its client, checked; the call is given a nonce where it has such a parameter.

    Args:
        call: called with no argument, or with what ``client`` gave; with ``nonce`` as well where it has such a
            parameter.
        client: a factory of context managers, each for one step; None where calls bring their own.

    Raises:
        ScenarioError: one of them can't be called.
    """

    def __init__(self, call: Callable[..., Any], client: Callable[[], Any] | None) -> None:
        super().__init__(call, client)
        self._nonce_kind = _kind_of_nonce(call)
        self._numbers = itertools.count(1)  # of one operation each, as calls may come from many threads

    @property
    def has_nonces(self) -> bool:
        """Whether each call is given a nonce."""
        return self._nonce_kind is not None

    def new_nonce(self) -> Nonce | None:
        """The nonce of the next call; None if the call takes none."""
        if self._nonce_kind is None:
            return None
        return Nonce(f"nonce-{next(self._numbers):06d}")

    def start(self, client: object, nonce: Nonce | None) -> Any:
        """Call it: its result, or its coroutine."""
        given = () if self._client is None else (client,)
        if nonce is None:
            return self._call(*given)
        if self._nonce_kind is inspect.Parameter.POSITIONAL_ONLY:
            return self._call(*given, nonce.text)
        return self._call(*given, nonce=nonce.text)

    def run(self, client: object, *, must_succeed: bool = False) -> Outcome:
        """Make one call that blocks.

        Raises:
            ScenarioError: it fails and must not, or it is no call that blocks.
        """
        nonce = self.new_nonce()
        try:
            returned = self.start(client, nonce)
        except Exception as error:
            if must_succeed:
                raise ScenarioError(
                    f"the undisturbed call raised {error!r}; nothing can be judged without one that succeeds"
                ) from error
            return Outcome(raised=repr(error), nonce=nonce)
        refuse_awaitable(returned)
        return Outcome(returned, nonce=nonce)

    async def run_in_loop(self, client: object, *, must_succeed: bool = False) -> Outcome:
        """Make one call in the running loop.

        Raises:
            ScenarioError: it fails and must not.
        """
        nonce = self.new_nonce()
        try:
            return Outcome(await self.start(client, nonce), nonce=nonce)
        except Exception as error:
            if must_succeed:
                raise ScenarioError(
                    f"the undisturbed call raised {error!r}; nothing can be judged without one that succeeds"
                ) from error
            return Outcome(raised=repr(error), nonce=nonce)


def _kind_of_nonce(call: Callable[..., Any]) -> inspect._ParameterKind | None:
    try:
        parameter = inspect.signature(call).parameters.get("nonce")
    except (TypeError, ValueError):  # something built in, that does not tell
        return None
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return None if parameter is None or parameter.kind in variadic else parameter.kind


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
