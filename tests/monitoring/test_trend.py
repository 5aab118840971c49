"""A leak is told from a level pool, from bursts, and from a pool that is filling, whatever the noise."""

import itertools
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


def lives(seed, length, *, rate, lasting, leaking=0.0):
    """A pool in its steady state, looked at each second: connections come at random, and stay for a time, or leak."""
    chance = random.Random(seed)
    changes = [0] * (length + 1)
    at = -6.0 * lasting
    while (at := at + chance.expovariate(rate)) < length:
        ends = at + chance.expovariate(1 / lasting)
        leaks = at > 0 and chance.random() < leaking
        if leaks or ends > 0:
            changes[max(0, math.ceil(at))] += 1
            changes[length if leaks else min(length, max(0, math.ceil(ends)))] -= 1
    return list(itertools.accumulate(changes[:length]))


@pytest.mark.parametrize(("rate", "lasting", "length"), [(2, 30, 60), (1, 120, 120), (5, 10, 60)])
def test_level_pool_whose_connections_live_long_is_rarely_blamed_at_any_look(rate, lasting, length):
    pools = [lives(seed, length, rate=rate, lasting=lasting) for seed in range(100)]
    looks = range(FEWEST, length + 1, 3)
    blamed = [any(judge(pool[:look], interval=1.0).trend is Trend.LEAK for look in looks) for pool in pools]
    assert sum(blamed) <= 1


def test_leak_among_connections_that_live_long_is_found_in_time():
    pools = [lives(seed, 1800, rate=1, lasting=30, leaking=0.3) for seed in range(10)]
    assert {judge(pool, interval=1.0).trend for pool in pools} == {Trend.LEAK}


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
