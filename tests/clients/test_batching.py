"""The batch queue, on a virtual clock: when a batch begins, who is in it, and what each caller gets."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from fake_servers import FakeLLMServer
from fake_servers.faults import Status
from pytest_httpconc.clients.answers import APIError
from pytest_httpconc.clients.batching import BatchError, BatchQueue, QueueClosed, concurrently, split
from pytest_httpconc.clients.chat import ChatClient

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


class Batches:
    """Executes batches: keeps each with the instant that it came, takes its time, and returns upper case."""

    def __init__(self, seconds=0.0):
        self.seconds = seconds
        self.seen = []
        self.most_together = self._together = 0

    async def __call__(self, batch):
        self.seen.append((asyncio.get_running_loop().time(), batch))
        self._together += 1
        self.most_together = max(self.most_together, self._together)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self._together -= 1
        return [ValueError(item) if item.startswith("bad") else item.upper() for item in batch]

    @property
    def batches(self):
        return [batch for _, batch in self.seen]


@pytest.fixture
def execute():
    return Batches()


def put(queue, *items, **options):
    return [asyncio.create_task(queue.submit(item, **options)) for item in items]


class TestWhenABatchBegins:
    async def test_at_once_when_it_is_full(self, execute):
        begun_at = asyncio.get_running_loop().time()
        async with BatchQueue(execute, batch_size=3, max_wait=60) as queue:
            assert await asyncio.gather(*put(queue, *"abcdef")) == [*"ABCDEF"]
        assert execute.seen == [(begun_at, [*"abc"]), (begun_at, [*"def"])]

    @pytest.mark.parametrize("max_wait", [0.05, 1, 600])
    async def test_when_the_first_has_waited_long_enough(self, execute, max_wait):
        begun_at = asyncio.get_running_loop().time()
        async with BatchQueue(execute, max_wait=max_wait) as queue:
            first = put(queue, "a")
            await asyncio.sleep(max_wait / 2)
            await asyncio.gather(*first, *put(queue, "b"))
        [(at, batch)] = execute.seen
        assert at - begun_at == pytest.approx(max_wait, abs=1e-6)
        assert batch == ["a", "b"]
        assert queue.statistics.longest_wait == pytest.approx(max_wait, abs=1e-6)

    async def test_at_once_without_a_wait(self, execute):
        async with BatchQueue(execute, max_wait=0) as queue:
            await asyncio.gather(*put(queue, *"ab"))
        assert execute.batches == [["a"], ["b"]]

    async def test_wait_is_counted_from_the_first_that_is_still_there(self, execute):
        begun_at = asyncio.get_running_loop().time()
        async with BatchQueue(execute, max_wait=10) as queue:
            [first] = put(queue, "a")
            await asyncio.sleep(6)
            [second] = put(queue, "b")
            await asyncio.sleep(1)
            first.cancel()
            assert await second == "B"
        assert execute.seen == [(begun_at + 16, ["b"])]

    async def test_side_by_side_with_others(self):
        execute = Batches(seconds=30)
        begun_at = asyncio.get_running_loop().time()
        async with BatchQueue(execute, batch_size=10) as queue:
            await asyncio.gather(*put(queue, *(f"{n}" for n in range(50))))
        assert execute.most_together == 5
        assert asyncio.get_running_loop().time() - begun_at == 30

    async def test_no_more_together_than_there_may_be(self):
        execute = Batches(seconds=30)
        begun_at = asyncio.get_running_loop().time()
        async with BatchQueue(execute, batch_size=10, max_batches=2) as queue:
            await asyncio.gather(*put(queue, *(f"{n}" for n in range(50))))
        assert execute.most_together == 2
        assert asyncio.get_running_loop().time() - begun_at == 90


class TestOrder:
    async def test_higher_priority_goes_first_and_of_those_alike_the_first_that_came(self, execute):
        async with BatchQueue(execute, batch_size=50, max_wait=1) as queue:
            tasks = [
                *put(queue, "a", "b", priority=0),
                *put(queue, "c", "d", priority=5),
                *put(queue, "e", priority=-1),
                *put(queue, "f", priority=5),
            ]
            assert await asyncio.gather(*tasks) == [*"ABCDEF"]
        assert execute.batches == [[*"cdfabe"]]

    async def test_nobody_waits_while_a_later_one_of_the_same_priority_is_served(self):
        """As the ledger has it, with a batch at a time and more waiting than fit in it."""

        async with FakeLLMServer(ttft=1.0) as server, ChatClient(f"{server.url}/v1") as client:

            async def ask(name):
                return (await client.complete("m", [{"role": "user", "content": name}])).content

            names = [(f"{rank} {number:02}", rank) for number in range(20) for rank in (1, 3, 2)]
            async with BatchQueue(concurrently(ask), batch_size=5, max_wait=1, max_batches=1) as queue:
                tasks = [asyncio.create_task(queue.submit(name, priority=rank)) for name, rank in names]
                assert await asyncio.gather(*tasks) == [name for name, _ in names]
            arrived = [name for e in server.ledger.exchanges for name, _ in names if name.encode() in e.body]
            assert server.ledger.makespan() == 12.0
        # Those of one batch are sent together, and may arrive in any order.
        served = [name for start in range(0, 60, 5) for name in sorted(arrived[start : start + 5])]
        for rank in (1, 2, 3):
            numbers = [name for name in served if name.startswith(f"{rank} ")]
            assert numbers == [f"{rank} {number:02}" for number in range(20)]
        assert {name[0] for name in served[5:20]} == {"3"}  # the first batch was full before the others came


class TestWhatACallerGets:
    async def test_its_own_result_or_its_own_exception(self, execute):
        async with BatchQueue(execute, batch_size=4) as queue:
            tasks = put(queue, "a", "bad b", "c", "bad d")
            results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results[::2] == ["A", "C"]
        assert [str(result) for result in results[1::2]] == ["bad b", "bad d"]

    async def test_exception_of_its_batch_where_that_failed_and_of_no_other(self):
        async def execute(batch):
            if "b" in batch:
                raise OSError("no way")
            return batch

        async with BatchQueue(execute, batch_size=2) as queue:
            results = await asyncio.gather(*put(queue, *"abcd"), return_exceptions=True)
        assert [type(result) for result in results] == [OSError, OSError, str, str]

    @pytest.mark.parametrize("results", [[], ["A"], ["A", "B", "C"]])
    async def test_error_where_the_batch_has_too_few_or_too_many_results(self, results):
        async def execute(batch):
            return results

        async with BatchQueue(execute, batch_size=2) as queue:
            outcomes = await asyncio.gather(*put(queue, *"ab"), return_exceptions=True)
        message = f"a batch of 2 requests was given {len(results)} results"
        assert [(type(outcome), str(outcome)) for outcome in outcomes] == [(BatchError, message)] * 2

    @pytest.mark.parametrize("error", [asyncio.CancelledError(), StopIteration()])
    async def test_error_where_its_own_call_was_ended_by_somebody_else(self, error):
        async def execute(batch):
            return [error, "B"]

        async with BatchQueue(execute, batch_size=2) as queue:
            first, second = await asyncio.gather(*put(queue, *"ab"), return_exceptions=True)
        assert isinstance(first, BatchError)
        assert second == "B"

    async def test_with_a_call_for_each_the_exception_of_its_call(self):
        async with FakeLLMServer() as server, ChatClient(f"{server.url}/v1") as client:
            server.inject(Status(500), times=1)

            async def ask(number):
                return (await client.complete("m", [{"role": "user", "content": f"{number}"}])).content

            async with BatchQueue(concurrently(ask), batch_size=10) as queue:
                results = await asyncio.gather(*put(queue, *range(20)), return_exceptions=True)
            errors = [result for result in results if isinstance(result, APIError)]
            assert len(errors) == 1
            assert all(result == f"{n}" for n, result in enumerate(results) if result not in errors)
            assert server.ledger.count() == 20


class TestSplitting:
    async def test_batch_over_the_limit_is_split_and_its_results_merged(self):
        execute = Batches(seconds=1)
        async with BatchQueue(execute, batch_size=50, limit=20) as queue:
            results = await asyncio.gather(*put(queue, *(f"item {n}" for n in range(50))))
        assert results == [f"ITEM {n}" for n in range(50)]
        assert [len(batch) for batch in execute.batches] == [20, 20, 10]
        assert execute.most_together == 3

    async def test_part_that_fails_spoils_no_other(self):
        async def execute(batch):
            if "3" in batch:
                raise OSError("no way")
            return batch

        async with BatchQueue(execute, batch_size=10, limit=2) as queue:
            results = await asyncio.gather(*put(queue, *map(str, range(10))), return_exceptions=True)
        assert [type(r) for r in results] == [str, str, OSError, OSError, *[str] * 6]

    async def test_parts_are_in_order_and_none_is_empty(self):
        assert split([*range(5)], 2) == [[0, 1], [2, 3], [4]]
        assert split([*range(4)], 2) == [[0, 1], [2, 3]]
        assert split([*range(3)], None) == [[0, 1, 2]]
        assert split([], 2) == split([], None) == []


class TestCancellation:
    async def test_request_that_waits_goes_with_its_caller(self, execute):
        async with BatchQueue(execute, batch_size=10, max_wait=5) as queue:
            first, second, third = put(queue, *"abc")
            await asyncio.sleep(1)
            second.cancel()
            assert await asyncio.gather(first, third) == ["A", "C"]
        assert execute.batches == [["a", "c"]]
        assert queue.statistics.cancelled == 1

    async def test_request_that_is_executed_goes_on_and_disturbs_no_other(self):
        execute = Batches(seconds=5)
        async with BatchQueue(execute, batch_size=3) as queue:
            first, second, third = put(queue, "a", "bad b", "c")
            await asyncio.sleep(1)
            second.cancel()
            assert await asyncio.gather(first, third) == ["A", "C"]
        assert (queue.statistics.succeeded, queue.statistics.cancelled) == (2, 1)

    async def test_all_callers_may_go(self, execute):
        async with BatchQueue(execute, batch_size=10, max_wait=5) as queue:
            tasks = put(queue, *"abc")
            await asyncio.sleep(1)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert len(queue) == 0
            await asyncio.sleep(10)
        assert execute.seen == []


class TestClosing:
    async def test_what_waits_is_executed_without_waiting_for_more(self, execute):
        begun_at = asyncio.get_running_loop().time()
        queue = BatchQueue(execute, max_wait=600)
        tasks = put(queue, *"abc")
        await asyncio.sleep(0)
        await queue.close()
        assert [task.result() for task in tasks] == [*"ABC"]
        assert asyncio.get_running_loop().time() == begun_at

    async def test_everything_is_done_when_it_returns(self):
        queue = BatchQueue(Batches(seconds=10), batch_size=2, max_batches=1)
        tasks = put(queue, *"abcde")
        await asyncio.sleep(0)
        await queue.close()
        assert [task.result() for task in tasks] == [*"ABCDE"]
        await queue.close()

    async def test_takes_no_more_requests(self, execute):
        async with BatchQueue(execute) as queue:
            pass
        with pytest.raises(QueueClosed, match="the queue is closed and takes no more requests"):
            await queue.submit("a")

    async def test_block_that_fails_tells_its_callers_and_waits_for_nothing(self):
        begun_at = asyncio.get_running_loop().time()
        with suppress(KeyError):
            async with BatchQueue(Batches(seconds=600), batch_size=2, max_wait=600) as queue:
                tasks = put(queue, *"abc")
                await asyncio.sleep(1)
                raise KeyError
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [str(result) for result in results] == [
            "the batch was cancelled",
            "the batch was cancelled",
            "the queue was closed before it came to this request",
        ]
        assert asyncio.get_running_loop().time() - begun_at == 1
        assert len(asyncio.all_tasks()) == 1

    async def test_loop_that_ends_leaves_no_caller_waiting(self):
        execute = Batches(seconds=600)
        queue = BatchQueue(execute, batch_size=2)
        tasks = put(queue, *"ab")
        await asyncio.sleep(1)
        for task in asyncio.all_tasks() - {asyncio.current_task(), *tasks}:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} == {QueueClosed}


async def test_statistics_tell_what_was_done():
    async with BatchQueue(Batches(seconds=4), batch_size=4, max_wait=1) as queue:
        assert (queue.statistics.rate, queue.statistics.error_rate) == (0.0, 0.0)
        tasks = put(queue, "a", "bad b", "c", "d", "bad e", "f")
        await asyncio.sleep(0.5)
        assert (queue.statistics.waiting, queue.statistics.executing, queue.statistics.batches) == (2, 4, 1)
        assert repr(queue) == "<BatchQueue: 2 waiting, 4 executing>"
        await asyncio.gather(*tasks, return_exceptions=True)
        stats = queue.statistics
        assert (stats.succeeded, stats.failed, stats.cancelled, stats.batches) == (4, 2, 0, 2)
        assert (stats.elapsed, stats.longest_wait) == (5.0, 1.0)
        assert (stats.rate, stats.error_rate) == (6 / 5, 2 / 6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 51}, "batch_size=51 is out of range; allowed are whole numbers from 1 to 50, as in 20"),
        ({"batch_size": 0}, "batch_size=0 is out of range"),
        ({"batch_size": None}, "batch_size=None is out of range"),
        ({"batch_size": True}, "batch_size=True is out of range"),
        ({"max_wait": -1}, "max_wait=-1 is out of range; allowed are numbers from 0 up"),
        ({"max_wait": float("inf")}, "max_wait=inf is out of range"),
        ({"limit": 0}, "limit=0 is out of range"),
        ({"max_batches": 0}, "max_batches=0 is out of range"),
    ],
)
async def test_what_makes_no_sense_is_refused(execute, arguments, message):
    with pytest.raises(ValueError, match=message):
        BatchQueue(execute, **arguments)


@pytest.mark.parametrize("priority", ["high", 1.5, None, True])
async def test_priority_that_is_no_whole_number_is_refused(execute, priority):
    async with BatchQueue(execute) as queue:
        with pytest.raises(ValueError, match="priority="):
            await queue.submit("a", priority=priority)
