"""Admission by load, on a virtual clock."""

from __future__ import annotations

import asyncio

import pytest

from pytest_httpconc.clients.resilience import Admission, Load, Overloaded

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


async def work(admission, order, name, seconds=1):
    async with admission.admitted():
        order.append(name)
        await asyncio.sleep(seconds)


async def test_low_load_is_accepted_high_queued_and_overload_rejected():
    admission, order = Admission(running=2, waiting=3), []
    begun_at = asyncio.get_running_loop().time()
    assert admission.load is Load.LOW
    tasks = [asyncio.create_task(work(admission, order, n)) for n in range(5)]
    await asyncio.sleep(0)
    assert admission.load is Load.OVERLOAD
    assert (admission.running, admission.waiting) == (2, 3)
    with pytest.raises(Overloaded, match="2 calls run and 3 wait; no more may"):
        await work(admission, order, "one too many")
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4]
    assert asyncio.get_running_loop().time() - begun_at == 3
    assert (admission.load, admission.running, admission.waiting) == (Load.LOW, 0, 0)


async def test_queue_is_high_load_until_it_is_full():
    admission = Admission(running=1, waiting=None)
    tasks = [asyncio.create_task(work(admission, [], n, 0)) for n in range(500)]
    await asyncio.sleep(0)
    assert (admission.load, admission.waiting) == (Load.HIGH, 499)
    assert repr(admission) == "<Admission: 1 of 1 running, 499 waiting>"
    await asyncio.gather(*tasks)


async def test_without_a_queue_what_can_not_run_is_rejected():
    admission, order = Admission(running=1, waiting=0), []
    async with admission.admitted():
        with pytest.raises(Overloaded):
            await work(admission, order, 1)
    await work(admission, order, 2)
    assert order == [2]


async def test_who_is_cancelled_gives_back_a_place_in_the_queue_and_a_slot():
    admission, order = Admission(running=1, waiting=3), []
    tasks = [asyncio.create_task(work(admission, order, n)) for n in range(4)]
    await asyncio.sleep(0.5)
    tasks[0].cancel()
    tasks[2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [0, 1, 3]
    assert (admission.running, admission.waiting, admission.load) == (0, 0, Load.LOW)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"running": 0}, "running=0 is out of range; allowed are whole numbers from 1 up, as in 10"),
        ({"running": None}, "running=None is out of range"),
        ({"waiting": -1}, "waiting=-1 is out of range; allowed are whole numbers from 0 up, as in 100"),
    ],
)
async def test_what_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Admission(**arguments)
