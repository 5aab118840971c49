"""`FakeEvalServer`: an evaluation server, which owns a number of GPUs and has its callers wait for one.

The protocol: ``GET /health``, ``POST /evaluate`` and ``POST /evaluate_v3``, all JSON. An evaluation that could
not be done is a 200 with ``"success": false``; a request that lacks a field or has a wrong one is answered 422
with the field named, in FastAPI's shape.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from fake_servers import latency as latencies
from fake_servers import validation
from fake_servers.crossing import told
from fake_servers.errors import ScenarioError
from fake_servers.http import Request, Response
from fake_servers.latency import Latency
from fake_servers.makings import kept, made
from fake_servers.server import FakeServer
from fake_servers.slots import NoSlot, Slot, Slots
from fake_servers.validation import Field, Invalid

__all__ = ["FakeEvalServer"]

TIMED_OUT: Final = 124  #: the exit code of an evaluation that outlived its timeout, as of timeout(1)

_EVALUATE: Final = (
    Field("instance_id", str),
    Field("container_id", str),
    Field("mode", str, "benchmark"),
    Field("args", list, [], items=str),
    Field("timeout", (int, float), 1800),
    Field("gpu_acquire_timeout", (int, float), 300),
)


@dataclass(frozen=True, slots=True)
class _Script:
    """What comes of the evaluations of an instance; what is None is left to chance."""

    instance: str | re.Pattern[str]
    reward: float | None
    speedup: float | None
    exit_code: int
    stdout: str
    error: str | None
    error_detail: str | None
    build_output: str | None
    duration: Latency | None
    times: int | None

    def means(self, instance: str) -> bool:
        if isinstance(self.instance, str):
            return self.instance == instance
        return self.instance.search(instance) is not None

    def failure(self) -> dict[str, Any] | None:
        """The answer of an evaluation that can't be done, or None."""
        if self.error is None and self.build_output is None:
            return None
        answer: dict[str, Any] = {"success": False, "error": self.error or "build failed"}
        details = {"error_detail": self.error_detail, "build_output": self.build_output}
        return answer | {name: text for name, text in details.items() if text is not None}


_BY_CHANCE: Final = _Script("", None, None, 0, "", None, None, None, None, None)


class FakeEvalServer(FakeServer):
    """An evaluation server. Nothing is evaluated: results are scripted, or drawn by the seed and the instance.

    An evaluation that has its GPU goes on to its end when its client goes; one that waits for a GPU gives up
    its place.

    Args:
        gpus: how many evaluations run together; the others queue, first come first served. None for no limit.
        duration: seconds that an evaluation takes, or a distribution of them.
        options: as for `FakeServer`.

    Raises:
        ScenarioError: an argument is out of range.
    """

    @made
    def __init__(self, *, gpus: int | None = None, duration: float | Latency = 0.0, **options: Any) -> None:
        self._gpus = gpus
        self._duration = latencies.of(duration)
        self._begin_anew()
        super().__init__(**options)

    def _starting(self) -> None:
        self._slots = Slots(self._gpus, name="gpus")
        self._running: dict[int, str] = {}

    def _begin_anew(self) -> None:
        self._starting()
        self._scripts: tuple[_Script, ...] = ()
        self._used: dict[int, int] = {}
        self._evaluations = 0

    def _set_up(self) -> None:
        self.route("GET /health")(self._health)
        for path in ("/evaluate", "/evaluate_v3"):
            self.route(f"POST {path}", queues=True)(self._evaluate)

    def _needs_one_process(self) -> str | None:
        return None if self._gpus is None else f"each process would have {self._gpus} GPUs of its own"

    @kept
    @told()
    def script(
        self,
        instance: str | re.Pattern[str],
        *,
        reward: float | None = None,
        speedup: float | None = None,
        exit_code: int = 0,
        stdout: str = "",
        error: str | None = None,
        error_detail: str | None = None,
        build_output: str | None = None,
        duration: float | Latency | None = None,
        times: int | None = None,
    ) -> None:
        """Set what comes of evaluating an instance; the first script that means it, and is not used up, acts.

        Args:
            instance: the whole ``instance_id``, or a compiled pattern that is searched for in it.
            reward: as answered; by chance when omitted.
            speedup: as answered; by chance when omitted.
            exit_code: 0 to 255.
            stdout: what the evaluation prints.
            error: makes it a failed evaluation, with this for a reason.
            error_detail: goes with ``error``.
            build_output: makes it a failed build that printed this.
            duration: seconds that it takes, or a distribution; one longer than the request's ``timeout`` ends
                there, timed out.
            times: how often the script acts; without end when omitted.

        Raises:
            ScenarioError: an argument is out of range.
        """
        if not isinstance(instance, (str, re.Pattern)):
            raise ScenarioError(f"instance={instance!r} is neither an id nor a pattern, as in re.compile('^django')")
        if isinstance(exit_code, bool) or not isinstance(exit_code, int) or not 0 <= exit_code <= 255:
            raise ScenarioError(f"exit_code={exit_code!r} is out of range; allowed are 0 to 255, as in exit_code=1")
        if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 1):
            raise ScenarioError(f"times={times!r} is no count; allowed are None or whole numbers from 1 up")
        takes = None if duration is None else latencies.of(duration)
        self._check_count_over_workers(times)
        script = _Script(instance, reward, speedup, exit_code, stdout, error, error_detail, build_output, takes, times)
        self._scripts = (*self._scripts, script)

    def _forget(self, *arguments: Any) -> None:
        super()._forget(*arguments)
        self._begin_anew()

    async def _health(self, request: Request) -> Response:
        slots = self._slots
        return Response.json(
            {
                "status": "healthy",
                "gpus": slots.count,
                "gpus_in_use": slots.taken,
                "queued": slots.waiting,
                "running": [{"gpu_id": gpu, "instance_id": name} for gpu, name in sorted(self._running.items())],
            }
        )

    async def _evaluate(self, request: Request) -> Response:
        try:
            order = validation.read_body(request, _EVALUATE)
        except Invalid as invalid:
            return invalid.response()
        slots, limit = self._slots, order["gpu_acquire_timeout"]
        try:
            slot = await slots.take(limit * self._service.time_scale)
        except NoSlot:
            self.gives_up(request, waited=limit * self._service.time_scale)
            detail = f"{slots.taken} of {slots.count} are in use, and {slots.waiting} requests wait"
            return Response.json(
                {"success": False, "error": f"no GPU was free within {limit:g} s", "error_detail": detail}
            )
        self.begins(request, waited=slot.waited)
        # An evaluation goes on when its client goes, as it does on a GPU.
        return Response.json(await self._service.finish(self._run(slots, slot, order)))

    async def _run(self, slots: Slots, slot: Slot, order: Mapping[str, Any]) -> dict[str, Any]:
        instance, limit = order["instance_id"], order["timeout"]
        script, random = self._script_of(instance), self._random(instance)
        seconds = (script.duration or self._duration).sample(random)
        self._running[slot.number] = instance
        try:
            await self._service.sleep(min(seconds, limit))
        finally:
            self._running.pop(slot.number, None)
            slots.give_back(slot)
        return script.failure() or _success(script, slot.number, random, timed_out=seconds > limit)

    def _script_of(self, instance: str) -> _Script:
        for number, script in enumerate(self._scripts):
            used = self._used.get(number, 0)
            if script.means(instance) and (script.times is None or used < script.times):
                self._used[number] = used + 1
                return script
        return _BY_CHANCE

    def _random(self, instance: str) -> Random:
        self._evaluations += 1
        return Random(f"{self.scenario.seed}/{self._evaluations}/{instance}")


def _success(script: _Script, gpu: int, random: Random, *, timed_out: bool) -> dict[str, Any]:
    reward, speedup = round(random.random(), 4), round(random.lognormvariate(0, 0.5), 4)
    if timed_out:
        reward, speedup = 0.0, -1.0
    return {
        "success": True,
        "reward": reward if script.reward is None or timed_out else script.reward,
        "speedup": speedup if script.speedup is None or timed_out else script.speedup,
        "exit_code": TIMED_OUT if timed_out else script.exit_code,
        "timed_out": timed_out,
        "gpu_id": gpu,
        "stdout": script.stdout,
    }
