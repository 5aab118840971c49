"""A model and a container server for the service to call: `python examples/agent_service/fakes.py`."""

from __future__ import annotations

import argparse
import threading
from contextlib import suppress

from fake_servers import FakeDockerServer, FakeLLMServer


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llm-port", type=int, default=8081)
    parser.add_argument("--docker-port", type=int, default=8082)
    parser.add_argument("--ttft", type=float, default=1.0, help="seconds that an answer takes (default: 1)")
    options = parser.parse_args()
    model = FakeLLMServer(port=options.llm_port, ttft=options.ttft)
    with model as llm, FakeDockerServer(port=options.docker_port) as docker:
        print(f"LLM_URL={llm.url} DOCKER_URL={docker.url}", flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
