"""A kit for tests of flows and agents: an app is run whole, in this process, in virtual time."""

from durable_agents.testing.harness import START, DurableTest
from durable_agents.testing.runs import Call, Failure, Run

__all__ = ["START", "Call", "DurableTest", "Failure", "Run"]
