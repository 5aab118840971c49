"""Whose round is next, and when it is enough."""

import asyncio

import pytest

from pytest_httpconc.bench.runner import Rules, Turns, run_in_turns, run_in_turns_in_loop


class Recorded:
    """A side that writes down what it is told."""

    def __init__(self, name, log, *, fails=False):
        self.name, self.log, self.fails = name, log, fails

    def prepare(self):
        self.log.append(f"prepare {self.name}")
        if self.fails:
            raise ConnectionError(self.name)

    def run_round(self):
        self.log.append(self.name)
        return self.name

    def close(self):
        self.log.append(f"close {self.name}")


class AwaitedSide(Recorded):
    async def prepare(self):
        super().prepare()

    async def run_round(self):
        return super().run_round()

    async def close(self):
        super().close()


def turns(sides, most, **given):
    return Turns(sides, Rules(most=most, **given), is_enough=lambda rounds, is_late: False)


EXPECTED = ["prepare a", "prepare b", "a", "b", "b", "a", "a", "b", "close b", "close a"]


def test_sides_take_turns_in_alternating_order():
    log = []
    rounds = run_in_turns([Recorded("a", log), Recorded("b", log)], turns(2, 3, least=3))
    assert log == EXPECTED
    assert rounds == [["a"] * 3, ["b"] * 3]


def test_sides_in_a_loop_take_the_same_turns():
    log = []
    asyncio.run(run_in_turns_in_loop([AwaitedSide("a", log), AwaitedSide("b", log)], turns(2, 3, least=3)))
    assert log == EXPECTED


def test_what_was_prepared_is_closed_when_another_side_fails():
    log = []
    with pytest.raises(ConnectionError):
        run_in_turns([Recorded("a", log), Recorded("b", log, fails=True)], turns(2, 3))
    assert log == ["prepare a", "prepare b", "close b", "close a"]


def test_no_more_rounds_than_are_enough_and_no_fewer_than_the_least():
    asked = []

    def is_enough(rounds, is_late):
        asked.append(len(rounds[0]))
        return len(rounds[0]) == 5

    one = Turns(1, Rules(least=3, most=9), is_enough=is_enough)
    for side in one:
        one.rounds[side].append("round")
    assert len(one.rounds[0]) == 5
    assert asked == [3, 4, 5]


@pytest.mark.parametrize(("waits", "rounds"), [(False, 3), (True, 6)])
def test_budget_ends_it_once_there_are_the_least_and_four_of_them_what_waits_for_more(waits, rounds):
    now = 0.0
    rules = Rules(least=3, most=9, budget=2.5)
    one = Turns(1, rules, is_enough=lambda rounds, is_late: is_late and not waits, clock=lambda: now)
    for side in one:
        one.rounds[side].append("round")
        now += 2.0
    assert len(one.rounds[0]) == rounds


def test_progress_is_told():
    told = []
    one = Turns(
        2,
        Rules(most=2, least=2),
        is_enough=lambda rounds, is_late: False,
        progress=lambda *progress: told.append(progress),
    )
    for side in one:
        one.rounds[side].append("round")
    assert told == [(0, 2), (1, 2)]
