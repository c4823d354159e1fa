"""What people are asked in a test, and the answers that the test gives in their place."""

import json
from collections.abc import Collection
from typing import Any, cast

from durable_agents.messages import Principal
from durable_agents.people import ENTITY_NAME, GivenAnswer, listed
from durable_agents.testing.task_hub import TaskHub


def pending_requests(hub: TaskHub, instances: Collection[str] | None) -> list[dict[str, Any]]:
    """Return the requests that wait for an answer, the oldest first, as programs read them.

    Args:
        hub: The state.
        instances: The orchestrations that ask; None for all.
    """
    prefix = f"@{ENTITY_NAME.lower()}@"
    kept = [one.state for one in hub.entities.values() if one.id.startswith(prefix)]
    states = [cast("dict[str, Any]", json.loads(state)) for state in kept if state is not None]
    found = listed(states, now=hub.now.isoformat())
    return [one for one in found if instances is None or one["instance_id"] in instances]


def chosen_request(pending: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
    """Return the request that an answer is for.

    Args:
        pending: The requests that wait.
        wanted: Its id, or a word in its question or details, as a tool's name; empty for the one
            that there is.

    Raises:
        AssertionError: There is none, or more than one.
    """
    found = [one for one in pending if not wanted or one["request_id"] == wanted]
    if not found:
        shown = [(one, json.dumps([one["question"], one["details"]])) for one in pending]
        found = [one for one, text in shown if wanted in text]
    if len(found) != 1:
        known = "; ".join(f"{one['request_id']}: {one['question']}" for one in pending) or "none"
        raise AssertionError(f"{len(found)} requests wait for this answer; pending: {known}")
    return found[0]


def answer_to(request: dict[str, Any], answer: Any, who: str) -> dict[str, Any]:
    """Return the input of the orchestration that brings an answer to its request."""
    given = GivenAnswer(
        instance=request["instance_id"],
        request=request["request_id"],
        answer=json.dumps(answer),
        who=Principal(id=who) if who else None,
    )
    return given.model_dump(mode="json", exclude_defaults=True)
