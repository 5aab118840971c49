"""Distributions of durations: bounds, seeds, and what is refused."""

from __future__ import annotations

from random import Random
from statistics import fmean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_servers import ScenarioError, latency

seconds = st.floats(0, 1e6)
positive = st.floats(1e-6, 1e3)
distributions = st.one_of(
    st.builds(latency.fixed, seconds),
    st.builds(lambda low, width: latency.uniform(low, low + width), seconds, seconds),
    st.builds(latency.normal, seconds, seconds),
    st.builds(latency.lognormal, positive, st.floats(0, 3)),
    st.builds(latency.exponential, seconds),
    st.builds(latency.empirical, st.lists(seconds, min_size=1, max_size=5)),
)


def samples(distribution: latency.Latency, count: int, seed: int = 0) -> list[float]:
    random = Random(seed)
    return [distribution.sample(random) for _ in range(count)]


@given(distributions, st.integers())
def test_durations_are_never_negative_and_follow_from_the_seed(distribution, seed):
    durations = samples(distribution, 20, seed)
    assert min(durations) >= 0
    assert durations == samples(distribution, 20, seed)


@given(distributions)
def test_distributions_are_values(distribution):
    assert latency.of(distribution) is distribution
    assert hash(distribution) == hash(type(distribution)(*[getattr(distribution, f) for f in distribution.__slots__]))


@given(seconds)
def test_fixed_is_always_the_same(value):
    assert set(samples(latency.of(value), 5)) == {value}


@given(seconds, seconds)
def test_uniform_keeps_its_bounds(low, width):
    durations = samples(latency.uniform(low, low + width), 20)
    assert low <= min(durations) <= max(durations) <= low + width


@given(st.lists(seconds, min_size=1, max_size=8))
def test_empirical_gives_what_was_measured(measured):
    assert set(samples(latency.empirical(measured), 30)) <= set(measured)


@pytest.mark.parametrize(
    ("distribution", "middle", "expected"),
    [
        (latency.uniform(1, 3), fmean, 2),
        (latency.normal(5, 1), fmean, 5),
        (latency.lognormal(0.05, 0.4), median, 0.05),
        (latency.exponential(2), fmean, 2),
        (latency.empirical([1, 2, 6]), fmean, 3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_middle_is_where_it_was_asked_for(distribution, middle, expected):
    assert middle(samples(distribution, 4000)) == pytest.approx(expected, rel=0.1)


def test_normal_cuts_off_what_would_be_negative():
    assert min(samples(latency.normal(0, 1), 100)) == 0


def test_own_distribution_may_be_given():
    class Growing:
        def sample(self, random):
            return 1.0

    own = Growing()
    assert latency.of(own) is own


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: latency.fixed(-1), "seconds=-1 is not a duration; allowed are seconds from 0 up"),
        (lambda: latency.fixed(float("nan")), "seconds=nan is not a duration"),
        (lambda: latency.fixed(float("inf")), "seconds=inf is not a duration"),
        (lambda: latency.fixed("1"), "seconds='1' is not a duration"),
        (lambda: latency.fixed(True), "seconds=True is not a duration"),
        (lambda: latency.uniform(3, 1), "high=1 is below low=3"),
        (lambda: latency.uniform(-1, 1), "low=-1 is not a duration"),
        (lambda: latency.normal(1, -1), "stdev=-1 is not a duration"),
        (lambda: latency.lognormal(0, 1), "median=0 has no logarithm"),
        (lambda: latency.lognormal(1, -1), "sigma=-1 is not a duration"),
        (lambda: latency.exponential(-1), "mean=-1 is not a duration"),
        (lambda: latency.empirical([]), "samples=() is empty; give at least one duration"),
        (lambda: latency.empirical([1, -1]), "sample=-1 is not a duration"),
        (lambda: latency.of("fast"), "latency 'fast' is neither seconds nor a distribution"),
        (lambda: latency.of(None), "latency None is neither seconds nor a distribution"),
        (lambda: latency.of(True), "latency True is neither seconds nor a distribution"),
    ],
)
def test_wrong_duration_is_refused_with_what_is_allowed(make, reason):
    with pytest.raises(ScenarioError) as refusal:
        make()
    assert reason in str(refusal.value)
