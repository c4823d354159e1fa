"""Agents with tools, an agent as a tool, a transfer and an approval, for tests that kill.

Each tool appends to the file `STORY_EFFECTS` that it runs, with the idempotency key of its call,
and ends when the model's server lets it: it asks there for `/gate/<run>/<tool>`.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[3]))

from durable_agents import (
    Agent,
    AgentFunctionApp,
    ToolContext,
    chat_client_from_environment,
    tool,
)


def append(*words: str) -> None:
    with Path(os.environ["STORY_EFFECTS"]).open("a") as lines:
        lines.write(json.dumps(words) + "\n")


async def effect(name: str, run: str, context: ToolContext) -> str:
    append(run, name, context.idempotency_key)
    server = urlsplit(os.environ["OPENAI_BASE_URL"])
    reader, writer = await asyncio.open_connection(server.hostname, server.port)
    writer.write(f"GET /gate/{run}/{name} HTTP/1.1\r\nhost: gate\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return f"{name} is done"


@tool
async def note(run: str, context: ToolContext) -> str:
    """Note something."""
    return await effect("note", run, context)


@tool
async def look(run: str, context: ToolContext) -> str:
    """Look something up."""
    return await effect("look", run, context)


@tool(approval="always")
async def wire(run: str, context: ToolContext) -> str:
    """Send money."""
    return await effect("wire", run, context)


@tool
async def keep(run: str, context: ToolContext) -> str:
    """Keep a record."""
    return await effect("keep", run, context)


helper = Agent(name="Helper", instructions="You are Helper.", tools=(look,))
closer = Agent(name="Closer", instructions="You are Closer.", tools=(keep,))
lead = Agent(
    name="Lead",
    instructions="You are Lead.",
    tools=(note, helper.as_tool(description="Knows where things are."), wire),
    handoffs=(closer,),
)
app = AgentFunctionApp([lead, helper, closer], chat_client=chat_client_from_environment())
