"""What crosses to a server in another process: how it was made, what it is told and what it is asked.

A server that is to run elsewhere keeps how it was made, and every call that has set something since. Made again there
and told the same, it is in the same state; from then on each such call is made on both sides.
"""

from __future__ import annotations

import functools
from abc import ABCMeta
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import RLock
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

__all__ = ["Asked", "Crosses", "Crossing", "Elsewhere", "Order", "asked", "told"]

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Value = TypeVar("Value")
Server = TypeVar("Server", bound="Crosses")


@dataclass(frozen=True, slots=True)
class Order:
    """A call of one of a server's methods; one that ``lasts`` outlives a reset."""

    name: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    lasts: bool = False


class Elsewhere(Protocol):
    """The processes that a server runs in."""

    def prepare(self, order: Order) -> Callable[[], object]:
        """Make sure that an order can be sent; what is returned has every one of them carry it out."""
        ...

    def ask(self, name: str) -> list[Any]:
        """What each of them has to say under a property's name."""
        ...

    def tapped(self) -> AbstractContextManager[Mapping[int, bytearray]]:
        """Have the bytes that are sent kept, during a ``with`` block."""
        ...


class Crossing:
    """A server's side of a crossing: how it was made, and what it was told since."""

    def __init__(self, kind: type, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.made = (kind, arguments, options)
        self.orders: list[Order] = []
        self.elsewhere: Elsewhere | None = None
        self.last_words: dict[str, list[Any]] = {}
        self.lock = RLock()  #: held while something is told
        self._is_telling = False

    def tell(self, order: Order, here: Callable[[], Result], *, forgets: bool) -> Result:
        """Carry an order out on this side, which checks it, and then on the other; those within it go along."""
        with self.lock:
            if self._is_telling:
                return here()
            self._is_telling = True
            try:
                send = None if self.elsewhere is None else self.elsewhere.prepare(order)
                result = here()
                if send is not None:
                    send()
            finally:
                self._is_telling = False
            self.orders = [o for o in self.orders if o.lasts] if forgets else [*self.orders, order]
            return result

    def ask(self, name: str) -> list[Any]:
        """What the other side says, or has said at last; nothing, if it was never there."""
        if self.elsewhere is not None:
            return self.elsewhere.ask(name)
        return self.last_words.get(name, [])


class _Kind(ABCMeta):
    """Kinds of servers; each server that is to cross keeps how it was made, once it is made to the end."""

    def __call__(cls, *arguments: Any, **options: Any) -> Any:
        server = super().__call__(*arguments, **options)
        if server._is_to_cross:
            server._crossing = Crossing(cls, *server._as_made(arguments, options))
        return server


class Crosses(metaclass=_Kind):
    """What can be made again in another process."""

    _is_to_cross = False
    _crossing: Crossing | None = None

    def _as_made(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments that it was made with, as they can cross."""
        return arguments, options


def told(
    *, lasts: bool = False, forgets: bool = False
) -> Callable[[Callable[Concatenate[Server, Parameters], Result]], Callable[Concatenate[Server, Parameters], Result]]:
    """Have a method that sets something set it where the server runs as well; its arguments cross as copies.

    Args:
        lasts: whether it outlives a reset.
        forgets: whether it is a reset.
    """

    def decorate(
        method: Callable[Concatenate[Server, Parameters], Result],
    ) -> Callable[Concatenate[Server, Parameters], Result]:
        @functools.wraps(method)
        def tell(server: Server, /, *arguments: Parameters.args, **options: Parameters.kwargs) -> Result:
            if server._crossing is None:
                return method(server, *arguments, **options)
            order = Order(method.__name__, arguments, options, lasts)
            return server._crossing.tell(order, lambda: method(server, *arguments, **options), forgets=forgets)

        return tell

    return decorate


class Asked(Generic[Value]):
    """A property whose value is where the server runs."""

    def __init__(self, read: Callable[[Any], Value], merge: Callable[[list[Value]], Value] | None = None) -> None:
        self.__doc__ = read.__doc__
        self._read = read
        self._merge = merge

    @staticmethod
    def names(kind: type) -> set[str]:
        """The names of all such properties of a class."""
        return {name for base in kind.__mro__ for name, value in vars(base).items() if isinstance(value, Asked)}

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, server: None, owner: type) -> Asked[Value]: ...
    @overload
    def __get__(self, server: Crosses, owner: type) -> Value: ...
    def __get__(self, server: Crosses | None, owner: type) -> Value | Asked[Value]:
        if server is None:
            return self
        answers: list[Value] = [] if server._crossing is None else server._crossing.ask(self._name)
        if not answers:
            return self._read(server)
        return answers[0] if self._merge is None else self._merge(answers)


@overload
def asked(read: Callable[[Any], Value]) -> Asked[Value]: ...
@overload
def asked(*, merge: Callable[[list[Value]], Value]) -> Callable[[Callable[[Any], Value]], Asked[Value]]: ...
def asked(
    read: Callable[[Any], Value] | None = None, *, merge: Callable[[list[Value]], Value] | None = None
) -> Asked[Value] | Callable[[Callable[[Any], Value]], Asked[Value]]:
    """A property whose value is where the server runs; of several processes the first one's, or ``merge`` of all."""
    if read is not None:
        return Asked(read)
    return lambda read: Asked(read, merge)
