"""The baseline: a file in the user's repository, reviewed like code."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pytest_httpconc.bench.figures import COUNTS, Measurement

__all__ = [
    "FORMAT",
    "BaselineError",
    "CorruptBaselineError",
    "Entry",
    "Interval",
    "MissingBaselineError",
    "OtherFormatError",
    "UnwritableBaselineError",
    "load",
    "save",
]

#: The version of the file's format.
FORMAT: Final = 2


class BaselineError(Exception):
    """The baseline can't be used. Each kind has an exit status of its own, beyond pytest's."""

    exit_status = 11


class MissingBaselineError(BaselineError):
    """There is no such file."""

    exit_status = 10


class CorruptBaselineError(BaselineError):
    """The file can't be read, or is no baseline."""

    exit_status = 11


class OtherFormatError(BaselineError):
    """The file was written by another version."""

    exit_status = 12


class UnwritableBaselineError(BaselineError):
    """The file can't be written."""

    exit_status = 14


@dataclass(frozen=True, slots=True)
class Interval:
    """A ratio and its interval of 95 %."""

    low: float
    value: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the baseline has of one benchmark.

    Args:
        calls: in a round.
        concurrency: how many calls may go on together.
        counts: the least and the most that were seen, by name.
        ratios: by name.
        virtual_seconds: of a round on a virtual clock.
        exact_cpu: whether CPU was measured in passes of its own.
    """

    calls: int
    concurrency: int
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    ratios: Mapping[str, Interval] = field(default_factory=dict)
    virtual_seconds: float | None = None
    exact_cpu: bool = False

    @classmethod
    def of(cls, measured: Measurement, kept_ratios: tuple[str, ...]) -> Entry:
        """What is to be kept of a measurement: counts, virtual seconds, and the ratios of these names."""
        side = measured.candidate
        ratios = {n: r for n, r in measured.ratios.items() if n in kept_ratios and math.isfinite(r.error)}
        return cls(
            calls=side.calls,
            concurrency=side.concurrency,
            counts={name: (count.least, count.most) for name, count in side.certain_counts.items()},
            ratios={name: Interval(ratio.low, float(ratio), ratio.high) for name, ratio in ratios.items()},
            virtual_seconds=side.virtual_seconds,
            exact_cpu=measured.exact_cpu and "relative_cpu" in ratios,
        )

    def as_json(self) -> dict[str, Any]:
        """As the file has it."""
        entry: dict[str, Any] = {
            "calls": self.calls,
            "concurrency": self.concurrency,
            "counts": {n: least if least == most else [least, most] for n, (least, most) in self.counts.items()},
        }
        if self.ratios:
            entry["ratios"] = {n: [_short(x) for x in (r.low, r.value, r.high)] for n, r in self.ratios.items()}
        if self.exact_cpu:
            entry["exact_cpu"] = True
        if self.virtual_seconds is not None:
            entry["virtual_seconds"] = self.virtual_seconds
        return entry

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Entry:
        """As the file had it.

        Raises:
            ValueError: it is no entry, or lacks something.
        """
        unknown = set(entry["counts"]) - set(COUNTS)
        if unknown:
            raise ValueError(f"unknown counts {sorted(unknown)}")
        seconds = entry.get("virtual_seconds")
        return cls(
            calls=_whole(entry["calls"]),
            concurrency=_whole(entry["concurrency"]),
            counts={name: _range(seen) for name, seen in entry["counts"].items()},
            ratios={name: _interval(seen) for name, seen in entry.get("ratios", {}).items()},
            virtual_seconds=None if seconds is None else float(seconds),
            exact_cpu=entry.get("exact_cpu", False) is True,
        )


def load(path: Path) -> dict[str, Entry]:
    """The entries of a baseline, by the names of their benchmarks.

    Raises:
        MissingBaselineError: there is no such file.
        CorruptBaselineError: it can't be read, or is no baseline.
        OtherFormatError: it was written by another version.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingBaselineError(
            f"there is no baseline at {path}; make one by pytest --benchmark --httpconc-update-baseline, and commit it"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CorruptBaselineError(f"the baseline {path} can't be read: {error}") from error
    try:
        content = json.loads(text)
        if content["format"] != FORMAT:
            raise OtherFormatError(
                f"the baseline {path} has format {content['format']!r}, and this version reads {FORMAT}; "
                "remove it and make a new one by pytest --benchmark --httpconc-update-baseline"
            )
        return {str(name): Entry.from_json(entry) for name, entry in content["benchmarks"].items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptBaselineError(
            f"the baseline {path} is corrupt ({type(error).__name__}: {error}); restore it from version control"
        ) from error


def save(path: Path, entries: Mapping[str, Entry]) -> None:
    """Write a baseline at once or not at all.

    Raises:
        UnwritableBaselineError: it can't be written; the file is as it was.
    """
    content = {"format": FORMAT, "benchmarks": {name: entry.as_json() for name, entry in entries.items()}}
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)
    try:
        _replace(path, f"{_in_one_line(text)}\n")
    except OSError as error:
        raise UnwritableBaselineError(f"the baseline {path} can't be written: {error}") from error


def _replace(path: Path, text: str) -> None:
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(f"{path} is read-only")
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    beside = Path(name)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        beside.chmod(path.stat().st_mode if path.exists() else 0o644)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def _in_one_line(text: str) -> str:
    """The lists of numbers of an indented JSON each in one line, as a person reads them."""
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        if inside:
            word = line.strip()
            lines[-1] += f"{word} " if word.endswith(",") and not word.startswith("]") else word
        else:
            lines.append(line)
        inside = (inside or line.endswith("[")) and not line.strip().startswith("]")
    return "\n".join(lines)


def _short(number: float) -> float:
    """Four digits: what differs beyond them is noise."""
    return float(f"{number:.4g}")


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def _range(seen: object) -> tuple[int, int]:
    least, most = map(_whole, seen if isinstance(seen, list) else (seen, seen))
    if least > most:
        raise ValueError(f"{seen!r} is no range")
    return least, most


def _interval(seen: Any) -> Interval:
    low, value, high = map(float, seen)
    if not 0 < low <= value <= high < float("inf"):
        raise ValueError(f"{seen!r} is no interval")
    return Interval(low, value, high)
