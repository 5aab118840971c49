"""Faults and latencies in one line, as one writes them in Python: read, and never run.

``Disconnect(at=EXECUTED)``, ``Status(503, {"Retry-After": "2"})``, ``0.05``, ``Lognormal(median=0.05, sigma=0.4)``;
without parentheses, for shells: ``Disconnect:at=EXECUTED``, ``lognormal:median=0.05,sigma=0.4``.
"""

from __future__ import annotations

import ast
import dataclasses
import re
from typing import Any, Final

from fake_servers.errors import ScenarioError
from fake_servers.faults import Fault
from fake_servers.latency import Latency
from fake_servers.plain import Misfit, from_plain, kinds_of, to_plain

__all__ = ["read_fault", "read_latency"]

_MOST: Final = 1000  # characters
_WITHOUT_PARENTHESES: Final = re.compile(r"\s*([A-Za-z]\w*):(.*)", re.DOTALL)
_FAULT: Final = "'Disconnect(at=EXECUTED)'"
_LATENCY: Final = "0.05 or 'Lognormal(median=0.05, sigma=0.4)'"


class _NoPhraseError(Exception):
    """The text has another form."""


def read_fault(text: str) -> Fault:
    """A fault of `fake_servers.faults` from a text such as ``"Disconnect(at=EXECUTED)"``.

    Raises:
        ScenarioError: there is no such fault, or it does not take these arguments.
    """
    fault: Fault = _read(Fault, text, example=_FAULT)
    return fault


def read_latency(text: str) -> Latency:
    """A latency from seconds, as in ``"0.05"``, or a distribution, as in ``"lognormal:median=0.05,sigma=0.4"``.

    Raises:
        ScenarioError: there is no such latency, or it does not take these arguments.
    """
    latency: Latency = _read(Latency, text, example=_LATENCY)
    return latency


def _read(base: Any, text: str, *, example: str) -> Any:
    try:
        return from_plain(base, _plain(base, text))
    except _NoPhraseError:
        raise ScenarioError(f"{text[:80]!r} can't be read; write it as in {example}") from None
    except Misfit as misfit:
        raise ScenarioError(misfit.problem) from None


def _plain(base: type, text: str) -> Any:
    """What a scenario file would have."""
    with_parentheses = _WITHOUT_PARENTHESES.fullmatch(text)
    source = text if with_parentheses is None else f"{with_parentheses[1]}({with_parentheses[2]})"
    if len(source) > _MOST:
        raise _NoPhraseError
    try:
        node = ast.parse(source.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise _NoPhraseError from None
    if isinstance(node, ast.Call):
        kind = _kind(base, node.func)
        return {"kind": kind, **_arguments(base, kind, node)}
    if isinstance(node, (ast.Name, ast.Attribute)):
        return {"kind": _kind(base, node)}
    if base is Fault:
        raise _NoPhraseError
    return _value(node)


def _kind(base: type, node: ast.expr) -> str:
    """The name of a class as it is written, whatever case the text has: ``lognormal`` is a function's name as well."""
    given = _name(node)
    return next((name for name in kinds_of(base) if name.lower() == given.lower()), given)


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):  # faults.Reset, Moment.EXECUTED
        return node.attr
    raise _NoPhraseError


def _arguments(base: type, kind: str, call: ast.Call) -> dict[str, Any]:
    known = kinds_of(base).get(kind)
    if known is None:
        return {}  # that it is not known is what is wrong with it
    names = [field.name for field in dataclasses.fields(known) if field.init and not field.kw_only]
    if len(call.args) > len(names):
        order = f"{', '.join(names)}, in this order" if names else "its arguments by name alone"
        raise ScenarioError(f"{kind} takes {order}; it was given {len(call.args)} without a name")
    arguments = {name: _value(argument) for name, argument in zip(names, call.args, strict=False)}
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg in arguments:
            raise _NoPhraseError
        arguments[keyword.arg] = _value(keyword.value)
    return arguments


def _value(node: ast.expr) -> Any:
    if isinstance(node, (ast.Name, ast.Attribute)):
        return _name(node)
    if any(isinstance(part, (ast.Call, ast.BinOp)) for part in ast.walk(node)):
        raise _NoPhraseError
    try:
        return to_plain(ast.literal_eval(node))
    except (ValueError, TypeError):  # no literal, or a list where Python wants what can be hashed
        raise _NoPhraseError from None
