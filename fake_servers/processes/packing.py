"""Orders as bytes: handlers and what they close over cross by value, what can be imported by its name."""

from __future__ import annotations

import functools
import inspect
import io
import pickle
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import FunctionType, ModuleType
from typing import Any, Final

import cloudpickle

from fake_servers.crossing import Order
from fake_servers.errors import ScenarioError
from fake_servers.processes.unpacking import SERVER

__all__ = ["pack", "pack_orders"]

_UNSENDABLE: Final = (TypeError, ValueError, AttributeError, NotImplementedError, pickle.PicklingError)
_INSTALLED: Final = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def pack(thing: object, server: object = None) -> bytes:
    """A thing as bytes; ``server``, wherever it is met, stands for the server on the other side.

    Raises:
        TypeError, ValueError, ...: there is something in it that can't be copied.
    """
    buffer = io.BytesIO()
    with _by_value() as take:
        _Packer(buffer, server, take).dump(thing)
    return buffer.getvalue()


def pack_orders(orders: list[Order], server: object) -> bytes:
    """Orders as bytes.

    Raises:
        ScenarioError: there is something in one of them that can't be copied; the message names it.
    """
    try:
        return pack(orders, server)
    except _UNSENDABLE as error:
        raise ScenarioError(
            f"{_culprit(orders, server)} can't be sent to the server's process: {error}. What a handler closes over is "
            "copied there; make it inside the handler, or run the server with host='thread'"
        ) from error


class _Packer(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    def __init__(self, file: io.BytesIO, server: object, take: _Taking) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._server = server
        self._take = take

    def persistent_id(self, thing: object) -> str | None:
        return SERVER if thing is self._server and thing is not None else None

    def reducer_override(self, thing: object) -> Any:
        if isinstance(thing, (FunctionType, type)):
            self._take(thing)
        return super().reducer_override(thing)


class _Taking:
    """Has cloudpickle copy what is defined in modules that another process could not import as they are here."""

    def __init__(self) -> None:
        self.modules: list[ModuleType] = []

    def __call__(self, thing: FunctionType | type) -> None:
        module = sys.modules.get(thing.__module__ or "")
        known = cloudpickle.list_registry_pickle_by_value()
        if module is not None and module.__name__ not in known and not _can_be_imported(module.__name__):
            cloudpickle.register_pickle_by_value(module)
            self.modules.append(module)


@contextmanager
def _by_value() -> Iterator[_Taking]:
    take = _Taking()
    try:
        yield take
    finally:
        for module in take.modules:
            cloudpickle.unregister_pickle_by_value(module)


@functools.cache
def _can_be_imported(name: str) -> bool:
    """Whether another process with this one's path would import the same module in the same way.

    It would not for one that was loaded in a way of its own: ``__main__``, or a test module, whose assertions pytest
    rewrites, and which is not to be run a second time.
    """
    spec = getattr(sys.modules[name], "__spec__", None)
    if name.partition(".")[0] == "fake_servers" or (spec is not None and spec.origin in {"built-in", "frozen"}):
        return True
    if spec is None or spec.origin is None or name == "__main__":
        return False
    if spec.origin.startswith(_INSTALLED):
        return True
    found = _find(name)
    return found is not None and found.origin == spec.origin and type(found.loader) is type(spec.loader)


def _find(name: str) -> ModuleSpec | None:
    package, _, _ = name.rpartition(".")
    if not package:
        return PathFinder.find_spec(name)
    parent = _find(package)
    places = None if parent is None else parent.submodule_search_locations
    return None if places is None else PathFinder.find_spec(name, list(places))


def _culprit(orders: list[Order], server: object) -> str:
    """What it is that can't be sent, as far as that can be told."""
    order = next(order for order in orders if not _can_be_sent(order, server))
    for part in (*order.arguments, *order.options.values()):
        if not _can_be_sent(part, server):
            return f"{_variable(part, server)}{_shown(part)} of {_call(order)}"
    return _call(order)


def _variable(part: object, server: object) -> str:
    """The variable of a function that is to blame, in words."""
    if not isinstance(part, FunctionType):
        return ""
    variables = inspect.getclosurevars(part)
    for name, value in {**variables.nonlocals, **variables.globals}.items():
        if not _can_be_sent(value, server):
            return f"{name!r}, used by "
    return ""


def _call(order: Order) -> str:
    first = repr(order.arguments[0]) if order.arguments and isinstance(order.arguments[0], str) else "..."
    return f"{order.name.lstrip('_')}({first})"


def _shown(part: object) -> str:
    return part.__qualname__ if isinstance(part, (FunctionType, type)) else repr(part)


def _can_be_sent(part: object, server: object) -> bool:
    try:
        pack(part, server)
    except _UNSENDABLE:
        return False
    return True
