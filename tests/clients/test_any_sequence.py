"""Queue, breaker and retries through any sequence of calls, faults, cancellations and passing time."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from contextlib import suppress

import looptime
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
)

from pytest_httpconc.clients.answers import AnswerTimeout, APIError, AuthenticationError, RateLimitError
from pytest_httpconc.clients.batching import BatchQueue, QueueClosed
from pytest_httpconc.clients.resilience import TABLE, CircuitBreaker, CircuitOpen, CircuitState, RetryPolicy

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
SECONDS = st.sampled_from([0, 1, 2, 5, 30])
FATES = st.sampled_from(["works", "works", "works", "fails", "breaks its batch"])


def run_virtually(coroutine):
    loop = looptime.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


class OwnError(Exception):
    """Of one request."""


class BatchBroken(Exception):
    """Of all requests of a part of a batch."""


class QueueMachine(RuleBasedStateMachine):
    """No caller is lost, no answer swapped, and nobody overtakes his equals."""

    calls = Bundle("calls")

    @initialize(size=st.integers(1, 5), wait=st.sampled_from([0, 1, 3]), limit=st.sampled_from([None, 1, 2]),
                together=st.sampled_from([None, 1, 2]))  # fmt: skip
    def open(self, size, wait, limit, together):
        self.loop = looptime.new_event_loop()
        self.limit = limit or size
        self.tasks = {}
        self.cancelled = set()
        self.executed = []
        self.parts = []
        self.queue = BatchQueue(self.execute, batch_size=size, max_wait=wait, limit=limit, max_batches=together)

    async def execute(self, part):
        self.parts.append(part)
        self.executed += part
        await asyncio.sleep(2)
        if any(fate == "breaks its batch" for _, _, fate in part):
            raise BatchBroken
        return [OwnError(number) if fate == "fails" else f"answer {number}" for number, _, fate in part]

    def run(self, seconds):
        self.loop.run_until_complete(asyncio.sleep(seconds))

    @rule(target=calls, priority=st.integers(0, 2), fate=FATES)
    def submit(self, priority, fate):
        item = (len(self.tasks), priority, fate)
        self.tasks[item] = self.loop.create_task(self.queue.submit(item, priority=priority))
        return item

    @rule(seconds=SECONDS)
    def wait(self, seconds):
        self.run(seconds)

    @rule(item=consumes(calls))
    def cancel(self, item):
        if self.tasks[item].cancel():
            self.cancelled.add(item)

    @invariant()
    def everybody_is_counted_once(self):
        if not hasattr(self, "queue"):
            return
        self.run(0)
        told = self.loop.run_until_complete(self.statistics())
        known = told.waiting + told.executing + told.succeeded + told.failed + told.cancelled
        never_came = sum(task.cancelled() and item not in self.executed for item, task in self.tasks.items())
        assert len(self.tasks) - never_came <= known <= len(self.tasks)

    async def statistics(self):
        return self.queue.statistics

    @invariant()
    def nobody_overtakes_his_equals(self):
        for priority in range(3):
            numbers = [number for number, rank, _ in getattr(self, "executed", []) if rank == priority]
            assert numbers == sorted(numbers)

    def part_of(self, item):
        [part] = [part for part in self.parts if item in part]
        return part

    def teardown(self):
        if not hasattr(self, "queue"):
            return
        try:
            self.loop.run_until_complete(self.end())
            self.check_all()
        finally:
            self.loop.close()

    async def end(self):
        await self.queue.close()
        await asyncio.wait_for(asyncio.gather(*self.tasks.values(), return_exceptions=True), 1)

    def check_all(self):
        assert max(Counter(self.executed).values(), default=1) == 1
        assert all(len(part) <= self.limit for part in self.parts)
        for item, task in self.tasks.items():
            self.check(item, task)
        assert not asyncio.all_tasks(self.loop)

    def check(self, item, task):
        number, _, fate = item
        assert task.done()
        if task.cancelled():
            assert item in self.cancelled
        elif any(other == "breaks its batch" for _, _, other in self.part_of(item)):
            assert isinstance(task.exception(), BatchBroken)
        elif fate == "fails":
            assert task.exception().args == (number,)
        else:
            assert task.result() == f"answer {number}"


class BreakerMachine(RuleBasedStateMachine):
    """No trial's place is lost or given twice, and the state is what its rules say."""

    calls = Bundle("calls")

    @initialize(threshold=st.integers(1, 3), trials=st.integers(1, 3))
    def close(self, threshold, trials):
        self.now = 0.0
        self.threshold, self.trials = threshold, trials
        self.breaker = CircuitBreaker(threshold=threshold, trials=trials, pause=10, clock=lambda: self.now)
        self.state, self.failures, self.opened_at, self.era = CircuitState.CLOSED, 0, 0.0, 0
        self.open_calls = {}

    def change(self, state):
        self.state, self.failures, self.era = state, 0, self.era + 1
        if state is CircuitState.OPEN:
            self.opened_at = self.now

    @property
    def on_trial(self):
        return sum(era == self.era for era in self.open_calls.values()) if self.state is CircuitState.HALF_OPEN else 0

    @rule(target=calls)
    def begin(self):
        guard = self.breaker.guard()
        may = self.state is CircuitState.CLOSED
        may = may or (self.state is CircuitState.HALF_OPEN and self.on_trial < self.trials)
        try:
            guard.__enter__()
        except CircuitOpen:
            assert not may
        else:
            assert may
            self.open_calls[guard] = self.era
        return guard

    @rule(guard=consumes(calls), error=st.sampled_from([None, OSError(), ValueError(), asyncio.CancelledError()]))
    def end(self, guard, error):
        if guard not in self.open_calls:
            return  # it was not let through
        era = self.open_calls.pop(guard)
        with suppress(OSError, ValueError, asyncio.CancelledError):
            guard.__exit__(None if error is None else type(error), error, None)
        if era != self.era or isinstance(error, asyncio.CancelledError):
            return
        failed = isinstance(error, OSError)
        if self.state is CircuitState.HALF_OPEN:
            self.change(CircuitState.OPEN if failed else CircuitState.CLOSED)
        else:
            self.failures = self.failures + 1 if failed else 0
            if self.failures == self.threshold:
                self.change(CircuitState.OPEN)

    @rule(seconds=st.sampled_from([1, 9, 10]))
    def wait(self, seconds):
        self.now += seconds
        if self.state is CircuitState.OPEN and self.now >= self.opened_at + 10:
            self.change(CircuitState.HALF_OPEN)

    @precondition(lambda self: hasattr(self, "breaker"))
    @invariant()
    def it_is_what_its_rules_say(self):
        assert self.breaker.state is self.state
        assert (self.breaker.failures, self.breaker.on_trial) == (self.failures, self.on_trial)
        assert self.breaker.on_trial <= self.trials


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(UNHURRIED, max_examples=60, stateful_step_count=25)
TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = settings(UNHURRIED, max_examples=100, stateful_step_count=30)

ERRORS = [
    AnswerTimeout("late"),
    APIError("HTTP 503", status=503),
    RateLimitError("slow down"),
    RateLimitError("slow down", 7),
    AuthenticationError("who?"),
    APIError("HTTP 500", status=500),
]


@settings(UNHURRIED, max_examples=60)
@given(st.lists(st.sampled_from(ERRORS), max_size=12))
def test_any_errors_are_tried_again_by_the_table(errors):
    made_at, policy = [], RetryPolicy()
    left = iter(errors)

    async def call():
        made_at.append(asyncio.get_running_loop().time())
        error = next(left, None)
        if error is not None:
            raise error
        return "answer"

    async def main():
        return await asyncio.gather(policy.call(call), return_exceptions=True)

    outcome = run_virtually(main())
    failed, pauses, last = Counter(), [], "answer"
    for error in errors:
        kind = policy.kind_of(error)
        failed[kind] += 1
        if kind is None or failed[kind] == TABLE[kind].tries:
            last = error
            break
        pauses.append(max(TABLE[kind].pause(failed[kind]), error.retry_after or 0))
    assert outcome == [last]
    assert [later - earlier for earlier, later in itertools.pairwise(made_at)] == pauses


@settings(UNHURRIED, max_examples=30)
@given(st.integers(0, 12), st.booleans())
def test_queue_that_is_closed_at_any_instant_leaves_nobody_waiting(seconds, drain):
    async def execute(batch):
        await asyncio.sleep(4)
        return batch

    async def main():
        queue = BatchQueue(execute, batch_size=2, max_wait=3, max_batches=1)
        tasks = [asyncio.create_task(queue.submit(n)) for n in range(5)]
        await asyncio.sleep(seconds)
        await queue.close(drain=drain)
        return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 1)

    results = run_virtually(main())
    assert all(result == n or isinstance(result, QueueClosed) for n, result in enumerate(results))
    if drain:
        assert results == [*range(5)]
