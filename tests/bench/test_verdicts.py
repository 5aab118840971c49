"""Verdicts on figures made by hand."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from pytest_httpconc.bench.baseline import Entry, Interval
from pytest_httpconc.bench.figures import Figures, Measurement, beside
from pytest_httpconc.bench.stats import Ratio
from pytest_httpconc.bench.verdicts import KEPT_RATIOS, Regression, Verdict, judge, judge_beside, judge_ratio, overall

COUNTS = {"requests": 10, "executions": 10, "resends": 0, "connections": 2, "opened": 0, "peak_in_flight": 2}


def entry(**given):
    counts = {name: seen if isinstance(seen, tuple) else (seen, seen) for name, seen in {**COUNTS, **given}.items()}
    return Entry(calls=10, concurrency=2, counts=counts)


def worse(judgements):
    return [judgement.sentence for judgement in judgements if judgement.verdict is Verdict.WORSE]


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        ({"connections": 10}, "10 calls now open 10 connections, baseline 2"),
        ({"opened": 10}, "10 calls now open 10 connections anew in every round, baseline 0"),
        ({"executions": 11}, "10 calls are now executed 11 times, baseline 10"),
        ({"executions": 9}, "10 calls are now executed 9 times, baseline 10"),
        ({"resends": 1}, "10 calls now send 1 requests again after a failure, baseline 0"),
        ({"requests": 20}, "10 calls now send 20 requests, baseline 10"),
        ({"peak": 1}, "1 of 10 calls now go on together at the most, baseline 2"),
    ],
)
def test_count_that_is_worse_is_a_sentence(measured, given_, sentence):
    judgements = judge(measured(**given_), entry())
    assert worse(judgements) == [sentence]
    assert str(Regression(judgements, "evidence")).splitlines() == [sentence, "  evidence"]


@pytest.mark.parametrize("given_", [{}, {"connections": 1}, {"peak": 3}])
def test_count_that_is_the_same_or_better_is_fine(measured, given_):
    assert overall(judge(measured(**given_), entry())) is Verdict.FINE


@given(least=some.integers(0, 50), span=some.integers(0, 50), now=some.integers(0, 120))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_count_is_judged_against_the_range_that_was_seen(measured, least, span, now):
    found = worse(judge(measured(resends=now), entry(resends=(least, least + span))))
    assert bool(found) == (now > least + span)


def test_one_odd_round_of_what_chance_decides_is_not_worse(a_round):
    from pytest_httpconc.bench.figures import Figures, Measurement

    rounds = [a_round(), a_round(opened=1, connections=3), a_round()]
    one = Measurement(candidate=Figures.of(rounds, concurrency=2, peak=2))
    assert overall(judge(one, entry())) is Verdict.FINE


def test_peak_that_nothing_proves_is_not_judged(measured):
    assert overall(judge(measured(peak=0, peak_in_flight=1), entry())) is Verdict.FINE


def test_virtual_seconds_are_exact(measured):
    stored = Entry(calls=10, concurrency=2, virtual_seconds=600.0)
    assert worse(judge(measured(seconds=600.001, virtual=True), stored)) == [
        "10 calls now take 600.001 virtual seconds, baseline 600"
    ]
    assert overall(judge(measured(seconds=600.0, virtual=True), stored)) is Verdict.FINE


def test_more_cpu_says_how_much(measured):
    stored = Entry(calls=10, concurrency=2, ratios={"relative_cpu": Interval(1.95, 2.0, 2.05)}, exact_cpu=True)
    (sentence,) = worse(judge(measured(relative_cpu=Ratio(2.4, 2.3, 2.5)), stored))
    assert sentence.startswith("a call now takes 20 % more of the client's CPU than in the baseline")


def test_cpu_that_can_not_be_compared_any_more_is_told(measured):
    stored = Entry(calls=10, concurrency=2, ratios={"relative_cpu": Interval(0.99, 1.0, 1.01)})
    *_, found = judge(measured(), stored)
    assert (found.figure, found.verdict) == ("relative_cpu", Verdict.UNSURE)
    assert "not compared any more" in found.sentence


@pytest.mark.parametrize(("relative", "verdict"), [(1.4, Verdict.FINE), (1.6, Verdict.WORSE)])
def test_cpu_of_rounds_that_wait_matters_from_half_as_much_again(measured, relative, verdict):
    cpu = Ratio(relative, relative, relative)

    def verdict_of(*, exact_now, exact_then):
        ratios = {"relative_cpu": Interval(0.99, 1.0, 1.01)}
        stored = Entry(calls=10, concurrency=2, ratios=ratios, exact_cpu=exact_then)
        return overall(judge(measured(relative_cpu=cpu, exact_cpu=exact_now), stored))

    assert verdict_of(exact_now=True, exact_then=True) is Verdict.WORSE
    assert verdict_of(exact_now=False, exact_then=True) is verdict
    assert verdict_of(exact_now=True, exact_then=False) is verdict


@pytest.mark.parametrize(
    ("now", "relative", "verdict"),
    [
        (2.0, 1.3, Verdict.WORSE),  # as in the baseline
        (2.2, 1.3, Verdict.WORSE),  # about as there
        (3.0, 1.3, Verdict.UNSURE),
        (1.4, 1.3, Verdict.UNSURE),  # a quieter machine is another, too
        (3.0, 1.9, Verdict.WORSE),  # more than all of it can explain
        (None, 1.3, Verdict.WORSE),
    ],
)
def test_more_cpu_on_a_machine_in_another_state_is_inconclusive(measured, now, relative, verdict):
    stored = Entry(
        calls=10,
        concurrency=2,
        ratios={"relative_cpu": Interval(0.99, 1.0, 1.01), "waking": Interval(1.95, 2.0, 2.05)},
        exact_cpu=True,
    )
    waking = None if now is None else Ratio(now, now, now)
    *_, found = judge(measured(relative_cpu=Ratio(relative, relative, relative), waking=waking), stored)
    assert found.verdict is verdict
    assert ("the machine is in another state" in found.sentence) == (verdict is Verdict.UNSURE)


def test_request_that_wakes_as_the_reference_does_is_not_worse_where_waking_is_dearer(measured):
    """C = 1, W = 2 and Y = 1 before; then waking costs 0.2 more, of which the candidate has its part."""
    ratios = {"relative_cpu": Interval(0.33, 1 / 3, 0.34), "waking": Interval(1.95, 2.0, 2.05)}
    stored = Entry(calls=10, concurrency=2, ratios=ratios, exact_cpu=True)

    def verdict(cpu, *, waking):
        relative = cpu / (waking + 1)
        *_, found = judge(
            measured(relative_cpu=Ratio(relative, relative, relative), waking=Ratio(waking, waking, waking)), stored
        )
        return found.verdict

    assert verdict(1.0, waking=2.0) is verdict(1.14, waking=2.2) is Verdict.FINE
    assert verdict(1.14 * 1.2, waking=2.2) is verdict(1.2, waking=2.0) is Verdict.WORSE
    assert verdict(1.2, waking=1.9) is Verdict.WORSE


def test_state_of_the_machine_excuses_a_call_that_is_cheaper_than_the_reference_for_more(measured):
    def verdict(relative, times):
        ratios = {"relative_cpu": Interval(relative, relative, relative), "waking": Interval(2.0, 2.0, 2.0)}
        stored = Entry(calls=10, concurrency=2, ratios=ratios, exact_cpu=True)
        dearer = Ratio(*[relative * times] * 3)
        return overall(judge(measured(relative_cpu=dearer, waking=Ratio(2.6, 2.6, 2.6)), stored))

    assert verdict(0.2, times=2) is Verdict.UNSURE
    assert verdict(2.0, times=1.5) is Verdict.WORSE
    assert verdict(0.001, times=1.5) is Verdict.FINE  # all of it is waiting


def test_less_cpu_is_fine(measured):
    stored = Entry(calls=10, concurrency=2, ratios={"relative_cpu": Interval(1.95, 2.0, 2.05)}, exact_cpu=True)
    assert overall(judge(measured(relative_cpu=Ratio(1.0, 0.9, 1.1)), stored)) is Verdict.FINE


@pytest.mark.parametrize(
    ("low", "value", "high", "verdict"),
    [
        (0.98, 1.0, 1.02, Verdict.FINE),
        (1.06, 1.08, 1.09, Verdict.FINE),  # significant, and too small to matter
        (0.8, 1.02, 1.3, Verdict.FINE),
        (0.9, 1.15, 1.3, Verdict.UNSURE),  # large enough, and not significant
        (1.0, 1.09, 1.2, Verdict.UNSURE),  # it may well matter
        (1.15, 1.2, 1.25, Verdict.WORSE),
        (0.0, 1.5, float("inf"), Verdict.UNSURE),
    ],
)
def test_ratio_needs_effect_and_significance(low, value, high, verdict):
    assert judge_ratio(Interval(low, value, high), Interval(0.97, 1.0, 1.03), 1.1) is verdict


@settings(deadline=None)
@given(
    now=some.tuples(*[some.floats(0.01, 100)] * 3).map(sorted),
    then=some.tuples(*[some.floats(0.01, 100)] * 3).map(sorted),
)
def test_worse_and_better_never_both(now, then):
    verdict = judge_ratio(Interval(*now), Interval(*then), 1.1)
    turned = judge_ratio(Interval(*then), Interval(*now), 1.1)
    assert not (verdict is turned is Verdict.WORSE)


def test_lost_speedup_is_worse(a_round):
    from pytest_httpconc.bench.figures import Figures, Measurement, beside

    fast, slow = [a_round(seconds=0.1)] * 5, [a_round(seconds=1.0)] * 5
    sides = Figures.of(fast, concurrency=2, peak=2), Figures.of(slow, concurrency=2, peak=2)
    good = beside(Measurement(candidate=sides[0]), sides[1], candidate_rounds=fast, rounds=slow)
    bad = beside(Measurement(candidate=sides[1]), sides[1], candidate_rounds=slow, rounds=slow)
    stored = Entry.of(good, KEPT_RATIOS)
    assert good.speedup == 10
    assert overall(judge(good, stored)) is Verdict.FINE
    assert [j.figure for j in judge(bad, stored) if j.verdict is Verdict.WORSE] == ["speedup"]


def test_what_is_not_in_the_baseline_or_was_another_benchmark_is_not_judged(measured):
    assert overall(judge(measured(), None)) is Verdict.NEW
    (judgement,) = judge(measured(), Entry(calls=60, concurrency=20))
    assert judgement.verdict is Verdict.NEW
    assert judgement.sentence == "it is not what its baseline was: 10 calls, 2 together; baseline 60, 20"


def test_a_benchmark_is_as_bad_as_its_worst_figure(measured):
    found = judge(measured(connections=5), entry())
    assert overall(found) is Verdict.WORSE
    assert overall(found[1:]) is Verdict.FINE


@pytest.fixture
def beside_base(a_round):
    """Judge a revision's rounds beside another's, which were like `a_round`."""

    def judge_rounds(*, virtual=False, **changes):
        noise = [1 + number / 1000 for number in range(15)]

        def rounds(changed):
            usual = {"seconds": 0.1, "cpu": 0.001, **changed}
            return [a_round(**{**usual, "seconds": usual["seconds"] * n, "cpu": usual["cpu"] * n}) for n in noise]

        later, earlier = rounds(changes), rounds({})
        figures = [Figures.of(some, concurrency=2, peak=2, virtual=virtual) for some in (later, earlier)]
        compared = beside(Measurement(candidate=figures[0]), figures[1], candidate_rounds=later, rounds=earlier)
        return {j.figure: j for j in judge_beside(compared, "main") if j.verdict is not Verdict.FINE}

    return judge_rounds


def test_revision_that_does_the_same_is_not_worse(beside_base):
    assert beside_base() == {}
    assert beside_base(cpu=0.0011, seconds=0.12) == {}
    assert beside_base(cpu=0.0005, seconds=0.05) == {}


@pytest.mark.parametrize(
    ("change", "figure", "words"),
    [
        ({"connections": 3}, "connections", "10 calls now open 3 connections, baseline 2"),
        ({"cpu": 0.0012}, "cpu", "a call now takes 20 % more of the client's CPU than in main"),
        ({"seconds": 0.14}, "seconds", "a call now takes 40 % more time than in main"),
    ],
)
def test_revision_that_does_more_is_worse_by_that_alone(beside_base, change, figure, words):
    (found,) = beside_base(**change).items()
    assert found[0] == figure
    assert found[1].verdict is Verdict.WORSE
    assert found[1].sentence.startswith(words)


def test_revisions_on_a_virtual_clock_are_compared_by_their_seconds_exactly(beside_base):
    assert beside_base(virtual=True, cpu=0.002) == {}
    assert beside_base(virtual=True, seconds=0.1001).keys() == {"virtual_seconds"}
