"""What happens to a human request: from its state and an operation to its next state. Pure.

Whoever comes first decides. An answer that was accepted stands, also when the deadline passes
before anybody has read it; after the deadline no answer is accepted, also when nobody has said yet
that the request has expired.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from durable_agents import json_schema
from durable_agents.messages import Principal
from durable_agents.people.words import (
    Answer,
    Entry,
    GivenAnswer,
    Opening,
    Outcome,
    RequestState,
    Verdict,
    is_yes,
)

# So long it can be told what became of a request. Then its entity goes: lists of requests would
# grow for ever.
KEPT = timedelta(days=14)
# What an answer may have in bytes of UTF-8: it is stored with the request, and in a history.
MAX_ANSWER_BYTES = 64 * 1024
_MOST_PROBLEMS = 5
# The audit is kept with the request: whoever sends wrong answers for ever does not fill it.
_MOST_REFUSED = 20

type Edit = Callable[[dict[str, Any]], Sequence[str]]


def opened(state: RequestState | None, opening: Opening) -> RequestState:
    """Return the request that is open now: the one of before, if it was opened already."""
    if state is not None:
        return state
    request = opening.request
    return RequestState(
        instance=opening.instance,
        request=request,
        asked_at=opening.at,
        deadline=opening.deadline,
        answerers=request.answerers,
        audit=(Entry(what="opened", at=opening.at),),
    )


def answered(state: RequestState | None, given: GivenAnswer) -> tuple[RequestState | None, Verdict]:
    """Return the request after an answer was given, and what became of the answer.

    Each answer has an entry in the audit; of those that were refused only so many.
    """
    if state is None:
        return None, Verdict(outcome="unknown")
    if state.status == "pending" and is_over(state, given.at):
        state = expired(state, given.at)
    verdict = _judged(state, given)
    if verdict.outcome != "accepted":
        return _noted(state, given, verdict), verdict
    if not verdict.decided:
        return _with(state, "agreed", given.at, by=given.who, detail=given.answer), verdict
    changes: dict[str, Any] = {
        "status": "answered",
        "answer": given.answer,
        "answered_by": given.who,
        "answered_at": given.at,
    }
    next_state = _with(state, "answered", given.at, by=given.who, detail=given.answer, **changes)
    return next_state, verdict


def _judged(state: RequestState, given: GivenAnswer) -> Verdict:
    """Return what becomes of an answer to a request whose deadline has been looked at."""
    kind = state.request.kind
    if state.status != "pending":
        late: Outcome = "already_answered" if state.status == "answered" else "too_late"
        return Verdict(outcome=late, kind=kind)
    if not may_answer(state, given.who):
        return Verdict(outcome="not_allowed", kind=kind)
    if _has_agreed(state, given.who):
        return Verdict(outcome="already_answered", kind=kind)
    problems = tuple(given.problems) or tuple(check_answer(state, given.answer))
    if problems:
        return Verdict(outcome="invalid", problems=problems, kind=kind)
    others = sum(entry.what == "agreed" for entry in state.audit)
    needs_more = is_yes(json.loads(given.answer)) and others + 1 < state.request.needed
    return Verdict(outcome="accepted", kind=kind, decided=not needs_more)


def _noted(state: RequestState, given: GivenAnswer, verdict: Verdict) -> RequestState:
    """Return the request after an answer that was refused; whose it was may not be read."""
    if sum(entry.what == "refused" for entry in state.audit) >= _MOST_REFUSED:
        return state
    return _with(state, "refused", given.at, by=given.who, detail=verdict.outcome)


def expired(state: RequestState, at: str) -> RequestState:
    """Return the request after its deadline; one that was decided before stays so."""
    if state.status != "pending":
        return state
    return _with(state, "expired", at, status="expired")


def withdrawn(state: RequestState, at: str, why: str) -> RequestState:
    """Return the request after nobody needs it any more; one that was decided stays so."""
    if state.status != "pending":
        return state
    return _with(state, "withdrawn", at, detail=why, status="withdrawn")


def reminded(state: RequestState, at: str) -> RequestState:
    """Return the request after people were reminded of it."""
    return state if state.status != "pending" else _with(state, "reminded", at)


def escalated(state: RequestState, at: str, to: Sequence[str]) -> RequestState:
    """Return the request after more people may answer."""
    if state.status != "pending":
        return state
    answerers = tuple(dict.fromkeys((*state.answerers, *to)))
    return _with(state, "escalated", at, detail=", ".join(to), answerers=answerers)


def taken(state: RequestState, at: str) -> RequestState:
    """Return the request after who asked has been told of it: decided ones are kept for a while."""
    if state.status == "pending" or state.forget_at:
        return state
    return state.model_copy(update={"forget_at": (moment(at) + KEPT).isoformat()})


def result(state: RequestState) -> Answer:
    """Return what has come of a request so far."""
    return Answer(
        request=state.request.id,
        status=state.status,
        text=state.answer,
        by=state.answered_by,
        at=state.answered_at,
    )


def is_over(state: RequestState, at: str) -> bool:
    """Return whether the deadline has passed at a moment, in ISO 8601."""
    return bool(state.deadline) and moment(at) >= moment(state.deadline)


def may_answer(state: RequestState, who: Principal | None) -> bool:
    """Return whether somebody may answer: by their id, or by their name in any case."""
    if who is None:
        # Where several have to say yes, one must be able to tell them apart.
        return not state.answerers and state.request.needed == 1
    if not state.answerers:
        return True
    names = {one.casefold() for one in state.answerers}
    return who.id in state.answerers or bool(who.name and who.name.casefold() in names)


def check_answer(state: RequestState, answer: str, edit: Edit | None = None) -> list[str]:
    """Return what is wrong with an answer; nothing if it can be accepted.

    Args:
        state: The request.
        answer: The answer as JSON text.
        edit: What says whether changed arguments of a tool can be used. It gets the object
            `arguments` of an answer that has one.
    """
    try:
        if len(answer.encode()) > MAX_ANSWER_BYTES:
            return [f"the answer has more than {MAX_ANSWER_BYTES:,} bytes"]
        value: object = json.loads(answer, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return ["the answer is not valid JSON"]
    # The SDK would take an object with this name in it for a stored Python object.
    if '"__class__"' in json.dumps(value):
        return ["the answer uses property names that are reserved"]
    schema = state.request.answer_schema
    found = json_schema.problems(value, json.loads(schema)) if schema else []
    changes = cast("dict[str, Any]", value).get("arguments") if isinstance(value, dict) else None
    if not found and changes is not None and state.request.needed > 1:
        found = ["arguments: cannot be changed where several have to agree to the same"]
    if not found and edit is not None and isinstance(changes, dict):
        found = list(edit(cast("dict[str, Any]", changes)))
    return found[:_MOST_PROBLEMS]


def moment(text: str) -> datetime:
    """Return a moment in UTC; one without a zone is in UTC."""
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def load(document: Mapping[str, Any] | None) -> RequestState | None:
    """Return the state that an entity has stored; None for none."""
    return None if document is None else RequestState.model_validate(document)


def document(state: RequestState) -> dict[str, Any]:
    """Return a state as its entity stores it, as plain JSON data."""
    return state.model_dump(mode="json", exclude_defaults=True)


def _has_agreed(state: RequestState, who: Principal | None) -> bool:
    agreed = [entry.by.id for entry in state.audit if entry.what == "agreed" and entry.by]
    return who is not None and who.id in agreed


def _with(
    state: RequestState,
    what: str,
    at: str,
    *,
    by: Principal | None = None,
    detail: str = "",
    **changes: Any,
) -> RequestState:
    entry = Entry(what=what, at=at, by=by, detail=detail)
    return state.model_copy(update={"audit": (*state.audit, entry), **changes})


def _refuse(name: str) -> None:
    raise ValueError(name)
