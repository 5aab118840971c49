"""Statistics on known data."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from pytest_httpconc.bench.stats import Count, Ratio, floor_ratio, paired_ratio, percentile

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


def test_floor_is_not_moved_by_what_disturbs_most_rounds():
    calm, disturbed = [2.0] * 10, [2.0] * 4 + [5.0] * 6
    assert floor_ratio(disturbed, [1.0] * 10) == floor_ratio(calm, [1.0] * 10) == 2
    assert paired_ratio(disturbed, [1.0] * 10) == 5


def test_ratio_is_a_number():
    assert Ratio(9.5, 9.0, 10.0) > 9
    assert f"{Ratio(9.5, 9.0, 10.0):.1f}" == "9.5"


@settings(deadline=None)
@given(
    some.lists(some.tuples(POSITIVE, POSITIVE), min_size=2, max_size=20), some.sampled_from([paired_ratio, floor_ratio])
)
def test_interval_always_has_the_ratio_in_it(pairs, ratio_of):
    ratio = ratio_of([a for a, _ in pairs], [b for _, b in pairs])
    assert 0 < ratio.low <= ratio <= ratio.high
