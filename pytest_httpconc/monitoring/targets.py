"""What is monitored: a port, or a process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from fake_servers.errors import ScenarioError

__all__ = ["Target", "parse"]

Kind = Literal["port", "pid"]
_LAST_PORT: Final = 65535
_MOST_DIGITS: Final = 9  #: that surely fit into a C int, as system calls take it; ids of processes stay below


@dataclass(frozen=True, slots=True)
class Target:
    """A port of any machine's, or a process of this one with its children.

    Args:
        kind: which of the two.
        number: the port, 1 to 65535, or the process's id.
    """

    kind: Kind
    number: int

    def __str__(self) -> str:
        return f"port {self.number}" if self.kind == "port" else f"process {self.number}"


def parse(text: str, *, in_use: Callable[[int], bool], is_process: Callable[[int], bool]) -> Target:
    """Read ``"9527"``, ``"port:9527"`` or ``"pid:4711"``.

    A number alone is a port, unless nobody uses that and there is such a process.

    Args:
        text: what the user has written.
        in_use: whether something listens on a port or is connected to it.
        is_process: whether there is a process with this id.

    Raises:
        ScenarioError: it is neither, or there is no such process.
    """
    kind, colon, digits = text.partition(":") if ":" in text else ("", "", text)
    number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS else 0
    is_port = 1 <= number <= _LAST_PORT
    if number < 1 or kind not in {"", "port", "pid"} or (kind == "port" and not is_port):
        raise ScenarioError(
            f"{text!r} is neither a port nor a process; allowed are 1 to {_LAST_PORT} and ids of processes, as in "
            "9527, port:9527 or pid:4711"
        )
    if kind == "port" or (not colon and is_port and (in_use(number) or not is_process(number))):
        return Target("port", number)
    if not is_process(number):
        raise ScenarioError(f"there is no process {number}; ports are 1 to {_LAST_PORT}, as in 9527")
    return Target("pid", number)
