"""What an agent and its model say to each other: a command in each answer, its output in each reply."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from pytest_httpconc.clients.docker import ExecutionResult
from pytest_httpconc.clients.numbers import check_count, check_number

__all__ = ["SUBMIT", "AgentConfig", "Conversation"]

SUBMIT: Final = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"

_COMMAND: Final = re.compile(r"```(?:bash|sh)\s*\n(.*?)\n```", re.DOTALL)
_MOST_OUTPUT: Final = 10_000
_INSTRUCTIONS: Final = f"""You work in a shell. Answer with one command each time, as in

```bash
ls
```

When you are done, have a command print {SUBMIT} on the first line, and what you submit on those that follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """How an agent works.

    Args:
        image: of its container, where the task names none.
        step_limit: how often the model is asked at the most, 1 or more.
        command_timeout: seconds that a command may take, above 0.
        cwd: directory in which commands run.
        env: environment variables of every command.
        instructions: what the model is told before its task.

    Raises:
        ValueError: an argument is out of range.
    """

    image: str = "python:3.11-slim"
    step_limit: int = 50
    command_timeout: float = 1800
    cwd: str = "/"
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    instructions: str = _INSTRUCTIONS

    def __post_init__(self) -> None:
        check_count("step_limit", self.step_limit, example=50)
        check_number("command_timeout", self.command_timeout, above=True, example=1800)

    @classmethod
    def of(cls, given: AgentConfig | Mapping[str, Any] | None) -> AgentConfig:
        """A config from its fields.

        Raises:
            ValueError: a field is not known, or out of range.
        """
        if isinstance(given, AgentConfig):
            return given
        known = [item.name for item in fields(cls)]
        unknown = sorted(set(given or {}) - set(known))
        if unknown:
            raise ValueError(f"config does not know {', '.join(unknown)}; allowed are {', '.join(known)}")
        return cls(**(given or {}))


class Conversation:
    """The messages so far; ``submission`` is what was submitted, once it was."""

    def __init__(self, instance: Mapping[str, Any], config: AgentConfig) -> None:
        task = str(instance.get("problem_statement") or instance["instance_id"])
        self.messages: list[dict[str, str]] = [
            {"role": "system", "content": config.instructions},
            {"role": "user", "content": task},
        ]
        self.submission: str | None = None

    def take_answer(self, answer: object) -> str | None:
        """Take what the model says, and return its command; one that has none, or several, is asked again.

        Raises:
            TypeError: it is no answer.
        """
        content = _content(answer)
        self.messages.append({"role": "assistant", "content": content})
        commands = _COMMAND.findall(content)
        if len(commands) == 1:
            return str(commands[0])
        self._reply(f"There must be one command in a ```bash block; there were {len(commands)}.")
        return None

    def take_output(self, result: ExecutionResult) -> None:
        """Take what a command has come to."""
        first, _, rest = result["output"].lstrip().partition("\n")
        if first.strip() == SUBMIT and result["returncode"] == 0:
            self.submission = rest
        self._reply(f"returncode: {result['returncode']}\noutput:\n{_shortened(result['output'])}")

    def _reply(self, content: str) -> None:
        self.messages.append({"role": "user", "content": content})


def _content(answer: object) -> str:
    content = answer.get("content") if isinstance(answer, Mapping) else getattr(answer, "content", answer)
    if not isinstance(content, str):
        raise TypeError(f"the model answered {answer!r:.200}; allowed are a text, or what has a text as its content")
    return content


def _shortened(output: str) -> str:
    if len(output) <= _MOST_OUTPUT:
        return output
    half = _MOST_OUTPUT // 2
    return f"{output[:half]}\n[{len(output) - 2 * half} characters]\n{output[-half:]}"
