"""When the rounds of a benchmark are enough."""

from types import SimpleNamespace

import pytest

from pytest_httpconc.bench.measuring import Measuring
from pytest_httpconc.bench.orders import QUICK, Depth
from pytest_httpconc.bench.runner import Rules
from pytest_httpconc.bench.verdicts import Judgement, Verdict


@pytest.fixture
def rounds_until_enough(a_round):
    """Run rounds that are all alike, with verdicts that may change with their number."""

    def count(figure, verdict_after, *, has_reference=True):
        done = []

        def judge(name, measured):
            return (Judgement(figure, verdict_after(measured.candidate.rounds), "a sentence"),)

        depth = Depth(rules=Rules(least=2, most=12), usual=4)
        side = SimpleNamespace(peak=2, has_passes=False)
        measuring = Measuring("a benchmark", [side], concurrency=2, depth=depth, judge=judge)
        turns = measuring.turns(progress=lambda *_: None, references=2 if has_reference else 0)
        for number in turns:
            turns.rounds[number].append(a_round())
            done.append(number)
        return done.count(0)

    return count


def test_reference_and_its_work_alone_tell_relative_cpu_and_the_state_of_the_machine(a_round):
    measuring = Measuring("a benchmark", [SimpleNamespace(peak=2, has_passes=False)], concurrency=2, depth=QUICK)
    measured = measuring.measured([[a_round(cpu=cpu)] * 3 for cpu in (0.012, 0.006, 0.004)])
    assert (measured.relative_cpu, measured.waking) == (pytest.approx(1.2), pytest.approx(1.5))


@pytest.mark.parametrize(("others", "ratio"), [(True, 2.0), (False, 5.0)])
def test_sides_are_compared_by_passes_where_both_have_them(a_round, others, ratio):
    sides = [SimpleNamespace(peak=2, has_passes=True), SimpleNamespace(peak=2, has_passes=others)]
    rounds = [[a_round(cpu=0.05, pass_cpu=0.02)] * 3, [a_round(cpu=0.01, pass_cpu=0.01 if others else None)] * 3]
    assert Measuring("a benchmark", sides, concurrency=2, depth=QUICK).measured(rounds).cpu == pytest.approx(ratio)


def test_candidate_beside_one_without_passes_is_told_in_units_of_the_reference_all_the_same(a_round):
    sides = [SimpleNamespace(peak=2, has_passes=True), SimpleNamespace(peak=2, has_passes=False)]
    rounds = [[a_round(cpu=cpu, pass_cpu=in_pass)] * 3 for cpu, in_pass in [(5, 3), (5, None), (9, 1), (0.5, None)]]
    measured = Measuring("a benchmark", sides, concurrency=2, depth=QUICK, passes=True).measured(rounds)
    assert (measured.relative_cpu, measured.cpu, measured.exact_cpu) == (pytest.approx(2.0), pytest.approx(1.0), True)


def test_cpu_of_calls_too_slow_for_passes_is_not_told_in_units_of_a_reference_with_passes(a_round):
    slow = SimpleNamespace(peak=2, has_passes=False)
    measured = Measuring("a benchmark", [slow], concurrency=2, depth=QUICK, passes=True).measured([[a_round()] * 3] * 3)
    assert measured.relative_cpu is None
    assert not measured.exact_cpu


@pytest.mark.parametrize("verdict", [Verdict.UNSURE, Verdict.WORSE])
def test_ratio_that_seems_worse_gets_all_rounds_before_it_is_believed(rounds_until_enough, verdict):
    assert rounds_until_enough("relative_cpu", lambda rounds: verdict) == 12


def test_ratio_that_was_not_measured_is_not_waited_for(rounds_until_enough):
    assert rounds_until_enough("relative_cpu", lambda rounds: Verdict.UNSURE, has_reference=False) == 2


def test_ratio_that_seemed_worse_at_first_costs_no_more_rounds_than_clear_it(rounds_until_enough):
    assert rounds_until_enough("relative_cpu", lambda n: Verdict.WORSE if n < 6 else Verdict.FINE) == 6


def test_count_that_is_worse_is_believed_at_once(rounds_until_enough):
    assert rounds_until_enough("requests", lambda rounds: Verdict.WORSE) == 2


def test_narrow_intervals_that_are_no_worse_are_enough(rounds_until_enough):
    assert rounds_until_enough("relative_cpu", lambda rounds: Verdict.FINE) == 2
