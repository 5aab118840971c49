"""A leak is told from a level pool, from bursts, and from a pool that is filling, whatever the noise."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_httpconc.monitoring.trend import FEWEST, History, Trend, judge

lengths = st.integers(240, 800)
seeds = st.integers(0, 2**32)
bases = st.integers(0, 50)


def bursts(seed, length, highest):
    """Connections in use: in two looks of three none, else any number."""
    chance = random.Random(seed)
    return [chance.randint(1, highest) if chance.random() < 0.33 else 0 for _ in range(length)]


@given(length=lengths, seed=seeds, base=bases, highest=st.integers(1, 40), leaked=st.integers(20, 400))
def test_one_connection_in_every_n_seconds_is_found_under_bursts(length, seed, base, highest, leaked):
    counts = [base + leaked * at // length + busy for at, busy in enumerate(bursts(seed, length, highest))]
    verdict = judge(counts, interval=2.0)
    assert verdict.trend is Trend.LEAK
    assert verdict.rate == pytest.approx(leaked / length / 2, rel=0.5)


@given(length=lengths, seed=seeds, base=bases, highest=st.integers(0, 200))
def test_level_pool_with_bursts_is_not_blamed(length, seed, base, highest):
    counts = [base + busy for busy in bursts(seed, length, highest or 1)]
    assert judge(counts, interval=1.0).trend is Trend.LEVEL


@given(length=lengths, base=bases, teeth=st.floats(3.0, 40.0), phase=st.floats(0.0, 1.0), step=st.integers(1, 10))
def test_sawtooth_that_returns_to_its_level_is_not_blamed(length, base, teeth, phase, step):
    period = length / teeth
    counts = [base + step * int((at + phase * period) % period) for at in range(length)]
    assert judge(counts, interval=1.0).trend is Trend.LEVEL


@given(length=lengths, seed=seeds, limit=st.integers(5, 200), full=st.floats(0.01, 0.7))
def test_pool_that_fills_up_to_its_limit_is_not_blamed(length, seed, limit, full):
    filled = [min(limit, round(limit * at / (full * length))) for at in range(length)]
    assert judge(filled, interval=1.0).trend in {Trend.LEVEL, Trend.FILLING}


@given(length=lengths, limit=st.integers(5, 500), pace=st.floats(3.0, 30.0))
def test_pool_that_fills_more_and_more_slowly_is_not_blamed(length, limit, pace):
    filled = [round(limit * (1 - math.exp(-pace * at / length))) for at in range(length)]
    assert judge(filled, interval=1.0).trend in {Trend.LEVEL, Trend.FILLING}


def test_pool_that_is_still_filling_is_said_to():
    verdict = judge([round(100 * (1 - math.exp(-at / 40))) for at in range(120)], interval=1.0)
    assert verdict.trend is Trend.FILLING
    assert "more slowly than before" in str(verdict)


def test_leak_on_top_of_a_pool_that_has_filled_is_found():
    verdict = judge([min(10, at) + at // 10 for at in range(240)], interval=1.0)
    assert (verdict.trend, str(verdict)) == (Trend.LEAK, "leak: 6 more connections a minute that never go away")


@given(counts=st.lists(st.integers(0, 100), max_size=FEWEST - 1))
def test_too_few_counts_have_no_trend(counts):
    assert judge(counts, interval=1.0).trend is Trend.UNKNOWN


@given(counts=st.lists(st.integers(0, 1000), min_size=FEWEST, max_size=200), more=st.integers(1, 1000))
def test_verdict_does_not_hang_on_how_many_there_are_besides(counts, more):
    assert judge(counts, interval=1.0) == judge([count + more for count in counts], interval=1.0)


@settings(max_examples=20)
@given(length=st.integers(500, 5000), seed=seeds)
def test_history_of_any_length_keeps_its_floor_and_its_rate(length, seed):
    level, leak = History(most=128), History(most=128)
    for at, busy in enumerate(bursts(seed, length, 20)):
        level.add(5 + busy, at=at / 2)
        leak.add(5 + busy + at // 10, at=at / 2)
    assert level.verdict().trend is Trend.LEVEL
    assert leak.verdict().trend is Trend.LEAK
    assert leak.verdict().rate == pytest.approx(0.2, rel=0.2)
