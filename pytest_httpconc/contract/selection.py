"""Which checks make sense for a client: each test says when it does not, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pytest

if TYPE_CHECKING:
    from pytest_httpconc.contract.base import Contract

__all__ = ["Reason", "check", "reason_against", "said", "waits_for_a_timeout"]

#: Of a contract and a test's parameters: why the test makes no sense for it, or None.
Reason = Callable[["type[Contract]", Mapping[str, Any]], "str | None"]

Test = TypeVar("Test", bound=Callable[..., None])

_REASONS: Final = "httpconc_reasons"
_WAITS: Final = "httpconc_waits"


def check(*reasons: Reason, leaks: str = "allow", waits: bool = False) -> Callable[[Test], Test]:
    """Decorate a test of the contract.

    Args:
        reasons: what may speak against it.
        leaks: what a connection that is left open leads to. The tests of closing judge it, and the sweeps: a client
            that leaks is to fail in these, and not in all.
        waits: whether it waits for a timeout to fire.
    """

    def decorate(test: Test) -> Test:
        setattr(test, _REASONS, reasons)
        setattr(test, _WAITS, waits)
        pytest.mark.httpconc(leaks=leaks)(test)
        return test

    return decorate


def said(name: str, example: str) -> Reason:
    """Only where the user has set a limit."""

    def reason(contract: type[Contract], parameters: Mapping[str, Any]) -> str | None:
        return None if getattr(contract, name) is not None else f"say {name} = {example} to have it checked"

    return reason


def waits_for_a_timeout(test: object) -> bool:
    """Whether a test waits for a timeout to fire, in real time."""
    return bool(getattr(test, _WAITS, False))


def reason_against(item: pytest.Function) -> str | None:
    """Why a test makes no sense for its contract; None if it does."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    reasons: tuple[Reason, ...] = getattr(item.function, _REASONS, ())
    return next((why for reason in reasons if (why := reason(item.cls, parameters)) is not None), None)
