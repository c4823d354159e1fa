"""The approval of a tool's call by a person: what is asked, and what an answer makes of the call.

The person sees the arguments that would run, and beside them what the model wrote. What runs has
the fingerprint of what was approved. Pure.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

from durable_agents.messages import PreparedCall, Principal
from durable_agents.people import rules
from durable_agents.people.words import TOOL_APPROVAL, Answer, HumanRequest, RequestState
from durable_agents.tools import Read, fingerprint

_LONGEST_WORDS = 2000
_APPROVAL_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "approved": {"type": "boolean", "description": "Whether the call is made."},
        "reason": {"type": "string", "description": "Why not, for the model."},
        "arguments": {
            "type": "object",
            "description": "Other values for some of the arguments, by their names.",
        },
    },
    "required": ["approved"],
    "additionalProperties": False,
}

type Edit = Callable[[str, dict[str, Any]], Read]


@dataclass(frozen=True)
class Decision:
    """What becomes of a call that a person was asked about.

    Attributes:
        call: The call to make, or to tell the model of as not made.
        fingerprint: Of what was approved; empty for a call that is not made.
        note: What the model is told before the result of the call; empty for nothing.
    """

    call: PreparedCall
    fingerprint: str = ""
    note: str = ""


def approval_request(
    prepared: PreparedCall,
    *,
    agent: str,
    session: str = "",
    asked_for: str = "",
    timeout: float | None = None,
    answerers: tuple[str, ...] = (),
    needed: int = 1,
    id: str = "",
) -> HumanRequest:
    """Return the request that asks a person about a call.

    Args:
        prepared: The call, with its effective arguments.
        agent: The agent whose model asks for it.
        session: The session, if there is one.
        asked_for: The arguments as the model wrote them; those of the call where it is empty.
        timeout: Seconds until it is too late; None for never.
        answerers: Ids or names of the principals who may answer; empty for everybody.
        needed: How many different people have to say yes.
        id: The request's id; empty for one that is made.
    """
    name = prepared.call.name
    details = {
        "tool": name,
        "arguments": json.loads(prepared.arguments),
        "asked_for": _as_json(asked_for or prepared.call.arguments),
        "call_id": prepared.call.id,
        "fingerprint": fingerprint(name, prepared.arguments),
    }
    return HumanRequest(
        id=id,
        kind=TOOL_APPROVAL,
        question=f"May the agent {agent} call {name}?",
        details=json.dumps(details, ensure_ascii=False),
        answer_schema=json.dumps(_APPROVAL_SCHEMA),
        timeout=timeout,
        answerers=answerers,
        needed=needed,
        agent=agent,
        session=session,
    )


def check_approval(state: RequestState, answer: str, edit: Edit) -> tuple[list[str], str]:
    """Return what is wrong with an answer about a call, and the answer to record.

    The arguments in the answer to record are all of the effective ones, as they would run.

    Args:
        state: The request.
        answer: The answer as JSON text.
        edit: `Tool.edit` of the tool that the request is about.
    """
    arguments = json.dumps(json.loads(state.request.details)["arguments"])
    edited: list[Read] = []

    def check(changes: dict[str, Any]) -> list[str]:
        edited.append(edit(arguments, changes))
        return [edited[0].problem] if edited[0].problem else []

    problems = rules.check_answer(state, answer, check)
    if problems or not edited:
        return problems, answer
    value: dict[str, Any] = json.loads(answer)
    value["arguments"] = json.loads(edited[0].arguments)
    return [], json.dumps(value, ensure_ascii=False)


def decided(prepared: PreparedCall, answer: Answer) -> Decision:
    """Return what becomes of a call by the answer about it."""
    if answer.status != "answered":
        return _not_made(prepared, "not approved in time; the call was not made")
    said = _object(answer.value)
    if not answer.approved:
        reason = " ".join(str(said.get("reason") or "").split())[:_LONGEST_WORDS]
        who = _name(answer.by)
        because = f": {reason}" if reason else ""
        return _not_made(prepared, f"rejected by {who}{because}; the call was not made")
    arguments = prepared.arguments
    changes = _object(said.get("arguments"))
    if changes:
        merged = {**json.loads(arguments), **changes}
        arguments = json.dumps(merged, ensure_ascii=False)
    mark = fingerprint(prepared.call.name, arguments)
    call = prepared.model_copy(update={"arguments": arguments, "approval": False})
    if mark == fingerprint(prepared.call.name, prepared.arguments):
        return Decision(call, mark)
    note = f"A person ({_name(answer.by)}) changed the arguments; what ran is: {arguments}"
    return Decision(call, mark, note)


def _not_made(prepared: PreparedCall, problem: str) -> Decision:
    action: Literal["tell"] = "tell"
    return Decision(prepared.model_copy(update={"action": action, "problem": problem}))


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _name(by: Principal | None) -> str:
    return (by.name or by.id) if by is not None else "a person"


def _as_json(text: str) -> Any:
    """Return what a model wrote as JSON data where it is some, and as text where it is not."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
