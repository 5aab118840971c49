"""A limiter and a pool through any sequence of requests, cancellations and time: no slot lost, none given twice."""

from __future__ import annotations

import asyncio

import looptime
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from fake_servers.agent import ConcurrencyLimiter, NoSlot, PipelinePool

LIMITS = st.sampled_from([None, 0.0, 1.0, 2.0, 5.0])


class Failure(Exception):
    """What a request fails with."""


class Service(RuleBasedStateMachine):
    """Requests that queue for the limiter, then for an instance, and hold both until they are told to end."""

    requests = Bundle("requests")

    @initialize(pool_size=st.integers(1, 3), beyond=st.integers(0, 2))
    def begin(self, pool_size, beyond):
        self.loop = looptime.new_event_loop()
        self.limiter = ConcurrencyLimiter(max_concurrent=pool_size + beyond)
        self.pool = PipelinePool(object, pool_size=pool_size)
        self.users = {}
        self.open = {}
        self.served = []
        self.number = 0

    @rule(target=requests, limit=LIMITS)
    def ask(self, limit):
        self.number += 1
        end = self.loop.create_future()
        task = self.loop.create_task(self._request(self.number, limit, end))
        self.open[self.number] = (task, end)
        task.add_done_callback(lambda _, number=self.number: self.open.pop(number))
        self._step()
        return task, end

    @rule(request=consumes(requests), fails=st.booleans())
    def finish(self, request, fails):
        _, end = request
        if not end.done():
            end.set_exception(Failure()) if fails else end.set_result(None)
        self._step()

    @rule(request=consumes(requests), steps=st.integers(0, 3))
    def cancel(self, request, steps):
        self._step(steps)
        request[0].cancel()
        self._step()

    @precondition(lambda self: self.users and len(self.open) > len(self.users))
    @rule(data=st.data(), rounds=st.integers(0, 4))
    def end_one_and_cancel_the_next_while_it_is_let_in(self, data, rounds):
        holder = data.draw(st.sampled_from(sorted(self.users.values())))
        task, _ = self.open[min(set(self.open) - set(self.users.values()))]

        async def act():
            self.open[holder][1].set_result(None)
            for _ in range(rounds):
                await asyncio.sleep(0)
            task.cancel()

        self.loop.run_until_complete(act())
        self._step()

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0]))
    def wait(self, seconds):
        self.loop.run_until_complete(asyncio.sleep(seconds))
        self._step()

    @invariant()
    def counts_agree(self):
        if not hasattr(self, "pool"):
            return
        assert self.pool.active == len(self.users) <= self.pool.size
        assert self.pool.active + self.pool.waiting == self.limiter.active <= self.limiter.max_concurrent
        if self.limiter.waiting:
            assert self.limiter.active == self.limiter.max_concurrent
        if self.pool.waiting:
            assert self.pool.active == self.pool.size
        assert self.served == sorted(self.served)

    async def _request(self, number, limit, end):
        try:
            async with self.limiter.slot(wait_limit=limit), self.pool.instance(str(number)) as pipeline:
                assert id(pipeline) not in self.users, "an instance was given twice"
                self.users[id(pipeline)] = number
                self.served.append(number)
                try:
                    await end
                finally:
                    del self.users[id(pipeline)]
        except (NoSlot, Failure):
            end.cancel()

    def _step(self, rounds=12):
        async def rest():
            for _ in range(rounds):
                await asyncio.sleep(0)

        self.loop.run_until_complete(rest())

    def teardown(self):
        if not hasattr(self, "loop"):
            return
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self._step()
        assert not asyncio.all_tasks(self.loop)
        assert (self.limiter.active, self.limiter.waiting, self.pool.active, self.pool.waiting) == (0, 0, 0, 0)
        self.loop.run_until_complete(self._serve_all())
        self.loop.close()

    async def _serve_all(self):
        """Every instance can be had again."""
        for _ in range(self.pool.size):
            await self.limiter.acquire(wait_limit=0)
            await self.pool.acquire(wait_limit=0)
        assert self.pool.active == self.pool.size


TestService = Service.TestCase
# Explaining a failure traces every line of it, which takes minutes here.
PHASES = tuple(phase for phase in Phase if phase is not Phase.explain)
TestService.settings = settings(max_examples=60, stateful_step_count=30, deadline=None, phases=PHASES)
