"""Agents outside Functions: on a plain Durable Task worker, and called by a plain client."""

from durable_agents.worker.agent_client import AgentClient, ClientAgent
from durable_agents.worker.agent_worker import AgentWorker

__all__ = ["AgentClient", "AgentWorker", "ClientAgent"]
