"""Agents against all three servers: what they do, what they leave behind, and how many get on together."""

from __future__ import annotations

import asyncio
import json
import re
import threading

import pytest

from fake_servers import FakeDockerServer, FakeEvalServer, Moment
from fake_servers.faults import Disconnect, Status
from pytest_httpconc import CheckFailed
from pytest_httpconc.clients.agent import (
    AgentConfig,
    LightAgent,
    default_workers,
    gather_agents,
    run_agents,
    run_single_task_with_evaluation_info,
)
from pytest_httpconc.clients.answers import RateLimitError
from pytest_httpconc.clients.chat import ChatClient
from pytest_httpconc.clients.conversation import SUBMIT, Conversation
from pytest_httpconc.clients.docker import ContainerStartError
from pytest_httpconc.clients.legacy.agent import BlockingAgent, CarelessAgent
from pytest_httpconc.clients.llm import OpenRouterModel
from pytest_httpconc.clients.resilience import CircuitOpen


def bash(command):
    return f"Let me see.\n```bash\n{command}\n```"


class Scripted:
    """A model that says one thing after the other, to each agent alike."""

    def __init__(self, *says):
        self.says = says

    def query(self, messages):
        said = sum(message["role"] == "assistant" for message in messages)
        if isinstance(self.says[said], BaseException):
            raise self.says[said]
        return {"content": self.says[said]}


class AsyncScripted(Scripted):
    async def query(self, messages):
        return super().query(messages)["content"]


WORKER = Scripted(bash("echo data >> /log"), bash(f"echo {SUBMIT}; cat /log"))


def instances(count):
    return [{"instance_id": f"task-{n}", "problem_statement": f"do {n}", "dataset_name": "bench"} for n in range(count)]


@pytest.fixture
def task(fake_docker, fake_eval):
    return {"model": WORKER, "docker_server_url": fake_docker.url, "eval_server_url": fake_eval.url}


def run_one(task, **changes):
    return asyncio.run(run_single_task_with_evaluation_info(**{"instance": instances(1)[0], **task, **changes}))


class TestOneTask:
    def test_is_worked_on_submitted_evaluated_and_cleaned_up(self, fake_docker, fake_eval, task):
        fake_eval.script("task-0", reward=0.75, speedup=1.5)
        result = run_one(task)
        assert (result["instance_id"], result["exit_status"], result["result"]) == ("task-0", "Submitted", "data\n")
        assert (result["reward"], result["speedup"], result["steps"]) == (0.75, 1.5, 2)
        assert result["info"]["meta"]["dataset_name"] == "bench"
        assert result["info"]["request"]["body"]["instance_id"] == "task-0"
        routes = [exchange.route for exchange in fake_docker.ledger.exchanges]
        assert routes == ["POST /start", "POST /execute", "POST /execute", "POST /cleanup"]
        assert fake_docker.containers == ()

    def test_container_is_there_while_it_is_evaluated(self, fake_docker, fake_eval, task):
        run_one(task)
        [evaluation] = fake_eval.ledger.matching("POST /evaluate")
        [cleanup] = fake_docker.ledger.matching("POST /cleanup")
        assert json.loads(evaluation.body)["container_id"] == json.loads(cleanup.body)["container_id"]
        assert evaluation.ended_at <= cleanup.begun_at  # both clocks are the machine's monotonic one

    def test_is_done_on_one_connection(self, fake_docker, task, httpconc):
        run_one(task)
        httpconc.assert_connections(fake_docker, at_most=1)

    @pytest.mark.parametrize(
        "model", [AsyncScripted(*WORKER.says), lambda: Scripted(*WORKER.says)], ids=["async", "made for the run"]
    )
    def test_can_be_done_by_any_model(self, task, model):
        assert run_one(task, model=model)["result"] == "data\n"

    def test_ends_where_the_model_takes_too_many_steps(self, task, fake_eval):
        result = run_one(task, model=Scripted(*[bash("true")] * 3), config={"step_limit": 3})
        assert (result["exit_status"], result["steps"]) == ("LimitsExceeded", 3)
        assert (result["reward"], result["speedup"]) == (0.0, -1.0)
        assert fake_eval.ledger.count() == 0

    @pytest.mark.parametrize("error", [RateLimitError("slow down"), CircuitOpen("the circuit is open")])
    def test_ends_with_the_name_of_the_models_error(self, task, fake_docker, error):
        result = run_one(task, model=Scripted(bash("true"), error))
        assert (result["exit_status"], result["result"]) == (type(error).__name__, str(error))
        assert fake_docker.containers == ()

    def test_ends_where_there_is_no_container(self, task, fake_docker):
        fake_docker.inject(Status(500), on="POST /start")
        result = run_one(task)
        assert result["exit_status"] == "ContainerStartError"
        assert "injected status 500" in result["result"]
        assert fake_docker.ledger.count() == 1

    def test_goes_on_after_an_answer_was_lost_and_sends_no_command_again(self, task, fake_docker, httpconc):
        fake_docker.inject(Disconnect(at=Moment.EXECUTED), on="POST /execute", times=1)
        assert run_one(task)["result"] == "data\n"
        httpconc.assert_at_most_once(fake_docker, on="POST /execute")

    def test_failed_evaluation_is_in_its_info(self, task, fake_eval):
        fake_eval.inject(Status(503))
        result = run_one(task)
        assert (result["exit_status"], result["reward"], result["speedup"]) == ("Submitted", 0.0, -1.0)
        assert "HTTP 503" in result["info"]["meta"]["error"]

    def test_with_a_model_at_openrouter(self, task, fake_llm):
        fake_llm.script("do 0", text=bash("echo data >> /log"))
        fake_llm.script(re.compile("^returncode: 0"), text=bash(f"echo {SUBMIT}; cat /log"))

        def model():
            return OpenRouterModel("openai/gpt-4o", api_key="any", base_url=f"{fake_llm.url}/api/v1")

        assert run_one(task, model=model)["result"] == "data\n"
        assert fake_llm.ledger.total_connections == 1

    def test_with_an_async_model_that_is_made_for_the_run(self, task, fake_llm):
        fake_llm.script("do 0", text=bash(f"echo {SUBMIT}; echo done"))

        class Chat(ChatClient):
            async def query(self, messages):
                return await self.complete("m", messages)

        assert run_one(task, model=lambda: Chat(f"{fake_llm.url}/v1"))["result"] == "done\n"


class TestCleaningUp:
    @pytest.mark.parametrize("how", ["blocking", "async"])
    def test_is_done_whatever_happens_inside(self, task, fake_docker, how):
        def agent():
            return LightAgent(instance=instances(1)[0], model=WORKER, docker_server_url=fake_docker.url)

        async def fail():
            async with agent() as working:
                assert working.container_id
                raise KeyError("any")

        def fail_blocking():
            with agent() as working:
                assert working.environment.execute("echo hello") == {"output": "hello\n", "returncode": 0}
                raise KeyError("any")

        with pytest.raises(KeyError, match="any"):
            asyncio.run(fail()) if how == "async" else fail_blocking()
        assert fake_docker.containers == ()

    @pytest.mark.parametrize("how", ["blocking", "async"])
    def test_leaves_no_thread_where_the_container_did_not_start(self, fake_docker, how):
        fake_docker.inject(Status(500), on="POST /start")
        agent = LightAgent(instance={"instance_id": "lost"}, model=WORKER, docker_server_url=fake_docker.url)
        with pytest.raises(ContainerStartError):
            asyncio.run(agent.__aenter__()) if how == "async" else agent.__enter__()
        for thread in threading.enumerate():
            if thread.name.startswith("agent-lost"):
                thread.join(10)
                assert not thread.is_alive()

    @pytest.mark.parametrize("on", ["POST /start", "POST /execute"])
    def test_is_done_when_the_run_is_cancelled_while_the_server_is_at_work(self, task, fake_docker, on):
        fake_docker.hold(until_in_flight=2, give_up=0.2, on=on)

        async def cancelled():
            running = asyncio.create_task(run_single_task_with_evaluation_info(**{"instance": instances(1)[0], **task}))
            await fake_docker.ledger.until(lambda ledger: ledger.in_flight == 1 and ledger.count(on) == 1)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

        asyncio.run(cancelled())
        fake_docker.ledger.wait_until(lambda ledger: [e.status for e in ledger.matching("POST /cleanup")] == [200])
        assert fake_docker.containers == ()
        assert fake_docker.ledger.executions("POST /start") == 1

    def test_agent_outside_a_block_has_no_container(self, fake_docker):
        agent = LightAgent(instance={"instance_id": "x"}, model=WORKER, docker_server_url=fake_docker.url)
        with pytest.raises(RuntimeError, match="the agent has no container: use it in a 'with' or 'async with' block"):
            asyncio.run(agent.execute("true"))

    def test_careless_agent_leaves_its_container(self, task, fake_docker):
        with pytest.raises(IndexError):
            run_one(task, model=Scripted(bash("true")), agent_class=CarelessAgent)
        assert len(fake_docker.containers) == 1
        assert fake_docker.ledger.count("POST /cleanup") == 0


class TestManyAgents:
    @pytest.mark.parametrize("how", ["threads", "gather"])
    @pytest.mark.parametrize("agents", [10, 50])
    def test_all_evaluations_of_30_s_go_on_together(self, httpconc, how, agents):
        """10x and 50x: the rendezvous is only met where none waits for another."""
        with FakeDockerServer() as docker, FakeEvalServer(gpus=agents, duration=30.0, time_scale=0.001) as evals:
            met = evals.hold(until_in_flight=agents, give_up=60_000)
            results = run_agents(
                instances(agents),
                how=how,
                workers=agents,
                model=WORKER,
                docker_server_url=docker.url,
                eval_server_url=evals.url,
            )
            assert met.reached
            httpconc.assert_concurrency(evals, at_least=agents, on="POST /evaluate")
            httpconc.assert_connections(docker, at_most=agents)
            httpconc.assert_at_most_once(docker, on="POST /execute")
            assert docker.containers == ()
        assert [result["instance_id"] for result in results] == [f"task-{n}" for n in range(agents)]
        assert {result["result"] for result in results} == {"data\n"}

    @pytest.mark.parametrize("how", ["threads", "gather"])
    def test_all_commands_go_on_together(self, fake_docker, task, httpconc, how):
        met = fake_docker.hold(until_in_flight=20, give_up=30, on="POST /execute")
        run_agents(instances(20), how=how, workers=20, **task)
        assert met.reached
        httpconc.assert_concurrency(fake_docker, at_least=20, on="POST /execute")

    @pytest.mark.parametrize("how", ["threads", "gather"])
    def test_no_more_agents_are_at_work_than_there_are_workers(self, fake_eval, task, how):
        fake_eval.delay(0.01)
        results = run_agents(instances(9), how=how, workers=3, **task)
        assert [result["exit_status"] for result in results] == ["Submitted"] * 9
        assert fake_eval.ledger.peak_in_flight <= 3

    @pytest.mark.parametrize("how", ["threads", "gather"])
    def test_agent_that_fails_leaves_the_others_alone(self, task, fake_docker, how):
        class Fragile(Scripted):
            def query(self, messages):
                if messages[1]["content"] == "do 2":
                    raise KeyError("fragile")
                return super().query(messages)

        results = run_agents(instances(5), how=how, **{**task, "model": Fragile(*WORKER.says)})
        assert isinstance(results.pop(2), KeyError)
        assert [result["instance_id"] for result in results] == ["task-0", "task-1", "task-3", "task-4"]
        assert fake_docker.containers == ()

    def test_in_a_running_loop_they_are_gathered(self, task):
        async def main():
            return await gather_agents(instances(3), **task)

        assert [result["exit_status"] for result in asyncio.run(main())] == ["Submitted"] * 3

    def test_none_are_no_trouble(self, task):
        assert run_agents([], how="gather", **task) == run_agents([], **task) == []

    def test_agents_that_block_the_loop_work_one_at_a_time(self, fake_docker, task, httpconc):
        fake_docker.hold(until_in_flight=5, give_up=0.05, on="POST /execute")
        run_agents(instances(5), how="gather", agent_class=BlockingAgent, **task)
        with pytest.raises(CheckFailed) as failure:
            httpconc.assert_concurrency(fake_docker, at_least=5, on="POST /execute")
        assert [finding.code for finding in failure.value.findings] == ["HC401"]

    def test_workers_follow_the_machine(self, monkeypatch):
        for processors, workers in [(None, 2), (1, 2), (4, 8), (10, 20), (64, 20)]:
            monkeypatch.setattr("os.cpu_count", lambda count=processors: count)
            assert default_workers() == workers


class TestConversation:
    def conversation(self, **instance):
        return Conversation({"instance_id": "x", **instance}, AgentConfig())

    @pytest.mark.parametrize(
        ("answer", "command"),
        [
            ("```bash\nls -l\n```", "ls -l"),
            ("Why:\n\n```sh\ncat <<E\na\nE\n```\nDone.", "cat <<E\na\nE"),
            ("no command", None),
            ("```python\nprint()\n```", None),
            ("```bash\nls\n```\n```bash\nrm\n```", None),
            ("", None),
        ],
    )
    def test_one_command_is_taken_and_no_other_number(self, answer, command):
        conversation = self.conversation()
        assert conversation.take_answer(answer) == command
        assert (conversation.messages[-1]["role"] == "user") is (command is None)

    @pytest.mark.parametrize(
        ("output", "returncode", "submission"),
        [
            (f"{SUBMIT}\ndiff\n--git", 0, "diff\n--git"),
            (f"\n{SUBMIT}", 0, ""),
            (f"{SUBMIT}\ndiff", 1, None),
            (f"echo {SUBMIT}", 0, None),
            (f"first\n{SUBMIT}", 0, None),
            ("", 0, None),
        ],
    )
    def test_what_is_printed_after_the_word_is_submitted(self, output, returncode, submission):
        conversation = self.conversation()
        conversation.take_output({"output": output, "returncode": returncode})
        assert conversation.submission == submission

    def test_long_output_is_shortened_in_the_middle(self):
        conversation = self.conversation()
        conversation.take_output({"output": "a" * 9000 + "b" * 9000, "returncode": 0})
        reply = conversation.messages[-1]["content"]
        assert len(reply) < 10_200
        assert "[8000 characters]" in reply

    @pytest.mark.parametrize("answer", [None, 7, {"text": "no"}, {"content": None}])
    def test_what_is_no_answer_is_refused(self, answer):
        with pytest.raises(TypeError, match="allowed are a text, or what has a text as its content"):
            self.conversation().take_answer(answer)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"instance": {}}, "the instance has no instance_id, only"),
        ({"instance": {"instance_id": ""}}, "the instance has no instance_id"),
        ({"config": {"steps": 3}}, "config does not know steps; allowed are image, step_limit, command_timeout, cwd"),
        ({"config": {"step_limit": 0}}, "step_limit=0 is out of range; allowed are whole numbers from 1 up, as in 50"),
        ({"config": {"command_timeout": 0}}, "command_timeout=0 is out of range; allowed are numbers above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(task, arguments, message):
    with pytest.raises(ValueError, match=message):
        run_one(task, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"how": "processes"}, "how='processes' is not known; allowed are 'threads' and 'gather'"),
        ({"workers": 0}, "workers=0 is out of range"),
        ({"workers": 0, "how": "gather"}, "workers=0 is out of range"),
    ],
)
def test_other_ways_to_run_agents_are_refused(task, arguments, message):
    with pytest.raises(ValueError, match=message):
        run_agents(instances(1), **{**task, **arguments})


class TestModelsOfOnesOwn:
    def test_whatever_one_raises_is_an_exit_status(self, task):
        result = run_one(task, model=Scripted(ConnectionError("model down")))
        assert (result["exit_status"], result["result"]) == ("ConnectionError", "model down")

    def test_plain_function_may_return_what_is_to_be_awaited(self, task):
        class Returning:
            def query(self, messages):
                return AsyncScripted(*WORKER.says).query(messages)

        assert run_one(task, model=Returning())["exit_status"] == "Submitted"


@pytest.mark.parametrize("how", ["threads", "gather"])
def test_agents_are_not_run_blocking_in_a_loop(task, how):
    async def main():
        run_agents([], how=how, **task)

    with pytest.raises(RuntimeError, match="await gather_agents"):
        asyncio.run(main())
