"""Better or same, worse, or inconclusive: what a measurement is beside its baseline. Pure functions of figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fake_servers.words import Word
from pytest_httpconc.bench.baseline import Entry, Interval
from pytest_httpconc.bench.figures import Comparison, Figures, Measurement
from pytest_httpconc.bench.stats import Count, Ratio

__all__ = [
    "KEPT_RATIOS",
    "UNCERTAIN",
    "Judgement",
    "Regression",
    "Verdict",
    "judge",
    "judge_beside",
    "judge_ratio",
    "overall",
]

#: What a ratio must be worse by to matter, as a factor: CPU is the client's alone; time is the machine's as well.
_MARGINS: Final = {"relative_cpu": 1.15, "speedup": 2.0}
#: The same for CPU that was not measured in passes: threads and cold caches make it another from one state of a machine
#: to the next, by up to a third.
_MARGIN_OF_ROUNDS: Final = 1.5
#: The same for two revisions whose rounds took turns: their noise is one, so that less time matters.
_MARGINS_BESIDE: Final = {"cpu": 1.12, "seconds": 1.25}
#: The ratios that a baseline keeps: those that are judged, and what tells the state of the machine.
KEPT_RATIOS: Final = (*_MARGINS, "waking")
#: What waking may differ by in the same state of a machine, as a factor.
_SAME_WAKING: Final = 1.1
#: The part of the reference's cost of waiting that a request of the candidate's has too. It was measured: with 0.5 to 1
#: of it the CPU of requests, httpx and aiohttp was most alike on a quiet machine and a busy one.
_WAKING_SHARED: Final = 0.7
_CPU_IS_MISSING: Final = (
    "its CPU is not compared any more: calls wait for something else than their server's answers, or for each other"
)
#: The part of a margin from which more rounds are spent on whether a change matters.
_PART_THAT_MAY_MATTER: Final = 0.25
#: The figures that more rounds can make clearer.
UNCERTAIN: Final = frozenset({*_MARGINS, *_MARGINS_BESIDE})
#: What depends on which call is quicker: it is judged by what a round typically shows.
_BY_CHANCE: Final = frozenset({"connections", "opened"})
_SENTENCES: Final = {
    "connections": "{calls} calls now open {now} connections, baseline {then}",
    "opened": "{calls} calls now open {now} connections anew in every round, baseline {then}",
    "executions": "{calls} calls are now executed {now} times, baseline {then}",
    "resends": "{calls} calls now send {now} requests again after a failure, baseline {then}",
    "requests": "{calls} calls now send {now} requests, baseline {then}",
    "peak_in_flight": "{now} of {calls} calls now go on together at the most, baseline {then}",
}
_FEWER_IS_WORSE: Final = frozenset({"peak_in_flight", "requests", "executions"})
_MORE_IS_WORSE: Final = frozenset(_SENTENCES) - {"peak_in_flight"}


class Verdict(Word):
    """What became of a comparison with the baseline."""

    FINE = "better or same"
    WORSE = "worse"
    UNSURE = "inconclusive"
    NEW = "new, not judged"


@dataclass(frozen=True, slots=True)
class Judgement:
    """One figure beside its baseline.

    Args:
        figure: its name in the baseline.
        verdict: what became of it.
        sentence: the same for a person.
    """

    figure: str
    verdict: Verdict
    sentence: str


class Regression(AssertionError):
    """A benchmark is worse than its baseline."""

    def __init__(self, judgements: tuple[Judgement, ...], evidence: str) -> None:
        first, *others = (j.sentence for j in judgements if j.verdict is Verdict.WORSE)
        super().__init__(
            "\n".join([first, *(f"  {other}" for other in others), *(f"  {e}" for e in evidence.splitlines())])
        )


def judge(measured: Measurement, stored: Entry | None) -> tuple[Judgement, ...]:
    """Every figure of a measurement beside its baseline, the most telling first.

    A count is worse when it leaves the range that was seen. For ratios see `judge_ratio`.
    """
    side = measured.candidate
    if stored is None:
        return (Judgement("benchmark", Verdict.NEW, "it is not in the baseline"),)
    if (side.calls, side.concurrency) != (stored.calls, stored.concurrency):
        sentence = (
            f"it is not what its baseline was: {side.calls} calls, {side.concurrency} together; "
            f"baseline {stored.calls}, {stored.concurrency}"
        )
        return (Judgement("benchmark", Verdict.NEW, sentence),)
    return (*_judge_counts(side, stored), *_judge_time(side, stored), *_judge_ratios(measured, stored))


def judge_beside(measured: Comparison, label: str) -> tuple[Judgement, ...]:
    """Every figure of one revision beside another's, whose rounds took turns with its own.

    Args:
        measured: the later revision's, beside the earlier one's.
        label: of the earlier one.
    """
    side, stored = measured.candidate, Entry.of(Measurement(candidate=measured.baseline), ())
    return (*_judge_counts(side, stored), *_judge_time(side, stored), *_judge_revisions(measured, label))


def _judge_revisions(measured: Comparison, label: str) -> Iterator[Judgement]:
    if measured.candidate.virtual_seconds is not None:
        return
    longer = _turned(Interval(measured.speedup.low, measured.speedup, measured.speedup.high))
    cpu = Interval(measured.cpu.low, measured.cpu, measured.cpu.high)
    same = Interval(1.0, 1.0, 1.0)
    for name, now, what in (("cpu", cpu, "of the client's CPU"), ("seconds", longer, "time")):
        change = (now.value - 1) * 100
        sentence = (
            f"a call now takes {abs(change):.0f} % {'more' if change >= 0 else 'less'} {what} than in {label} "
            f"({now.low:.2f} to {now.high:.2f} times)"
        )
        yield Judgement(name, judge_ratio(now, same, _MARGINS_BESIDE[name]), sentence)


def overall(judgements: tuple[Judgement, ...]) -> Verdict:
    """The verdict on a benchmark: its worst."""
    found = {judgement.verdict for judgement in judgements}
    return next((v for v in (Verdict.WORSE, Verdict.NEW, Verdict.UNSURE) if v in found), Verdict.FINE)


def _judge_counts(side: Figures, stored: Entry) -> Iterator[Judgement]:
    counts = side.certain_counts
    for name, sentence in _SENTENCES.items():
        if name not in counts or name not in stored.counts:
            continue
        count, (least, most) = counts[name], stored.counts[name]
        now = str(count.typical) if name in _BY_CHANCE else str(count)
        then = str(Count(stored.counts[name]))
        verdict = Verdict.WORSE if _is_worse(name, count, least, most) else Verdict.FINE
        yield Judgement(name, verdict, sentence.format(calls=side.calls, now=now, then=then))


def _is_worse(name: str, count: Count, least: int, most: int) -> bool:
    low, high = (count.typical, count.typical) if name in _BY_CHANCE else (count.least, count.most)
    return (name in _MORE_IS_WORSE and high > most) or (name in _FEWER_IS_WORSE and low < least)


def _judge_time(side: Figures, stored: Entry) -> Iterator[Judgement]:
    now, then = side.virtual_seconds, stored.virtual_seconds
    if now is not None and then is not None:
        verdict = Verdict.WORSE if now > then else Verdict.FINE
        yield Judgement(
            "virtual_seconds", verdict, f"{side.calls} calls now take {now:g} virtual seconds, baseline {then:g}"
        )


def _judge_ratios(measured: Measurement, stored: Entry) -> Iterator[Judgement]:
    for name, margin in _MARGINS.items():
        now, then = measured.ratios.get(name), stored.ratios.get(name)
        if then is None:
            continue
        if now is None:
            if name == "relative_cpu":
                yield Judgement(name, Verdict.UNSURE, _CPU_IS_MISSING)
            continue
        if name == "speedup":
            sentence = (
                f"the candidate is now {now} times as fast as the side it is compared with, baseline {then.value:.2f}"
            )
            worse_now, worse_then = _turned(Interval(now.low, now, now.high)), _turned(then)
        else:
            is_exact = measured.exact_cpu and stored.exact_cpu
            worse_now = Interval(now.low, now, now.high)
            worse_then = _in_state_of(measured, stored) if is_exact else then
            sentence = _cpu_sentence(now, then, worse_then)
            if not is_exact:
                margin = _MARGIN_OF_ROUNDS
        verdict = judge_ratio(worse_now, worse_then, margin)
        if name == "relative_cpu" and verdict is Verdict.WORSE:
            excuse = _excuse(measured, stored)
            if judge_ratio(worse_now, worse_then, margin * excuse) is not Verdict.WORSE:
                verdict, sentence = Verdict.UNSURE, f"{sentence}; {_waking_sentence(measured, stored)}"
        yield Judgement(name, verdict, sentence)


def _in_state_of(measured: Measurement, stored: Entry) -> Interval:
    """What a baseline's relative CPU would be, were it measured in the machine's state of now.

    In units of the reference's work, `waking` is that work and what waiting adds to a call. A request of the
    candidate's waits as well. Relative CPU is in units of such a call and of its work once more.
    """
    relative = stored.ratios["relative_cpu"]
    now, then = measured.ratios.get("waking"), stored.ratios.get("waking")
    if now is None or then is None or then.value <= 1:
        return relative
    in_work = relative.value * (then.value + 1)
    requests = measured.candidate.requests.typical / measured.candidate.calls
    waiting = min(in_work, _WAKING_SHARED * requests * (then.value - 1))
    as_now = in_work + waiting * ((max(now, 1.0) - 1) / (then.value - 1) - 1)
    factor = as_now / in_work * (then.value + 1) / (now + 1)
    return Interval(relative.low * factor, relative.value * factor, relative.high * factor)


def _excuse(measured: Measurement, stored: Entry) -> float:
    """What a machine in another state than the baseline's may change relative CPU by, as a factor.

    Waking is part of the reference's CPU and of the candidate's. Were it no part of the candidate's, the ratio of the
    two would change as waking does; were it all of it, by as much again for each time that the reference is dearer.
    """
    now, then = measured.ratios.get("waking"), stored.ratios.get("waking")
    relative = stored.ratios["relative_cpu"].value
    if now is None or then is None:
        return 1.0
    differs = max(now / then.value, then.value / now) / _SAME_WAKING
    return 1 + max(0.0, differs - 1) * max(1.0, 1 / relative)


def _waking_sentence(measured: Measurement, stored: Entry) -> str:
    now, then = measured.ratios["waking"], stored.ratios["waking"]
    return (
        f"but the machine is in another state: waiting and being woken make a call {now:.2f} times as dear as "
        f"its work, baseline {then.value:.2f}"
    )


def judge_ratio(now: Interval, then: Interval, margin: float) -> Verdict:
    """A ratio beside its baseline, more being worse.

    Args:
        now: what was measured.
        then: what the baseline has.
        margin: the factor from which a change matters, above 1.
    """
    change = now.value / then.value
    if change >= margin and now.low > then.high:
        return Verdict.WORSE
    could_matter = now.high / then.value >= margin and change > 1 + (margin - 1) * _PART_THAT_MAY_MATTER
    return Verdict.UNSURE if change >= margin or could_matter else Verdict.FINE


def _turned(interval: Interval) -> Interval:
    return Interval(1 / interval.high, 1 / interval.value, 1 / interval.low if interval.low else float("inf"))


def _cpu_sentence(now: Ratio, then: Interval, as_now: Interval) -> str:
    change = (now / as_now.value - 1) * 100
    was, would_be = f"{then.value:.2f}", f"{as_now.value:.2f}"
    state = "" if was == would_be else f", which would be {would_be} in this state of the machine"
    return (
        f"a call now takes {abs(change):.0f} % {'more' if change >= 0 else 'less'} of the client's CPU than in the "
        f"baseline: {now} times the reference's, baseline {was}{state}"
    )
