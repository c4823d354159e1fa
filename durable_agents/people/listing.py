"""Human requests as people and programs read them. Pure."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from durable_agents.people import rules
from durable_agents.people.words import TOOL_RESULT, RequestState


def listed(states: Iterable[Mapping[str, Any] | None], *, now: str = "") -> list[dict[str, Any]]:
    """Return the requests that wait for a person's answer, the oldest first.

    Args:
        states: What entities of requests have stored.
        now: The moment, in ISO 8601: requests whose deadline has passed are left out. Empty for
            all that nobody has declared over.
    """
    pending = [state for state in map(rules.load, states) if state and state.status == "pending"]
    open_now = [
        state
        for state in pending
        if state.request.kind != TOOL_RESULT and not (now and rules.is_over(state, now))
    ]
    ordered = sorted(open_now, key=lambda one: (one.asked_at, one.instance, one.request.id))
    return [shown(state) for state in ordered]


def shown(state: RequestState) -> dict[str, Any]:
    """Return a request as plain JSON data, with nothing in it that is JSON as text."""
    request = state.request
    return {
        "request_id": request.id,
        "instance_id": state.instance,
        "kind": request.kind,
        "question": request.question,
        "details": json.loads(request.details),
        "answer_schema": json.loads(request.answer_schema) if request.answer_schema else None,
        "agent": request.agent or None,
        "session_id": request.session or None,
        "status": state.status,
        "asked_at": state.asked_at,
        "deadline": state.deadline or None,
        "answerers": list(state.answerers),
        "needed": request.needed,
        "agreed": sum(entry.what == "agreed" for entry in state.audit),
        "answer": json.loads(state.answer) if state.answer else None,
        "answered_by": state.answered_by.model_dump() if state.answered_by else None,
        "answered_at": state.answered_at or None,
        "audit": [entry.model_dump(mode="json", exclude_defaults=True) for entry in state.audit],
    }
