"""What became of a run, as whoever began it sees it: its answer, or the error it ended with."""

from typing import Any, Literal

from durabletask.client import OrchestrationState, OrchestrationStatus

from durable_agents.errors import AgentCallFailed, AgentCancelled
from durable_agents.failure_text import from_details
from durable_agents.messages import AgentResponse

type Ending = Literal["completed", "cancelled", "failed"]

_ENDED = {
    OrchestrationStatus.COMPLETED,
    OrchestrationStatus.FAILED,
    OrchestrationStatus.TERMINATED,
}


def has_ended(state: OrchestrationState) -> bool:
    """Return whether nothing more happens in a run."""
    return state.runtime_status in _ENDED


def ended_as(state: OrchestrationState) -> Ending:
    """Return how a run ended that has ended; a terminated one was cancelled."""
    if state.runtime_status is OrchestrationStatus.COMPLETED:
        return "completed"
    details = state.failure_details
    if details is None or details.error_type.rpartition(".")[2] == AgentCancelled.__name__:
        return "cancelled"
    return "failed"


def outcome(state: OrchestrationState, agent: str) -> AgentResponse[Any] | AgentCallFailed:
    """Return what a run of an agent ended with: its answer, without a value, or its error."""
    if state.runtime_status is OrchestrationStatus.COMPLETED:
        return AgentResponse.from_json(state.get_output())
    if state.failure_details is None:
        return AgentCancelled("the run was terminated", agent=agent)
    return from_details(state.failure_details, agent, "")
