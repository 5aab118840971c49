"""Statistics on known data."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from pytest_httpconc.bench.stats import Count, Ratio, paired_ratio, percentile, steady_ratio

POSITIVE = some.floats(min_value=0.01, max_value=100)


def test_percentiles_are_interpolated():
    assert percentile([1, 2, 3, 4, 5], 50) == 3
    assert percentile([0, 10], 90) == pytest.approx(9)


def test_count_is_the_most_that_was_seen_and_knows_the_least():
    count = Count([3, 1, 7, 3, 3])
    assert (count, count.least, count.typical, count.most) == (7, 1, 3, 7)
    assert str(count) == "1 to 7"
    assert str(Count([4, 4])) == "4"


def test_ratio_of_equal_rounds_is_certain():
    ratio = paired_ratio([2.0] * 5, [1.0] * 5)
    assert (ratio, ratio.low, ratio.high, ratio.error) == (2, 2, 2, 0)


def test_noise_that_both_sides_meet_cancels_in_pairs():
    noise = [random.Random(number).uniform(1, 10) for number in range(20)]
    ratio = paired_ratio([3 * n for n in noise], noise)
    assert (ratio.low, ratio.high) == (pytest.approx(3), pytest.approx(3))


def test_interval_holds_the_true_ratio_and_narrows_with_more_rounds():
    chance = random.Random(1)
    over = [2 * chance.lognormvariate(0, 0.2) for _ in range(200)]
    under = [chance.lognormvariate(0, 0.2) for _ in range(200)]
    few, many = paired_ratio(over[:10], under[:10]), paired_ratio(over, under)
    assert many.low < 2 < many.high
    assert many.error < few.error


def test_one_round_can_not_tell_how_certain_it_is():
    ratio = paired_ratio([2.0], [1.0])
    assert (ratio, ratio.low, ratio.high, ratio.error) == (2, 0, float("inf"), float("inf"))
    assert str(ratio) == "2.00 (one round)"


def test_steady_ratio_is_not_moved_by_what_disturbs_some_rounds_of_one_side_or_most_of_both():
    calm, some_disturbed, most_disturbed = [2.0] * 10, [2.0] * 6 + [5.0] * 4, [2.0] * 3 + [5.0] * 7
    assert steady_ratio(calm, [1.0] * 10) == steady_ratio(some_disturbed, [1.0] * 10) == 2
    assert steady_ratio(most_disturbed, [value / 2 for value in most_disturbed]) == 2


def test_steady_ratio_of_work_that_is_disturbed_at_random_is_near_the_truth():
    chance = random.Random(7)

    def disturbed(cost):
        return [cost * (1 + chance.expovariate(4)) * chance.choice((1, 1, 1, 1.6)) for _ in range(120)]

    found = [steady_ratio(disturbed(3.0), disturbed(1.0)) for _ in range(20)]
    assert max(abs(ratio / 3 - 1) for ratio in found) < 0.12


def test_ratio_is_a_number():
    assert Ratio(9.5, 9.0, 10.0) > 9
    assert f"{Ratio(9.5, 9.0, 10.0):.1f}" == "9.5"


@settings(deadline=None)
@given(
    some.lists(some.tuples(POSITIVE, POSITIVE), min_size=2, max_size=20),
    some.sampled_from([paired_ratio, steady_ratio]),
)
def test_interval_always_has_the_ratio_in_it(pairs, ratio_of):
    ratio = ratio_of([a for a, _ in pairs], [b for _, b in pairs])
    assert 0 < ratio.low <= ratio <= ratio.high
