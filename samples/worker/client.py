"""Asks the agents of a worker in another process: both by the flow, and one by itself."""

import json
from typing import Any

from durabletask.client import TaskHubGrpcClient

from durable_agents.worker import AgentClient
from samples.worker.connection import Connection

QUESTION = "What is temperature?"


def ask_panel(client: TaskHubGrpcClient, question: str) -> dict[str, Any]:
    """Return what both experts say to a question.

    Raises:
        OrchestrationFailedError: One of them could not be asked.
        TimeoutError: No worker has answered within a minute.
    """
    instance = client.schedule_new_orchestration("expert_panel", input=question)
    state = client.wait_for_orchestration_completion(instance, timeout=60)
    if state is None:
        raise TimeoutError(f"'{instance}' is gone")
    state.raise_if_failed()
    return state.get_output()


def main() -> None:
    """Ask, and print what was said as JSON."""
    with Connection.from_environment().client() as client:
        answers = ask_panel(client, QUESTION)
        chemist = AgentClient(client).get_agent("Chemist")
        session = chemist.create_session()
        chemist.run(QUESTION, session=session, timeout=60)
        more = chemist.run("Say it in five words.", session=session, timeout=60)
    print(json.dumps({**answers, "in five words": more.text}, indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
