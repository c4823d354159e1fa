"""An agent with a tool whose result comes later, and tools of an MCP server, in a real runtime."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[4]))

from durable_agents import (
    Agent,
    AgentFunctionApp,
    ToolContext,
    chat_client_from_environment,
    tool,
)
from durable_agents.tools import Later
from durable_agents.tools.mcp import mcp_tools
from tests.durable_agents.cases.whole_run import Effects
from tests.durable_agents.tools import mcp_server

effects = Effects(Path(os.environ.get("CASES_EFFECTS", "effects")))


@tool(later=True)
def export(context: ToolContext) -> Later:
    """Begin an export."""
    effects.add(context.callback_url)
    return context.later()


files = mcp_tools(
    name="files",
    command=[sys.executable, str(mcp_server.__file__), f"{effects.file}.mcp"],
    only=["ping", "pid"],
)
app = AgentFunctionApp(
    [Agent(name="Ada", instructions="You are Ada.", tools=[export, *files])],
    chat_client=chat_client_from_environment(),
)
