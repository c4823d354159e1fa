"""An agent whose tools leave a trace in `CASES_EFFECTS`, for tests that kill the whole runtime."""

import os
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[4]))

from durable_agents import (
    Agent,
    AgentFunctionApp,
    ToolContext,
    chat_client_from_environment,
    tool,
)
from tests.durable_agents.cases.whole_run import Effects

effects = Effects(Path(os.environ.get("CASES_EFFECTS", "effects")))


@tool
def fast(context: ToolContext) -> str:
    """Do something, at once."""
    effects.add("fast", context)
    return "fast is done"


@tool
def slow(context: ToolContext) -> str:
    """Do something as soon as there is a file `<effects>.go`."""
    effects.file.with_suffix(".begun").touch()
    while not effects.file.with_suffix(".go").exists():
        threading.Event().wait(0.02)
    effects.add("slow", context)
    return "slow is done"


@tool(approval="always")
def wire(to: str, context: ToolContext) -> str:
    """Send money."""
    effects.add(f"wire {to}", context)
    return "wired"


app = AgentFunctionApp(
    [Agent(name="Ada", instructions="You are Ada.", tools=(fast, slow, wire))],
    chat_client=chat_client_from_environment(),
)
