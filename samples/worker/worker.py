"""A worker with two agents and a flow that asks both. It works until it is stopped."""

import signal
import threading
from collections.abc import Generator
from typing import Any

from durabletask.task import OrchestrationContext, Task, when_all

from durable_agents import Agent, AgentResponse, ChatModel, chat_client_from_environment
from durable_agents.worker import AgentWorker
from samples.worker.connection import Connection

physicist = Agent(
    name="Physicist",
    instructions="You are an expert in physics. You answer from a physicist's perspective.",
)
chemist = Agent(
    name="Chemist",
    instructions="You are an expert in chemistry. You answer from a chemist's perspective.",
)


def make_worker(connection: Connection, model: ChatModel) -> AgentWorker:
    """Return a worker that has the agents and the flow `expert_panel`; it is not yet started."""
    worker = connection.worker()
    agents = AgentWorker(worker, client=connection.async_client, chat_client=model)
    agents.add_agent(physicist).add_agent(chemist)

    def expert_panel(
        context: OrchestrationContext, question: str
    ) -> Generator[Task[Any], Any, dict[str, str]]:
        # Without a session each call is a thread of its own: neither hears the other.
        answers: list[AgentResponse] = yield when_all(
            [
                agents.get_agent(context, "Physicist").run(question),
                agents.get_agent(context, "Chemist").run(question),
            ]
        )
        return {"physicist": answers[0].text, "chemist": answers[1].text}

    worker.add_orchestrator(expert_panel)
    return agents


def main() -> None:
    """Work until a signal says to stop."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    with make_worker(Connection.from_environment(), chat_client_from_environment()) as agents:
        print(f"working for {', '.join(agents.agents)}; stop with Ctrl+C", flush=True)  # noqa: T201
        stop.wait()


if __name__ == "__main__":
    main()
