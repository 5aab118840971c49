"""Where it is told what goes on: lines of text, a terminal in colours, or lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Any, Final, Protocol

from fake_servers import Exchange, FakeServer, FakeServerError
from pytest_httpconc.live.judging import Summary
from pytest_httpconc.live.words import Part, Tone, error_in_words, exchange_in_words, in_plain, state_in_words
from pytest_httpconc.report.lanes import Bar

__all__ = ["JsonLog", "Log", "PlainLog", "TerminalLog"]

_AT_ONCE: Final = 200  # lines: more than a screen has


class Log(Protocol):
    """Told what goes on, as it goes on; a context manager, which gives back what it has taken."""

    def begin(self, servers: Sequence[FakeServer], header: Sequence[str]) -> None:
        """These servers are served, and these lines say how to use them."""
        ...

    def tell(self, server: FakeServer, exchanges: Sequence[Exchange]) -> None:
        """These exchanges are over."""
        ...

    def tell_error(self, server: FakeServer, error: FakeServerError) -> None:
        """This has gone wrong in a server itself."""
        ...

    def show_state(self, servers: Sequence[FakeServer]) -> None:
        """A while has passed."""
        ...

    def end(self, summaries: Sequence[Summary]) -> None:
        """It is over."""
        ...

    def __enter__(self) -> Log: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class PlainLog:
    """Lines of text.

    Args:
        say: takes each line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._has_several = False

    def begin(self, servers: Sequence[FakeServer], header: Sequence[str]) -> None:
        self._has_several = len(servers) > 1
        for line in header:
            self._say(line)

    def tell(self, server: FakeServer, exchanges: Sequence[Exchange]) -> None:
        for exchange in exchanges:
            self._say(in_plain(exchange_in_words(exchange, url=self.named(server))))

    def tell_error(self, server: FakeServer, error: FakeServerError) -> None:
        self._say(in_plain(error_in_words(error, url=self.named(server))))

    def named(self, server: FakeServer) -> str:
        """How a line names a server: not at all where there is one alone."""
        return server.url if self._has_several else ""

    def show_state(self, servers: Sequence[FakeServer]) -> None:
        """Say nothing: there is nothing that a line could replace."""

    def end(self, summaries: Sequence[Summary]) -> None:
        for summary in summaries:
            for line in summary.lines():
                self._say(line)

    def __enter__(self) -> PlainLog:
        return self

    def __exit__(self, *exit_: object) -> None:
        """There is nothing to give back."""


class JsonLog(PlainLog):
    """Lines of JSON: ``serving``, each ``exchange`` and ``error``, ``ended``; instants are seconds since the start."""

    def begin(self, servers: Sequence[FakeServer], header: Sequence[str]) -> None:
        serving = [{"kind": type(server).__name__, "url": server.url} for server in servers]
        self._write(serving=serving, header=list(header))

    def tell(self, server: FakeServer, exchanges: Sequence[Exchange]) -> None:
        for exchange in exchanges:
            self._write(server=server.url, exchange=asdict(Bar.of(exchange, server.started_at)))

    def tell_error(self, server: FakeServer, error: FakeServerError) -> None:
        self._write(server=server.url, error=str(error))

    def end(self, summaries: Sequence[Summary]) -> None:
        self._write(ended=[summary.as_dict() for summary in summaries])

    def _write(self, **content: Any) -> None:
        self._say(json.dumps(content))


_STYLES: Final = {
    Tone.PLAIN: "",
    Tone.QUIET: "dim",
    Tone.GOOD: "green",
    Tone.BAD: "bold red",
    Tone.FAULT: "yellow",
}


class TerminalLog:
    """A terminal: lines in colours, and below them how it stands."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False)
        self._plain = PlainLog(lambda line: self._console.print(line, markup=False, soft_wrap=True))
        self._state = ""

    def begin(self, servers: Sequence[FakeServer], header: Sequence[str]) -> None:
        self._plain.begin(servers, header)
        self._live.start()

    def tell(self, server: FakeServer, exchanges: Sequence[Exchange]) -> None:
        if len(exchanges) > _AT_ONCE:
            self._console.print(f"... {len(exchanges) - _AT_ONCE:,} exchanges, too many at once to be read")
        for exchange in exchanges[-_AT_ONCE:]:
            self._print(exchange_in_words(exchange, url=self._plain.named(server)))

    def tell_error(self, server: FakeServer, error: FakeServerError) -> None:
        self._print(error_in_words(error, url=self._plain.named(server)))

    def _print(self, parts: Sequence[Part]) -> None:
        from rich.text import Text

        self._console.print(Text.assemble(*((part.text, _STYLES[part.tone]) for part in parts)), soft_wrap=True)

    def show_state(self, servers: Sequence[FakeServer]) -> None:
        state = state_in_words(servers)
        if state != self._state:
            self._state = state
            self._live.update(state, refresh=True)

    def end(self, summaries: Sequence[Summary]) -> None:
        self._live.stop()
        self._plain.end(summaries)

    def __enter__(self) -> TerminalLog:
        return self

    def __exit__(self, *exit_: object) -> None:
        self._live.stop()
