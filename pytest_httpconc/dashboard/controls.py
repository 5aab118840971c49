"""What a page may change of a server: inject a fault or a delay, take it back, begin anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Final

from fake_servers import FakeServer, Injection, ScenarioError
from fake_servers.phrases import read_fault, read_latency

__all__ = ["Controls"]

_WHAT: Final = ("fault", "delay")
_READ: Final[dict[str, Callable[[str], Any]]] = {
    "fault": read_fault,
    "delay": read_latency,
    "on": str,
    "times": int,
    "after": int,
    "probability": float,
}


class Controls:
    """Changes one server, in the words of the command line, from any thread.

    Args:
        server: it runs.
    """

    def __init__(self, server: FakeServer) -> None:
        self._server = server
        self._numbered: list[Injection] = []
        self._lock = Lock()

    @property
    def may_inject(self) -> bool:
        """Whether injections count: in a replay, all that goes wrong was decided before."""
        return not self._server.is_decided

    def listed(self) -> list[dict[str, Any]]:
        """What is injected now, each with a number that it keeps."""
        with self._lock:
            return [{"number": self._number(i), "text": _in_words(i)} for i in self._server.scenario.injections]

    def inject(self, given: Mapping[str, Any]) -> None:
        """Inject what a form says: texts, by the names of the command line's options; what is empty is left out.

        Raises:
            ScenarioError: it makes no sense.
        """
        if not self.may_inject:
            raise ScenarioError("what goes wrong was recorded, and is replayed; an injection would count for nothing")
        said = {name: _read(name, text) for name, text in given.items() if text != ""}
        when = {name: value for name, value in said.items() if name not in _WHAT}
        if not said.keys() & set(_WHAT):
            raise ScenarioError("give a fault, as in Disconnect(at=EXECUTED), or a delay, as in 0.05")
        with self._lock:
            if "fault" in said:
                self._server.inject(said["fault"], **when)
            if "delay" in said:
                self._server.delay(said["delay"], **when)

    def take_back(self, number: int) -> None:
        """Take an injection back, by the number that `listed` has; one that is gone is no error."""
        with self._lock:
            if 0 <= number < len(self._numbered):
                self._server.take_back(self._numbered[number])

    def reset(self) -> None:
        """Forget the ledger and what was injected."""
        with self._lock:
            self._server.reset()

    def _number(self, injection: Injection) -> int:
        number = next((n for n, known in enumerate(self._numbered) if known is injection), None)
        if number is None:
            number = len(self._numbered)
            self._numbered.append(injection)
        return number


def _read(name: str, text: object) -> Any:
    if name not in _READ or not isinstance(text, str):
        raise ScenarioError(f"{name}={text!r} is not known; allowed are texts for {', '.join(_READ)}")
    try:
        return _READ[name](text.strip())
    except ScenarioError:
        raise
    except ValueError:
        raise ScenarioError(f"{name}={text!r} is no number") from None


def _in_words(injection: Injection) -> str:
    what = injection.fault if injection.latency is None else f"delay {injection.latency}"
    parts = [f"{what} on {injection.on}"]
    if injection.times is not None:
        parts.append(f"times={injection.times}")
    if injection.after:
        parts.append(f"after={injection.after}")
    if injection.probability < 1:
        parts.append(f"probability={injection.probability:g}")
    return ", ".join(parts)
