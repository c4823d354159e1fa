"""A worker of another process, with a model that decides by what it is told, and notes of effects.

Run with the folder of the notes and "client" or "no-client".
"""

import asyncio
import os
import sys
import threading
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

from durabletask.task import OrchestrationContext, RetryPolicy, Task, when_all
from pydantic import BaseModel

from durable_agents import (
    Agent,
    AgentResponse,
    ChatRequest,
    ModelReply,
    ModelUnavailable,
    RunLimits,
    ToolContext,
)
from durable_agents.messages import ToolCall
from durable_agents.worker import AgentWorker
from samples.worker.connection import Connection


class Paid(BaseModel):
    cents: int


class Notes:
    """Effects, one line each, and the gates where a test lets a call wait."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, line: str) -> None:
        with (self._folder / "effects").open("a") as file:
            file.write(line + "\n")

    def wait(self, name: str) -> None:
        """Tell a test that this is reached, and wait until it says to go on."""
        (self._folder / f"{name}.reached").write_text("x")
        (self._folder / f"{name}.go").read_text()


class Model:
    """Says by the last message what to do, and by how many results there are what comes next."""

    model = "shop-1"

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    async def complete(self, request: ChatRequest) -> ModelReply:
        said = [one for one in request.messages if one.role == "user"]
        last, results = said[-1].text, [one for one in request.messages if one.result]
        self._notes.add(f"model {len(results)}")
        if last == "hang":
            try:
                await asyncio.to_thread(self._notes.wait, "model")
                await asyncio.Event().wait()
            finally:
                self._notes.add("closed")
        if last == "fail":
            raise ModelUnavailable("no answer")
        if request.tools and last == "order":
            calls = [("pay", '{"cents": 250}'), ("deliver", "{}")]
            if len(results) < len(calls):
                name, arguments = calls[len(results)]
                call = ToolCall(id=f"c{len(results)}", name=name, arguments=arguments)
                return ModelReply(calls=(call,), model=self.model)
        if said[0].text == "bad":  # also when it is corrected
            return ModelReply(text="no JSON", model=self.model)
        if request.output is not None:
            return ModelReply(text='{"cents": 250}', model=self.model)
        return ModelReply(text=" | ".join(one.text for one in said), model=self.model)


def make_worker(connection: Connection, folder: Path, *, client: bool) -> AgentWorker:
    notes = Notes(folder)

    def pay(context: ToolContext, cents: int) -> str:
        """Pay."""
        notes.add(f"pay {cents}")
        return f"paid by {context.agent}"

    def deliver() -> str:
        """Deliver."""
        notes.add("deliver")
        notes.wait("tool")
        return "delivered"

    worker = connection.worker()
    agents = AgentWorker(
        worker,
        client=connection.async_client if client else None,
        chat_client=Model(notes),
        retry=RetryPolicy(first_retry_interval=timedelta(0.0), max_number_of_attempts=3),
    )
    agents.add_agent(Agent(name="Clerk", tools=[pay, deliver])).add_agent(Agent(name="Echo"))
    agents.add_agent(Agent(name="Form", response_format=Paid, corrections=1))
    agents.add_agent(Agent(name="Short", tools=[pay, deliver], limits=RunLimits(turns=1)))

    def panel(context: OrchestrationContext, question: str) -> Generator[Task[Any], Any, list[str]]:
        echo = agents.get_agent(context, "Echo")
        answers: list[AgentResponse] = yield when_all(
            [echo.run(question), echo.run("other", timeout=60), echo.run("x", session="panel")]
        )
        return [answer.text for answer in answers]

    worker.add_orchestrator(panel)
    return agents


def main() -> None:
    folder, client = Path(sys.argv[1]), sys.argv[2] == "client"
    with make_worker(Connection.from_environment(), folder, client=client):
        print("working", os.getpid(), flush=True)  # noqa: T201
        threading.Event().wait()


if __name__ == "__main__":
    main()
