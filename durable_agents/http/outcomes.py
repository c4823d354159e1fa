"""What has become of a run that has ended, as callers are told."""

import json
from typing import Any

from durabletask.client import OrchestrationState, OrchestrationStatus

from durable_agents.errors import AgentCancelled, AgentNotRegistered, InvalidInput
from durable_agents.failure_text import from_details
from durable_agents.http.problems import Problem, failed_run, status_for
from durable_agents.messages import AgentResponse

# Failures of a run that was never begun: these are no failures of an agent's call.
_NOT_BEGUN = (AgentNotRegistered.__name__, InvalidInput.__name__)


def completed(state: OrchestrationState, *, has_form: bool) -> dict[str, Any]:
    """Return the answer of a run as JSON data.

    Args:
        state: The run.
        has_form: Whether the answer was asked for in a form: then it has a `value`.
    """
    response = AgentResponse.from_json(state.get_output())
    body: dict[str, Any] = {
        "response": response.text,
        "status": "success",
        "agent": response.agent,
        "model": response.model,
        "session_id": response.session_id or None,
        "correlation_id": state.instance_id,
        "usage": response.usage.model_dump(),
    }
    if has_form:
        body["value"] = json.loads(response.text)
    if response.notes:
        body["notes"] = list(response.notes)
    return body


def failure(state: OrchestrationState, agent: str) -> Problem:
    """Return how a run is answered that ended without an answer."""
    details = state.failure_details
    if details is None or state.runtime_status is OrchestrationStatus.TERMINATED:
        cancelled = AgentCancelled("the run was terminated", agent=agent)
        return failed_run(cancelled, state.instance_id)
    name = details.error_type.rpartition(".")[2]
    if name in _NOT_BEGUN:
        members = {"correlation_id": state.instance_id, "agent": agent}
        return Problem(status_for(name), name, details.message, members=members)
    return failed_run(from_details(details, agent, ""), state.instance_id)


def status_of(state: OrchestrationState) -> str:
    """Return how a run has ended: `completed`, `cancelled` or `failed`."""
    if state.runtime_status is OrchestrationStatus.COMPLETED:
        return "completed"
    if state.runtime_status is OrchestrationStatus.TERMINATED or state.failure_details is None:
        return "cancelled"
    name = state.failure_details.error_type.rpartition(".")[2]
    return "cancelled" if name == AgentCancelled.__name__ else "failed"
