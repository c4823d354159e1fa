"""A kit for tests of flows and agents: an app is run whole, in this process, in virtual time."""

from durable_agents.testing.assertions import (
    assert_called,
    assert_completed,
    assert_failed,
    assert_waiting,
)
from durable_agents.testing.harness import START, DurableTest
from durable_agents.testing.http_requests import Answer
from durable_agents.testing.runs import Call, Failure, Run
from durable_agents.testing.script import Scripted, calls, fails, says
from durable_agents.testing.scripted_model import ScriptedModel
from durable_agents.testing.wire_check import wire_problems

__all__ = [
    "START",
    "Answer",
    "Call",
    "DurableTest",
    "Failure",
    "Run",
    "Scripted",
    "ScriptedModel",
    "assert_called",
    "assert_completed",
    "assert_failed",
    "assert_waiting",
    "calls",
    "fails",
    "says",
    "wire_problems",
]
