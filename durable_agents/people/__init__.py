"""People in flows: one way to ask them, for tool approvals and for every other human request."""

from durable_agents.people.approvals import Decision, approval_request, check_approval, decided
from durable_agents.people.asking import Asking, ask_person
from durable_agents.people.entity import (
    ANSWER_FUNCTION,
    ENTITY_NAME,
    HumanRequestEntity,
    answer_event,
    answer_request,
    request_entity_id,
)
from durable_agents.people.listing import listed, shown
from durable_agents.people.rules import check_answer
from durable_agents.people.words import (
    TOOL_APPROVAL,
    TOOL_RESULT,
    Answer,
    Escalation,
    GivenAnswer,
    HumanRequest,
    RequestState,
    Verdict,
)

__all__ = [
    "ANSWER_FUNCTION",
    "ENTITY_NAME",
    "TOOL_APPROVAL",
    "TOOL_RESULT",
    "Answer",
    "Asking",
    "Decision",
    "Escalation",
    "GivenAnswer",
    "HumanRequest",
    "HumanRequestEntity",
    "RequestState",
    "Verdict",
    "answer_event",
    "answer_request",
    "approval_request",
    "ask_person",
    "check_answer",
    "check_approval",
    "decided",
    "listed",
    "request_entity_id",
    "shown",
]
