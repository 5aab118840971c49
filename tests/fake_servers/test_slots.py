"""Slots and their queue, on a virtual clock: what is waited for is exact."""

import asyncio

import looptime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_servers import ScenarioError
from fake_servers.slots import NoSlot, Slot, Slots


def run(coroutine):
    loop = looptime.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


async def hold(slots, seconds, limit=None):
    slot = await slots.take(limit)
    try:
        await asyncio.sleep(seconds)
    finally:
        slots.give_back(slot)
    return slot


def test_slots_are_numbered_from_0_and_the_lowest_free_one_is_taken():
    async def main():
        slots = Slots(3)
        first, second, third = [await slots.take() for _ in range(3)]
        slots.give_back(third)
        slots.give_back(first)
        return [first, second, third, await slots.take()], slots

    taken, slots = run(main())
    assert taken == [Slot(0, 0), Slot(1, 0), Slot(2, 0), Slot(0, 0)]
    assert repr(slots) == "<Slots: 2 of 3 taken, 0 waiting>"


def test_without_a_count_there_is_always_one():
    async def main():
        slots = Slots()
        return [await slots.take(0.0) for _ in range(100)]

    assert [slot.number for slot in run(main())] == list(range(100))


@given(st.integers(1, 5), st.lists(st.integers(1, 9), min_size=1, max_size=30))
def test_who_came_first_is_served_first(count, durations):
    async def main():
        slots = Slots(count)
        held = await asyncio.gather(*(hold(slots, seconds) for seconds in durations))
        return held, slots

    held, slots = run(main())
    free_at = [0.0] * count
    for slot, seconds in zip(held, durations, strict=True):
        begun_at = min(free_at)
        assert slot.waited == begun_at
        free_at[free_at.index(begun_at)] = begun_at + seconds
    assert (slots.taken, slots.waiting) == (0, 0)


def test_wait_ends_at_its_limit_and_the_next_in_the_queue_is_not_passed_over():
    async def main():
        slots = Slots(1)
        return await asyncio.gather(
            hold(slots, 10), hold(slots, 1, limit=9), hold(slots, 1, limit=11), return_exceptions=True
        )

    first, second, third = run(main())
    assert (first, third) == (Slot(0, 0), Slot(0, 10))
    assert isinstance(second, NoSlot)


@pytest.mark.parametrize("after_steps", range(6))
def test_cancelled_wait_loses_no_slot(after_steps):
    async def main():
        slots = Slots(1)
        holder = await slots.take()
        waiting = asyncio.ensure_future(hold(slots, 5))
        behind = asyncio.ensure_future(hold(slots, 5))
        await asyncio.sleep(0)
        slots.give_back(holder)
        for _ in range(after_steps):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting, behind])
        return slots, behind.result()

    slots, behind = run(main())
    assert behind.number == 0
    assert (slots.taken, slots.waiting) == (0, 0)


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "2"])
def test_count_that_is_none_is_refused(count):
    with pytest.raises(ScenarioError, match=r"gpus=.* is no count; allowed are None or whole numbers from 1 up"):
        Slots(count, name="gpus")
