"""An agent's whole life: a container, commands that a model proposes, an evaluation of what it submits.

results = run_agents(instances, model=make_model, config={"image": "python:3.11-slim"},
                     docker_server_url="http://127.0.0.1:9527", eval_server_url="http://127.0.0.1:9528", how="gather")
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent import futures
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Literal, ParamSpec, Protocol, TypedDict, TypeVar

from pytest_httpconc.clients.answers import LLMError
from pytest_httpconc.clients.conversation import AgentConfig, Conversation
from pytest_httpconc.clients.docker import ContainerStartError, ExecutionResult, RemoteDockerEnvironment
from pytest_httpconc.clients.evals import SUBMITTED, Info, evaluate_info, evaluation_run
from pytest_httpconc.clients.numbers import check_count
from pytest_httpconc.clients.resilience.kinds import Rejected

__all__ = [
    "AgentConfig",
    "LightAgent",
    "TaskResult",
    "default_workers",
    "gather_agents",
    "run_agents",
    "run_single_task_with_evaluation_info",
]

LIMITS_EXCEEDED = "LimitsExceeded"
MOST_WORKERS = 20

_Agent = TypeVar("_Agent", bound="LightAgent")
_P = ParamSpec("_P")
_R = TypeVar("_R")


class AnyModel(Protocol):
    """What proposes commands: ``query`` blocks, or is a coroutine function; its answer is or has a ``content``."""

    @property
    def query(self) -> Callable[..., Any]: ...


class TaskResult(TypedDict):
    """What came of a task.

    ``exit_status`` is ``"Submitted"``, ``"LimitsExceeded"`` or the name of the error that ended it; ``result`` what was
    submitted, or that error's words. Reward, speedup and info are those of `evals.evaluate_info`.
    """

    instance_id: str
    exit_status: str
    result: str
    reward: float
    speedup: float
    info: Info
    steps: int


class LightAgent:
    """One agent and its container, to be used in a ``with`` or ``async with`` block; whatever happens, all is closed.

    What blocks runs in threads of the agent's own, so that however many agents there are, none waits for another's.
    When the block is left while a command is being executed, as a cancellation does, the container is removed at once;
    the thread that waits for the command ends with the server's answer.

    Args:
        instance: the task: ``instance_id``, and as far as known ``problem_statement``, ``image``, ``dataset_name`` and
            ``split``.
        model: what proposes commands. A callable that makes one is called for each run, and what it makes opened and
            closed with that: so that agents in different threads and loops share none.
        config: how the agent works; a mapping has the fields of `AgentConfig`.
        docker_server_url: where its container runs.

    Raises:
        ValueError: the instance has no id, or the config is not right.
    """

    def __init__(
        self,
        *,
        instance: Mapping[str, Any],
        model: AnyModel | Callable[[], AnyModel],
        config: AgentConfig | Mapping[str, Any] | None = None,
        docker_server_url: str,
    ) -> None:
        if not instance.get("instance_id"):
            raise ValueError(f"the instance has no instance_id, only {sorted(instance)}")
        self.instance = instance
        self.config = AgentConfig.of(config)
        self.steps = 0
        self.environment: RemoteDockerEnvironment | None = None
        self._model = model
        self._docker_server_url = docker_server_url
        # One for what it does, which is one thing at a time, and one to clean up while that still goes on.
        self._threads = futures.ThreadPoolExecutor(2, thread_name_prefix=f"agent-{instance['instance_id']}")

    @property
    def container_id(self) -> str:
        """The container's, or nothing where there is none."""
        return "" if self.environment is None else self.environment.container_id

    def __enter__(self: _Agent) -> _Agent:
        """Start the container; this blocks.

        Raises:
            ContainerStartError: the server is not there, or could not start it.
        """
        try:
            self._start()
        except BaseException:
            self._threads.shutdown(wait=False)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the container, and close all connections."""
        try:
            self._clean_up()
        finally:
            self._threads.shutdown(wait=False)

    async def __aenter__(self: _Agent) -> _Agent:
        """Start the container.

        Raises:
            ContainerStartError: the server is not there, or could not start it.
        """
        starting = self._threads.submit(self._start)
        try:
            await asyncio.wrap_future(starting)
        except BaseException:
            # A container that is still being started is removed as soon as it is there.
            self._threads.submit(self._clean_up, after=starting)
            self._threads.shutdown(wait=False)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the container, and close all connections; a cancellation does not stop that."""
        cleaning = self._threads.submit(self._clean_up)
        self._threads.shutdown(wait=False)
        await asyncio.shield(asyncio.wrap_future(cleaning))

    async def run(self) -> tuple[str, str]:
        """Work on the task until it is submitted, or has taken too many steps: its exit status and its result.

        That a model could not be reached, or has refused, is no exception, but an exit status.
        """
        conversation = Conversation(self.instance, self.config)
        try:
            async with _opened(self._model) as model:
                while self.steps < self.config.step_limit:
                    self.steps += 1
                    await self._step(model, conversation)
                    if conversation.submission is not None:
                        return SUBMITTED, conversation.submission
        except (LLMError, Rejected, OSError, asyncio.TimeoutError) as error:
            return type(error).__name__, str(error)
        return LIMITS_EXCEEDED, ""

    async def execute(self, command: str) -> ExecutionResult:
        """Run a command in the container, once.

        Raises:
            RuntimeError: the container was not started.
        """
        if self.environment is None:
            raise RuntimeError("the agent has no container: use it in a 'with' or 'async with' block")
        return await self._in_thread(self.environment.execute, command)

    async def _step(self, model: AnyModel, conversation: Conversation) -> None:
        command = conversation.take_answer(await self._answer(model, conversation))
        if command is not None:
            conversation.take_output(await self.execute(command))

    async def _answer(self, model: AnyModel, conversation: Conversation) -> Any:
        query = model.query
        if inspect.iscoroutinefunction(query):
            return await query(conversation.messages)
        answer = await self._in_thread(query, conversation.messages)
        return await answer if inspect.isawaitable(answer) else answer

    async def _in_thread(self, function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return await asyncio.wrap_future(self._threads.submit(function, *args, **kwargs))

    def _start(self) -> None:
        self.environment = RemoteDockerEnvironment(
            server_url=self._docker_server_url,
            image=self.instance.get("image") or self.config.image,
            timeout=self.config.command_timeout,
            cwd=self.config.cwd,
            env=self.config.env,
        )

    def _clean_up(self, after: futures.Future[None] | None = None) -> None:
        if after is not None:
            futures.wait([after])
        if self.environment is not None:
            self.environment.cleanup()


@asynccontextmanager
async def _opened(model: AnyModel | Callable[[], AnyModel]) -> AsyncIterator[AnyModel]:
    """A model as it is, or one that is made, and closed at the end."""
    if hasattr(model, "query"):
        yield model
        return
    made = model()
    if isinstance(made, AbstractAsyncContextManager):
        async with made:
            yield made
    elif isinstance(made, AbstractContextManager):
        with made:
            yield made
    else:
        yield made


async def run_single_task_with_evaluation_info(
    *,
    instance: Mapping[str, Any],
    model: AnyModel | Callable[[], AnyModel],
    config: AgentConfig | Mapping[str, Any] | None = None,
    docker_server_url: str,
    eval_server_url: str,
    agent_class: type[LightAgent] = LightAgent,
) -> TaskResult:
    """One agent's whole life: its container is started, the model works in it, the result evaluated, all cleaned up.

    What goes wrong at the servers, and on the way to the model, is no exception, but in the result; a bug in the
    model's own code is one.

    Args:
        instance: as for `LightAgent`, and so are ``model``, ``config`` and ``docker_server_url``.
        eval_server_url: where the result is evaluated.
        agent_class: another kind of agent.

    Raises:
        ValueError: an argument is not right.
    """
    agent = agent_class(instance=instance, model=model, config=config, docker_server_url=docker_server_url)
    try:
        async with agent:
            exit_status, result = await agent.run()
            return await _evaluated(agent, exit_status, result, eval_server_url)
    except ContainerStartError as error:
        return await _evaluated(agent, type(error).__name__, str(error), eval_server_url)


async def _evaluated(agent: LightAgent, exit_status: str, result: str, eval_server_url: str) -> TaskResult:
    instance = agent.instance
    instance_id = str(instance["instance_id"])
    dataset_name, split = str(instance.get("dataset_name", "")), str(instance.get("split", ""))
    reward, speedup, info = await evaluate_info(
        exit_status, result, agent.container_id, instance_id, dataset_name, split, eval_server_url
    )
    return {
        "instance_id": instance_id,
        "exit_status": exit_status,
        "result": result,
        "reward": reward,
        "speedup": speedup,
        "info": info,
        "steps": agent.steps,
    }


def default_workers() -> int:
    """How many workers suit this machine: twice its processors, 20 at the most."""
    return min((os.cpu_count() or 1) * 2, MOST_WORKERS)


def run_agents(
    instances: Iterable[Mapping[str, Any]],
    *,
    how: Literal["threads", "gather"] = "threads",
    workers: int | None = None,
    **task: Any,
) -> list[TaskResult | BaseException]:
    """Run an agent for each task and return their results in the same order; what one raises stands in its place.

    Args:
        instances: the tasks.
        how: ``"threads"``, so many workers that each run a loop for one agent after the other, or ``"gather"``, all
            in one loop.
        workers: how many agents are at work together, 1 or more; when omitted, `default_workers()` by threads, and
            all by gather.
        task: the other arguments of `run_single_task_with_evaluation_info`.

    Raises:
        ValueError: an argument is out of range.
        RuntimeError: a loop runs in this thread; ``await gather_agents(...)`` there.
    """
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("a loop runs in this thread; 'await gather_agents(...)' here")
    tasks = list(instances)
    if how not in ("threads", "gather"):
        raise ValueError(f"how={how!r} is not known; allowed are 'threads' and 'gather'")
    if how == "gather":
        return asyncio.run(gather_agents(tasks, workers=workers, **task))
    count = default_workers() if workers is None else workers
    check_count("workers", count)

    def run_one(instance: Mapping[str, Any]) -> TaskResult:
        return asyncio.run(run_single_task_with_evaluation_info(instance=instance, **task))

    with futures.ThreadPoolExecutor(count, thread_name_prefix="agents") as pool:
        running = [pool.submit(run_one, instance) for instance in tasks]
        return [future.exception() or future.result() for future in running]


async def gather_agents(
    instances: Sequence[Mapping[str, Any]], *, workers: int | None = None, **task: Any
) -> list[TaskResult | BaseException]:
    """As `run_agents` by gather, in the running loop."""
    count = len(instances) or 1 if workers is None else workers
    check_count("workers", count)
    slots = asyncio.Semaphore(count)

    async def run_one(instance: Mapping[str, Any]) -> TaskResult:
        async with slots:
            return await run_single_task_with_evaluation_info(instance=instance, **task)

    async with evaluation_run(agents=count):
        running: list[Awaitable[TaskResult]] = [run_one(instance) for instance in instances]
        return await asyncio.gather(*running, return_exceptions=True)
