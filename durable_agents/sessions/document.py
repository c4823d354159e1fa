"""The stored form of a session: the published schema of durable agent state, version 1.1.0. Pure.

    {"schemaVersion": "1.1.0", "data": {"conversationHistory": [entries], "extensionData": {...}}}

A turn is a `request` entry and, once it has ended, a `response` entry with the same
`correlationId`. What is left out has its default, so a state of before a field was there is read
as well.
"""

import json
from typing import Any

from durable_agents.messages import Message, TokenUsage
from durable_agents.sessions.contents import (
    EXTENSION,
    Json,
    as_count,
    as_object,
    as_objects,
    as_text,
    message_document,
    message_of,
)
from durable_agents.sessions.state import COMPLETED, Draft, Ended, SessionState, Turn, Waiting
from durable_agents.sessions.words import Place, as_utc

SCHEMA_VERSION = "1.1.0"
UNKNOWN = "1970-01-01T00:00:00.000Z"
# Our name of each count of tokens, and the published one.
COUNTS = (
    ("input_tokens", "inputTokenCount"),
    ("output_tokens", "outputTokenCount"),
    ("total_tokens", "totalTokenCount"),
)
OTHER_COUNTS = (
    ("cached_tokens", "cachedTokenCount"),
    ("reasoning_tokens", "reasoningTokenCount"),
    ("uncounted_calls", "uncountedCalls"),
    ("repeated_calls", "repeatedCalls"),
)
# Our own texts and numbers: their names in a state, and in the stored form.
OWN_TEXTS = (
    ("holder", "holder"),
    ("owner", "owner"),
    ("used_at", "usedAt"),
    ("wakes_at", "wakesAt"),
)


def to_document(state: SessionState) -> Json:
    """Return a state as it is stored."""
    history: list[Json] = []
    if state.summary:
        history.append(summary_document(state))
    for turn in state.turns:
        history += turn_documents(turn)
    own: Json = {theirs: getattr(state, ours) for ours, theirs in OWN_TEXTS}
    own |= {
        "dropped": state.dropped,
        "usage": usage_document(state.usage),
        "waiting": [waiting_document(waiting) for waiting in state.waiting],
        "ended": [ended_document(ended) for ended in state.ended],
    }
    if state.draft is not None:
        own["draft"] = {"keepsFrom": state.draft.keeps_from, "summary": state.draft.summary}
    own = {name: value for name, value in own.items() if value}
    data: Json = {"conversationHistory": history} | ({EXTENSION: own} if own else {})
    return {"schemaVersion": SCHEMA_VERSION, "data": data}


def from_document(document: object) -> SessionState:
    """Return the state that was stored, also by another writer of the published form."""
    data = as_object(as_object(document).get("data"))
    own = as_object(data.get(EXTENSION))
    turns, summary = turns_of(as_objects(data.get("conversationHistory")), own)
    texts: dict[str, Any] = {ours: as_text(own.get(theirs)) for ours, theirs in OWN_TEXTS}
    if not any(turn.id == texts["holder"] for turn in turns):
        texts["holder"] = ""
    return SessionState(
        turns=turns,
        summary=summary,
        dropped=as_count(own.get("dropped")),
        usage=usage_of(own.get("usage")),
        waiting=tuple(waiting_of(item) for item in as_objects(own.get("waiting"))),
        ended=tuple(ended_of(item) for item in as_objects(own.get("ended"))),
        draft=draft_of(as_object(own.get("draft"))),
        **texts,
    )


def summary_document(state: SessionState) -> Json:
    """Return the entry of a summary: a request, so that every reader shows it."""
    at = state.turns[0].at if state.turns else state.used_at
    message = message_document(Message.of("user", state.summary), at)
    return {
        "$type": "request",
        "createdAt": at,
        "messages": [message],
        EXTENSION: {"summary": True},
    }


def turn_documents(turn: Turn) -> list[Json]:
    """Return the entries of a turn: one while it runs, two when it has ended."""
    request: Json = {
        "$type": "request",
        "correlationId": turn.id,
        "createdAt": turn.at,
        "messages": [message_document(message, turn.at) for message in turn.request],
    }
    if turn.instance != turn.id:
        request["orchestrationId"] = turn.instance
    if not turn.outcome:
        return [request]
    response: Json = {
        "$type": "response",
        "correlationId": turn.id,
        "createdAt": turn.ended_at,
        "messages": [message_document(message, turn.ended_at) for message in turn.reply],
    }
    if turn.usage != TokenUsage():
        response["usage"] = usage_document(turn.usage)
    if turn.outcome != COMPLETED:
        response[EXTENSION] = {"outcome": turn.outcome} | (
            {"error": turn.error} if turn.error else {}
        )
    return [request, response]


def turns_of(entries: list[Json], own: Json) -> tuple[tuple[Turn, ...], str]:
    """Return the turns that the entries are, and the summary before them."""
    turns: dict[str, Turn] = {}
    summary = ""
    holder = as_text(own.get("holder"))
    for number, entry in enumerate(entries):
        names: dict[str, str] = {}
        messages = messages_of(entry, names)
        at = as_moment(entry.get("createdAt"))
        extension = as_object(entry.get(EXTENSION))
        turn_id = as_text(entry.get("correlationId")) or f"entry-{number}"
        if extension.get("summary"):
            summary = "\n".join(message.text for message in messages)
        elif entry.get("$type") == "response":
            turn = turns.get(turn_id) or Turn(turn_id, turn_id, at, ())
            turns[turn_id] = Turn(
                turn.id,
                turn.instance,
                turn.at,
                turn.request,
                reply=messages,
                outcome=as_text(extension.get("outcome")) or COMPLETED,
                error=as_text(extension.get("error")),
                ended_at=at,
                usage=usage_of(entry.get("usage")),
            )
        else:
            instance = as_text(entry.get("orchestrationId")) or turn_id
            outcome = "" if turn_id == holder else "interrupted"
            turns[turn_id] = Turn(turn_id, instance, at, messages, outcome=outcome, ended_at=at)
    return tuple(turns.values()), summary


def messages_of(entry: Json, names: dict[str, str]) -> tuple[Message, ...]:
    """Return the messages of an entry that can be read."""
    found = (message_of(item, names) for item in as_objects(entry.get("messages")))
    return tuple(message for message in found if message is not None)


def usage_document(usage: TokenUsage) -> Json:
    """Return counts of tokens as the published form has them."""
    document: Json = {theirs: getattr(usage, ours) for ours, theirs in COUNTS}
    others = {theirs: getattr(usage, ours) for ours, theirs in OTHER_COUNTS}
    others = {name: count for name, count in others.items() if count}
    if not others and not any(document.values()):
        return {}
    return document | ({EXTENSION: others} if others else {})


def usage_of(document: object) -> TokenUsage:
    """Return the counts that a document has; those that it has not are zero."""
    fields = as_object(document)
    others = as_object(fields.get(EXTENSION))
    counts = {ours: as_count(fields.get(theirs)) for ours, theirs in COUNTS}
    return TokenUsage(**counts, **{o: as_count(others.get(t)) for o, t in OTHER_COUNTS})


def waiting_document(waiting: Waiting) -> Json:
    """Return a turn that waits as it is stored."""
    return {
        "turn": waiting.turn,
        "instance": waiting.instance,
        "at": waiting.at,
        "kind": waiting.kind,
        "messages": [message_document(message, waiting.at) for message in waiting.messages],
    }


def waiting_of(document: Json) -> Waiting:
    """Return the turn that waits."""
    kind = as_text(document.get("kind"))
    return Waiting(
        turn=as_text(document.get("turn")),
        instance=as_text(document.get("instance")),
        at=as_moment(document.get("at")),
        kind=kind if kind in ("interrupt", "steer") else "queue",
        messages=messages_of(document, {}),
    )


def ended_document(ended: Ended) -> Json:
    """Return a turn that is over as it is stored."""
    document: Json = {"turn": ended.turn, "outcome": ended.outcome}
    if ended.answered_by:
        document["answeredBy"] = ended.answered_by
    if ended.next is not None:
        document["next"] = ended.next.to_json()
    if ended.steered:
        document["steered"] = [place.to_json() for place in ended.steered]
    return document


def ended_of(document: Json) -> Ended:
    """Return the turn that is over."""
    following = document.get("next")
    return Ended(
        turn=as_text(document.get("turn")),
        outcome=as_text(document.get("outcome")) or COMPLETED,
        answered_by=as_text(document.get("answeredBy")),
        next=place_of(as_object(following)) if following else None,
        steered=tuple(place_of(item) for item in as_objects(document.get("steered"))),
    )


def draft_of(document: Json) -> Draft | None:
    """Return the compaction that is not yet for good, if there is one."""
    keeps_from = as_text(document.get("keepsFrom"))
    return Draft(keeps_from, as_text(document.get("summary"))) if keeps_from else None


def as_moment(value: object) -> str:
    """Return a moment in our form; for anything that is none, the beginning of time."""
    try:
        return as_utc(as_text(value))
    except ValueError:
        return UNKNOWN


def place_of(document: Json) -> Place:
    """Return who is meant."""
    return Place(turn=as_text(document.get("turn")), instance=as_text(document.get("instance")))


def stored_size(value: object) -> int:
    """Return how many bytes a value has as the SDK writes it: in ASCII, all else escaped."""
    return len(json.dumps(value))


def size_of(state: SessionState) -> int:
    """Return how many bytes a state has when it is stored."""
    return stored_size(to_document(state))


def size_of_turn(turn: Turn) -> int:
    """Return how many bytes a turn adds to a state."""
    return stored_size(turn_documents(turn)) + len(", ") - len("[]")


def size_of_messages(messages: tuple[Message, ...]) -> int:
    """Return how many bytes messages have when they are stored."""
    return stored_size([message_document(message, "") for message in messages])
