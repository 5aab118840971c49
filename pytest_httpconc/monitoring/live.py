"""What is seen, as tables in a terminal that are drawn again at each look."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Final

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pytest_httpconc.monitoring.lines import Lines, counted, in_words, remarks
from pytest_httpconc.monitoring.trend import Trend
from pytest_httpconc.monitoring.watch import Seen

__all__ = ["Tables"]

_STEPS: Final = "▁▂▃▄▅▆▇█"
_STYLES: Final = {Trend.LEAK: "bold red", Trend.LEVEL: "green", Trend.FILLING: "yellow", Trend.UNKNOWN: "dim"}
_COLUMNS: Final = ("held by", "side", "port", "held", "states")
_ROWS_AROUND: Final = 5  #: lines that a target takes besides its holders


class Tables:
    """A table for each target, for a ``with`` block; at the end, the last ones stay.

    Args:
        console: the terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> Tables:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def show(self, seen: Sequence[Seen]) -> None:
        """Draw an instant."""
        most = max(1, self._console.height // len(seen) - _ROWS_AROUND)
        self._live.update(Group(*(_table(one, most) for one in seen)), refresh=True)

    def end(self, seen: Sequence[Seen]) -> None:
        """Tell what came of it, below the tables."""
        self._live.stop()
        Lines(lambda line: self._console.print(line, highlight=False, markup=False), clock=str).end(seen)


def _table(seen: Seen, most: int) -> Table:
    title = Text.assemble(
        (str(seen.target), "bold"),
        f"  {seen.now.held} held, peak {seen.peak}  ",
        (in_words(seen), _STYLES[seen.verdict.trend]),
        f"\n{sparkline(seen.recent)}",
    )
    table = Table(
        *_COLUMNS, title=title, title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD, expand=True
    )
    table.columns[-1].ratio = 1
    for holder in seen.now.holders[:most]:
        cells = (holder.name, holder.side, str(holder.port), str(holder.held), counted(holder.states))
        table.add_row(*map(Text, cells))  # as names of processes may look like markup
    if len(seen.now.holders) > most:
        table.add_row(f"and {len(seen.now.holders) - most} more")
    table.caption = Text("\n".join(remarks(seen)), style="table.caption")
    return table


def sparkline(counts: Sequence[int]) -> str:
    """Counts as a row of bars, the greatest the highest."""
    top = max(counts, default=0) or 1
    return "".join(_STEPS[count * (len(_STEPS) - 1) // top] for count in counts)
