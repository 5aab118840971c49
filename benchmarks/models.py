"""What agents have in common: models that say the same to each, without a request, and how long they wait."""

from pytest_httpconc.clients.answers import RateLimitError
from pytest_httpconc.clients.conversation import SUBMIT

#: Seconds: about what agents wait at a time, for each other and for their servers.
PAUSE = 0.005


def _bash(command):
    return {"content": f"Let me see.\n```bash\n{command}\n```"}


class Worker:
    """Writes a line, and submits it."""

    says = (_bash("echo data >> /log"), _bash(f"echo {SUBMIT}; cat /log"))

    def query(self, messages):
        return self.says[sum(message["role"] == "assistant" for message in messages)]


class Refused(Worker):
    """Is over its rate when asked for the second time."""

    def query(self, messages):
        if any(message["role"] == "assistant" for message in messages):
            raise RateLimitError("too many requests")
        return super().query(messages)


def instances(count):
    """So many tasks."""
    return [{"instance_id": f"task-{number}", "problem_statement": "write a line"} for number in range(count)]
