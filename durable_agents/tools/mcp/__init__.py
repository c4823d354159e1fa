"""Tools of MCP servers, for agents: each call an activity of its own, as of every other tool."""

from durable_agents.tools.mcp.offering import McpTools, mcp_tools

__all__ = ["McpTools", "mcp_tools"]
