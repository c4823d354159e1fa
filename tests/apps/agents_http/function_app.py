"""Agents behind HTTP: one with tools and a helper, one with neither, and a flow that asks three."""

import asyncio
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import azure.durable_functions as df

from durable_agents import Agent, AgentFunctionApp, chat_client_from_environment, tool


def charge(card: str) -> str:
    """Take money from a card."""
    with Path(os.environ["EFFECTS"]).open("a") as file:
        file.write(f"{card}\n")
    return "charged"


async def slow() -> str:
    """Take a minute."""
    await asyncio.sleep(60)
    return "done"


@tool(approval="always")
def transfer(to: str) -> str:
    """Send money."""
    return charge(to)


helper = Agent(name="Helper", instructions="Help.", description="Helps.")
ada = Agent(name="Ada", instructions="Be Ada.", tools=[charge, slow, transfer, helper.as_tool()])
app = AgentFunctionApp(
    [ada, Agent(name="Bob", instructions="Be Bob.")], chat_client=chat_client_from_environment()
)


@app.orchestration_trigger(context_name="context")
def fan_out(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Ask three at once: one in a run of its own, two in calls of this flow."""
    names = ("Ada", "Bob", "Bob")
    replies = yield context.task_all([app.get_agent(context, name).run("drip") for name in names])
    return [reply.text for reply in replies]
