"""Tools: functions that an agent's model may ask for, each call an activity of its own."""

from durable_agents.tools.arguments import Check, Read
from durable_agents.tools.calling import ToolActivity, tool_activity
from durable_agents.tools.context import Later, ToolContext, ToolError
from durable_agents.tools.definition import MAX_RESULT_BYTES, Approval, Tool, tool
from durable_agents.tools.json_text import fingerprint

__all__ = [
    "MAX_RESULT_BYTES",
    "Approval",
    "Check",
    "Later",
    "Read",
    "Tool",
    "ToolActivity",
    "ToolContext",
    "ToolError",
    "fingerprint",
    "tool",
    "tool_activity",
]
