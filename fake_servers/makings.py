"""How a server was made and what it was told since: enough to make it again."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

__all__ = ["Makings", "Told", "is_kept", "kept", "made"]

Method = TypeVar("Method", bound=Callable[..., Any])

_kept: set[object] = set()


@dataclass(frozen=True, slots=True)
class Told:
    """One call of a method, with its arguments by name."""

    method: str
    arguments: dict[str, Any]


@dataclass(slots=True)
class Makings:
    """The arguments that a server was made with, and the calls that have set what it answers, in order."""

    arguments: dict[str, Any]
    told: list[Told] = field(default_factory=list)


def made(init: Method) -> Method:
    """Keep the arguments of ``__init__`` in ``makings``; where a class calls that of its base, those of the class."""
    positions = list(inspect.signature(init).parameters)[1:]

    @functools.wraps(init)
    def making(self: Any, *args: Any, **kwargs: Any) -> None:
        if not hasattr(self, "makings"):
            self.makings = Makings(dict(zip(positions, args, strict=False)) | kwargs)
        init(self, *args, **kwargs)

    return cast(Method, making)


def kept(method: Method) -> Method:
    """Keep the calls of a method that sets what a server answers, those that succeed."""
    signature = inspect.signature(method)

    @functools.wraps(method)
    def telling(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = method(self, *args, **kwargs)
        arguments = dict(signature.bind(self, *args, **kwargs).arguments)
        del arguments["self"]
        self.makings.told.append(Told(method.__name__, arguments))
        return result

    _kept.add(telling)
    return cast(Method, telling)


def is_kept(method: object) -> bool:
    """Whether the calls of a method are kept, so that they can be made again."""
    return method in _kept
